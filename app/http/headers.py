"""What every response says to the browser beside its content."""

import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors "
)
FILES = re.compile(r"/static/.*|/plotly\.min\.js")  # of the pages: no secret, and an embed needs them


def house_headers(path: str = "", frame_ancestors: str = "'none'") -> dict[str, str]:
    """The headers of a response, by the path that was asked for; only /embed pages may be framed, by these origins."""
    framed = path.startswith("/embed/")
    headers = {
        "Content-Security-Policy": POLICY + (frame_ancestors if framed else "'none'"),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",  # the address holds the person's text
        # a sandboxed frame is of no site, so that the files of its page are another's to it
        "Cross-Origin-Resource-Policy": "cross-origin" if framed or FILES.fullmatch(path) else "same-origin",
        "Cache-Control": "no-cache",
    }
    # an embed opens the bench in a new tab, which a sandboxed one could not do to a page with an opener's policy
    if not framed and path != "/":
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return headers


class HouseHeaders:
    """Adds the security headers to every response, and that it is to be asked for anew unless it says otherwise."""

    def __init__(self, app: ASGIApp, frame_ancestors: str):
        self.app = app
        self.frame_ancestors = frame_ancestors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                ours = house_headers(scope["path"], self.frame_ancestors)
                headers.setdefault("Cache-Control", ours.pop("Cache-Control"))
                headers.update(ours)
            await send(message)

        await self.app(scope, receive, send_with_headers)
