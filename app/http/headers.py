"""What every response says to the browser beside its content."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatescope.app.http import problems
from gatescope.app.http.other_sites import FILES

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors "
)


def house_headers(path: str, frame_ancestors: str) -> dict[str, str]:
    """The security headers of a response, by the path that was asked for; only /embed pages may be framed, by the given
    origins.
    """
    framed = path.startswith("/embed/")
    headers = {
        "Content-Security-Policy": POLICY + (frame_ancestors if framed else "'none'"),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",  # the address holds the person's text
        # a sandboxed frame is of no site, so that the files of its page are another's to it
        "Cross-Origin-Resource-Policy": "cross-origin" if framed or FILES.fullmatch(path) else "same-origin",
    }
    # an embed opens the bench in a new tab, which a sandboxed one could not do to a page with an opener's policy
    if not framed and path != "/":
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return headers


class HouseHeaders:
    """Adds the security headers to every response."""

    def __init__(self, app: ASGIApp, frame_ancestors: str):
        self.app = app
        self.frame_ancestors = frame_ancestors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(house_headers(scope["path"], self.frame_ancestors))
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        await self.app(scope, receive, send_with_headers)


class ProblemsOnly:
    """Turns the plain-text errors of other middleware (unknown host, too large a body) into problem+json."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        replaced = False

        async def send_problem(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] >= 400:
                headers = MutableHeaders(scope=message)
                replaced = headers.get("content-type", "").startswith("text/plain")
                if replaced:
                    await problems.plain(message["status"], scope)(scope, receive, send)
            if not replaced:
                await send(message)

        await self.app(scope, receive, send_problem)
