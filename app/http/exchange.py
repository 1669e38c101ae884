"""One request and its answer: the body comes at a pace, and who is answered before it has come whole is not read on."""

import asyncio
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.status import HTTP_408_REQUEST_TIMEOUT
from starlette.types import Message, Receive, Send
from uvicorn.protocols.http.h11_impl import RequestResponseCycle

PACE = 16_384  # bytes of a body a second, in the long run
NEVERTHELESS = 0.5  # seconds for what follows where a piece came as its time ended
CLOSE = {"Connection": "close"}


class Exchange:
    """What an application receives and sends, within limits.

    seconds: how long the body may be behind its pace; drop_the_rest: told where an answer begins before the body has
    come whole.
    """

    def __init__(
        self,
        cycle: RequestResponseCycle,
        receive: Receive,
        send: Send,
        seconds: float,
        drop_the_rest: Callable[[RequestResponseCycle], None],
    ):
        self.cycle = cycle
        self._receive, self._send, self._drop_the_rest = receive, send, drop_the_rest
        self.seconds, self.left = seconds, seconds

    async def receive(self) -> Message:
        """What comes next; HTTPException (408) where the body does not. Only the waiting counts, not the work."""
        if self.cycle.response_started or not self.cycle.more_body:
            return await self._receive()
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self.left):
                message = await self._receive()
        except TimeoutError:
            if self.cycle.message_event.is_set():  # it came in time, and nobody here had time to look
                self.left = NEVERTHELESS
            elif not self.cycle.response_started:
                # FastAPI would make 400 of a TimeoutError
                raise HTTPException(HTTP_408_REQUEST_TIMEOUT, headers=CLOSE) from None
            message, began = await self._receive(), loop.time()
        gained = len(message.get("body", b"")) / PACE
        self.left = max(0.0, min(self.seconds, self.left + gained - (loop.time() - began)))
        return message

    async def send(self, message: Message) -> None:
        """Send; a beginning says that the connection ends where the request's body is not all there."""
        if message["type"] == "http.response.start" and self.cycle.more_body and not self.cycle.disconnected:
            MutableHeaders(scope=message)["Connection"] = "close"
            self._drop_the_rest(self.cycle)
        await self._send(message)
