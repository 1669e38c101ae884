"""What a process answers that only reads to those who ask for a change."""

from starlette.status import HTTP_405_METHOD_NOT_ALLOWED
from starlette.types import ASGIApp, Receive, Scope, Send

from gatescope.app.http import problems

KEPT = ("/api/models", "/api/runs")
SAFE = ("GET", "HEAD", "OPTIONS")
WORDS = "this process only reads; ask the one that keeps the runs and the uploads of this data directory"


class ChangesNothing:
    """Refuses (405) whatever would change runs or uploads."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or scope["method"] in SAFE or not path.startswith(KEPT):
            return await self.app(scope, receive, send)
        allowed = {"Allow": "GET, HEAD" if path.count("/") <= 3 else ""}  # an action of a run is no place to read
        refusal = problems.response(HTTP_405_METHOD_NOT_ALLOWED, f"method: {WORDS}", [("method", WORDS)], allowed)
        await refusal(scope, receive, send)
