"""How large a request's body may be."""

from collections.abc import Mapping

from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send


class BodyLimits:
    """Refuses longer bodies (413), by their announced length where there is one: a limit for some paths and one for
    the others, in bytes.
    """

    def __init__(self, app: ASGIApp, others: int, by_path: Mapping[str, int]):
        self.others = RequestBodyLimitMiddleware(app, others)
        self.by_path = {path: RequestBodyLimitMiddleware(app, limit) for path, limit in by_path.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.by_path.get(scope.get("path", ""), self.others)(scope, receive, send)
