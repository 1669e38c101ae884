"""Who watches runs. A viewer is a cursor into the one log of events, not a queue: a page of the log is read and written
out once for all who stand at the same place, and whoever comes late, slowly or again only stands elsewhere.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from anyio import to_thread
from fastapi.sse import format_sse_event

from gatescope.app.runs.store import Store

PAUSE = 0.25  # seconds between two writes to one viewer: a browser draws no oftener
PING = 15.0  # seconds without an event before a comment shows the connection alive, to proxies too
PAGE = 200  # events written at once
PAGES_KEPT = 32


@dataclass(frozen=True)
class Page:
    """A part of the log, written out: the id of its last event and the runs that end in it."""

    content: bytes
    last: int
    ended: frozenset[str]


class Viewers:
    """Everyone who watches."""

    def __init__(self, store: Store):
        self.store = store
        self.count, self.leaving = 0, False
        self._known = 0
        self._news = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self._pages: OrderedDict[tuple[int, int, tuple[str, ...]], asyncio.Future[Page]] = OrderedDict()

    def _leave(self) -> None:
        """Count one viewer less; without any, nobody follows the log."""
        self.count -= 1
        if not self.count and self._following:
            self._following.cancel()
            self._following = None
            self._pages.clear()

    def close(self) -> None:
        """End every stream: the server leaves."""
        self.leaving = True
        self._news.set()

    async def watch(self, runs: tuple[str, ...], after: int, preface: bytes = b"") -> AsyncGenerator[bytes, None]:
        """What a viewer of these runs is sent, after a preface, from the event after this id until all are over."""
        self.count += 1
        try:
            async with aclosing(self._watched(runs, after, preface)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            self._leave()

    async def _watched(self, runs: tuple[str, ...], after: int, preface: bytes) -> AsyncGenerator[bytes, None]:
        yield retry() + preface
        going = await to_thread.run_sync(self._going, runs)
        if self._following is None:
            self._known = self.store.last_id()
        while not self.leaving:
            known, news = self._known, self._news
            page = await self._page(after, known, runs)
            if page.content:
                yield page.content
                after, going = page.last, going - page.ended
                continue
            if not going:
                return
            self._follow()
            try:
                await asyncio.wait_for(news.wait(), PING)
            except TimeoutError:
                yield format_sse_event(comment="still here")
                still = await to_thread.run_sync(self._going, tuple(going))
                for deleted in going - still:
                    if await to_thread.run_sync(self.store.get, deleted) is None:
                        yield format_sse_event(event="end", data_str=f'{{"run":"{deleted}"}}')
                        going = going - {deleted}
        yield retry()

    def _going(self, runs: tuple[str, ...]) -> frozenset[str]:
        found = {id: self.store.get(id) for id in runs}
        return frozenset(id for id, run in found.items() if run and not run.is_over)

    def _follow(self) -> None:
        if self._following is None or self._following.done():
            self._following = asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        """Wake everyone when the log has grown, together, so that they stand at the same places."""
        while True:
            await self.store.wait(self._known, PING)
            if (last := self.store.last_id()) > self._known:
                self._known = last
                self._news.set()
                self._news = asyncio.Event()
                await asyncio.sleep(PAUSE)

    async def _page(self, after: int, known: int, runs: tuple[str, ...]) -> Page:
        key = (after, known, runs)
        if key not in self._pages:
            self._pages[key] = asyncio.ensure_future(to_thread.run_sync(self._read, after, runs))
            while len(self._pages) > PAGES_KEPT:
                self._pages.popitem(last=False)
        try:
            return await asyncio.shield(self._pages[key])
        except Exception:
            self._pages.pop(key, None)
            raise

    def _read(self, after: int, runs: tuple[str, ...]) -> Page:
        events = self.store.events(after, runs, PAGE)
        content = b"".join(
            format_sse_event(event=event.name, data_str=event.body.decode(), id=str(event.id)) for event in events
        )
        ended = frozenset(event.run for event in events if event.name == "end")
        return Page(content, events[-1].id if events else after, ended)


def retry() -> bytes:
    """When to come back, in milliseconds: not all at the same moment."""
    return format_sse_event(retry=random.randint(1000, 4000))
