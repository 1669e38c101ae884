"""What every response says to the browser beside its content."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors "
)


def house_headers(frame_ancestors: str = "'none'") -> dict[str, str]:
    """The headers of every response; only these origins may show it in a frame."""
    return {
        "Content-Security-Policy": POLICY + frame_ancestors,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",  # the address holds the person's text
        "Cache-Control": "no-cache",
    }


class HouseHeaders:
    """Adds the security headers; only /embed pages may be framed, by the given origins."""

    def __init__(self, app: ASGIApp, frame_ancestors: str):
        self.app = app
        self.framed, self.alone = house_headers(frame_ancestors), house_headers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        framed = scope["type"] == "http" and scope["path"].startswith("/embed/")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (self.framed if framed else self.alone).items():
                    if name == "Cache-Control":
                        headers.setdefault(name, value)
                    else:
                        headers[name] = value
            await send(message)

        await self.app(scope, receive, send_with_headers)
