"""The methods that every address takes beside those that it names."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOT_FOR_HEAD = (b"range", b"if-range")  # they mean something in a GET alone


class HeadAsGet:
    """Answers HEAD as GET would be, up to the body: with it the answer ends, also where GET's has no end."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "HEAD":
            return await self.app(scope, receive, send)
        headers = [(name, value) for name, value in scope["headers"] if name not in NOT_FOR_HEAD]

        async def send_the_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body"})

        await self.app({**scope, "method": "GET", "headers": headers}, receive, send_the_head)
