"""Event streams: those of runs, of traces and of writing are counted and bounded alike."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

from fastapi.sse import EventSourceResponse
from starlette.status import HTTP_503_SERVICE_UNAVAILABLE
from starlette.types import Receive, Scope, Send

from gatescope.app.http import problems
from gatescope.app.http.connection import EXTENSION, Connection
from gatescope.app.http.responses import NO_BUFFERING

FULL = "Too many event streams are open now; try again in a while. What they tell can be had in pages and files."
MORE_LATER = {"Retry-After": "10"}
Result = TypeVar("Result")


class Streams:
    """How many event streams are open, at most `limit`."""

    def __init__(self, limit: int):
        self.limit, self.count = limit, 0

    def join(self) -> bool:
        """Count one more, unless there are too many."""
        if self.count >= self.limit:
            return False
        self.count += 1
        return True

    def leave(self) -> None:
        """Count one less."""
        self.count -= 1


async def unless_left(receive: Receive, answer: Awaitable[Result]) -> Result | None:
    """What is awaited, or None as soon as the client has left; it is then given up."""

    async def left() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    working, watching = asyncio.ensure_future(answer), asyncio.ensure_future(left())
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        watching.cancel()
        working.cancel()
        await asyncio.gather(watching, working, return_exceptions=True)


class EventStream(EventSourceResponse):
    """A stream of events for one reader, counted while it is open and no longer, whatever the reader does; who reads no
    more is noticed soon, because little is held for them, and cut by the connection.

    events: pieces of the stream; the first is made before the answer begins, so that a refusal is an answer of its own.
    when_leaving: called when the server leaves.
    """

    def __init__(
        self,
        streams: Streams,
        events: AsyncGenerator[bytes, None],
        when_leaving: Callable[[], None] | None = None,
    ):
        self.streams, self.events, self.when_leaving = streams, events, when_leaving
        self._sent = self._from_the_first()
        super().__init__(self._sent, headers=NO_BUFFERING)

    async def _from_the_first(self) -> AsyncGenerator[bytes, None]:
        yield self.first
        async for piece in self.events:
            yield piece

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream. It is counted here and nowhere else: a response that never begins holds no place."""
        if not self.streams.join():
            refusal = problems.response(HTTP_503_SERVICE_UNAVAILABLE, FULL, headers=MORE_LATER)
            return await refusal(scope, receive, send)
        try:
            first = await unless_left(receive, anext(self.events, b""))
            if first is None:
                return
            self.first = first
            connection: Connection | None = scope.get("extensions", {}).get(EXTENSION)
            if connection:
                connection.when_leaving = self.when_leaving
                connection.hold_little()
            await super().__call__(scope, receive, send)
        finally:
            await self._sent.aclose()
            await self.events.aclose()
            self.streams.leave()
