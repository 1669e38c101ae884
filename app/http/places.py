"""Where computations wait for their turn: so many at a time, so much memory in all, and of those who wait one address
after the other, so that nobody's crowd stops the others.
"""

import asyncio
import math
import random
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.status import HTTP_503_SERVICE_UNAVAILABLE

from gatescope.app.http.problems import Problem
from gatescope.models.compiler.aligned import give_back

# What is dearer, about half a second, is not for those who compute what is quick.
DEAR = 4_000_000_000  # multiply-adds
PAGES, LOOKS = 2, 1
REST = 2.0  # times as long as a body was looked at, which slows everything here down, the next one has to wait
# After what held so much memory the process gives back what lies free, this many seconds later.
LARGE, AFTER = 8 << 20, 1.0
# What holds no more waits for memory beside its like only, and the picture of a page for none.
SMALL = 48 << 20
SHORT = 2**16  # bytes of a body that are less than those of the connection it comes over
Result = TypeVar("Result")


class Share:
    """So much of something. Who wants more of it than is free waits, the addresses taking turns; each: what one address
    may have of it at most, unless it asks for more at once.
    """

    def __init__(self, capacity: int, each: int | None = None):
        self.capacity = self.free = capacity
        self.each = capacity if each is None else each
        self._held: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[tuple[int, asyncio.Future[None]]]] = OrderedDict()

    @asynccontextmanager
    async def taken(self, amount: int, who: str) -> AsyncIterator[None]:
        """Take so much (all of it at most) as soon as it is there, for the length of an `async with` block."""
        amount = min(amount, self.capacity)
        await self._take(amount, who)
        try:
            yield
        finally:
            self._give(amount, who)

    async def _take(self, amount: int, who: str) -> None:
        granted = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, deque()).append((amount, granted))
        self._grant()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._give(amount, who)
            else:
                self._forget(who, amount, granted)
            raise

    def _forget(self, who: str, amount: int, granted: asyncio.Future[None]) -> None:
        """Wait no longer. Who was cancelled may have been passed over already: that future is in no queue any more."""
        theirs = self._waiting.get(who, deque())
        if (amount, granted) in theirs:
            theirs.remove((amount, granted))
        if not theirs:
            self._waiting.pop(who, None)
        self._grant()

    def _give(self, amount: int, who: str) -> None:
        self.free += amount
        self._held[who] -= amount
        if not self._held[who]:
            del self._held[who]
        self._grant()

    def _grant(self) -> None:
        """Give to those whose turn it is as long as there is enough."""
        while (who := self._next()) is not None:
            amount, granted = self._waiting[who].popleft()
            self._waiting.move_to_end(who)
            if not self._waiting[who]:
                del self._waiting[who]
            if granted.cancelled():  # its task has not noticed yet
                continue
            self.free -= amount
            self._held[who] += amount
            granted.set_result(None)

    def _next(self) -> str | None:
        """Whose turn it is, if there is enough for them; who has had their part is passed over."""
        for who, theirs in self._waiting.items():
            amount, _ = theirs[0]
            if not self._held[who] or self._held[who] + amount <= self.each:
                return who if amount <= self.free else None
        return None


class Places:
    """memory: bytes that all computations hold together, half of it for those that hold little each; a third as many
    are for bodies on their way. wait: seconds that one waits for its turn.

    What is computed in this process, the quick pictures of pages and what is made of bodies, has places of its own; the
    rest is for calculators, which have their turns themselves.
    """

    def __init__(self, memory: int, wait: float):
        few = memory // 2
        self.wait, self.memory, self.little = wait, Share(memory - few, memory // 2), Share(few, few // 4)
        self._bodies = Share(memory // 3, memory // 6)
        self._pages, self._looks, self._rests_until = Share(PAGES), Share(LOOKS), 0.0
        self._giving_back: asyncio.TimerHandle | None = None
        self._threads = CapacityLimiter(math.inf)  # the shares say how many there are

    @asynccontextmanager
    async def room(self, memory: int, who: str) -> AsyncIterator[float]:
        """Hold so much memory for the length of an `async with` block (none: it is not waited for); gives until when to
        wait for a turn. Raises Problem (503) where there is no room in time.
        """
        until = asyncio.get_running_loop().time() + self.wait
        if not memory:
            yield until
            return
        async with in_time(self.memory if memory > SMALL else self.little, memory, who, until):
            try:
                yield until
            finally:
                self._give_back_soon(memory)

    def _give_back_soon(self, memory: int) -> None:
        if memory >= LARGE and self._giving_back is None:
            self._giving_back = asyncio.get_running_loop().call_later(AFTER, self._give_back)

    def _give_back(self) -> None:
        self._giving_back = None
        give_back()

    @asynccontextmanager
    async def body(self, request: Request, limit: int) -> AsyncIterator[None]:
        """Hold what a request's body takes on its way (as long as it says, else as long as it may be) for the length of
        an `async with` block; a short one waits for no room. Raises Problem (503).
        """
        said = request.headers.get("content-length", "")
        length = min(int(said), limit) if said.isdecimal() else limit
        if length <= SHORT:
            yield
            return
        until = asyncio.get_running_loop().time() + self.wait
        async with in_time(self._bodies, length, address_of(request), until):
            try:
                yield
            finally:
                self._give_back_soon(length)

    async def painted(self, paint: Callable[[], Result], who: str, until: float) -> Result:
        """A quick picture of a page, which waits behind others of its kind only. Raises Problem (503)."""
        async with in_time(self._pages, 1, who, until):
            return await self._in_thread(paint)

    async def looked_at(self, memory: int, who: str, look: Callable[[], Result]) -> Result:
        """What is made of a body that has come, in its turn, with so much memory meanwhile. Raises Problem (503)."""
        async with self.room(memory, who) as until, in_time(self._looks, 1, who, until):
            await asyncio.sleep(self._rests_until - time.monotonic())
            began = time.monotonic()
            try:
                return await self._in_thread(look)
            finally:
                self._rests_until = time.monotonic() + REST * (time.monotonic() - began)

    async def _in_thread(self, function: Callable[[], Result]) -> Result:
        return await to_thread.run_sync(function, limiter=self._threads)


@asynccontextmanager
async def in_time(share: Share, amount: int, who: str, until: float) -> AsyncIterator[None]:
    """Have so much of a share for the length of an `async with` block; raises Problem (503) where it is not there until
    then.
    """
    taking = share.taken(amount, who)
    try:
        async with asyncio.timeout_at(None if until == math.inf else until):
            await taking.__aenter__()
    except TimeoutError:
        headers = {"Retry-After": str(random.randint(2, 6))}
        detail = "is busy with what others asked for; nothing was computed, try again in a few seconds"
        raise Problem(("service", detail), status=HTTP_503_SERVICE_UNAVAILABLE, headers=headers) from None
    try:
        yield
    finally:
        await taking.__aexit__(None, None, None)


def address_of(request: Request) -> str:
    """By what those who wait are told apart."""
    return request.client.host if request.client else ""
