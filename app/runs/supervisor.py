"""The supervisor: it gives the queued runs their turn, carries out what is wanted of them, and brings them through what
befalls workers, server, disk and database. It lives in the server's event loop and knows nothing of where a training
runs.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, Self

from gatescope.app.runs.checkpoints import Checkpoints
from gatescope.app.runs.database import StoreFault
from gatescope.app.runs.keeping import RETRY_SECONDS, Keeping, in_thread
from gatescope.app.runs.run import Run
from gatescope.app.runs.store import Store
from gatescope.app.runs.training import GRACE, GRACE_AT_THE_END, SERVER_ENDED, Limits, Training
from gatescope.app.workers.backends import Backend, Handle

TURN_SECONDS = 2.0  # between two looks at the queue, and at what others wrote into the database
TIDY_SECONDS = 60.0
STANDSTILL = 30.0
LEAVE_SECONDS = 6.0  # after which the workers that are still there are killed
PATIENCE_AT_THE_END = 1.0
DAY = 86_400.0
log = logging.getLogger(__name__)


class NotNow(Exception):
    """A run is not in a state for this; the message says so."""


class Supervisor(Generic[Handle]):
    """Trains the runs of a store, so many at a time; one that is over longer than `keep_days` is deleted (0: none)."""

    def __init__(
        self,
        store: Store,
        checkpoints: Checkpoints,
        backend: Backend[Handle],
        workers: int,
        limits: Limits,
        keep_days: float = 0.0,
    ):
        self.store, self.checkpoints, self.backend = store, checkpoints, backend
        self.workers, self.limits, self.keep_days = workers, limits, keep_days
        self.keeping = Keeping()
        self._trainings: dict[str, Training[Handle]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._woken = asyncio.Event()
        self._forgotten, self._is_to_recover = True, True
        self._turned = time.monotonic()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        await self.backend.__aenter__()
        self._turned = time.monotonic()
        works = (self._give_turns, TURN_SECONDS, self._woken), (self._tidy_up, TIDY_SECONDS, asyncio.Event())
        self._always = [asyncio.create_task(again_and_again(*work)) for work in works]
        return self

    async def __aexit__(self, *error: object) -> None:
        """Have every worker leave a checkpoint and go; their runs go on when a server starts again."""
        self.keeping.leaving, self.store.database.patience = True, PATIENCE_AT_THE_END
        for task in self._always:
            task.cancel()
        for training in self._trainings.values():
            training.stop(GRACE_AT_THE_END)
        left = {*self._always, *self._tasks.values()}
        _, late = await asyncio.wait(left, timeout=LEAVE_SECONDS)
        for task in late:
            log.error("a training does not leave; its worker is killed")
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=PATIENCE_AT_THE_END)
        await self.backend.__aexit__(*error)

    @property
    def trouble(self) -> str | None:
        """Why the queue does not get on now, in words, or None."""
        if time.monotonic() - self._turned > STANDSTILL or any(task.done() for task in self._always):
            return self.keeping.trouble or "the queue stands still; the server's log says why"
        return self.keeping.trouble

    def wake(self) -> None:
        """Look at the queue: a run was created. From any thread."""
        self._loop.call_soon_threadsafe(self._woken.set)

    def warm(self) -> None:
        """Have a worker ready for a run that is about to be created. From any thread."""
        self._loop.call_soon_threadsafe(self.backend.warm)

    async def pause(self, id: str) -> None:
        """Have a run leave a checkpoint and its worker; raises NotNow where it is over."""
        await self._ask(id, "paused", before=("queued",))

    async def stop(self, id: str) -> None:
        """End a run where it is, its latest checkpoint kept; raises NotNow where it is over otherwise."""
        await self._ask(id, "stopped", before=("queued", "paused"))

    async def resume(self, id: str) -> None:
        """Put a paused run back into the queue; raises NotNow where it is over."""
        if await in_thread(self.store.move, id, ["paused"], "queued"):
            self.wake()
        elif not await in_thread(self.store.want, id, None):
            await self._refuse_if_over(id, "resumed")

    async def delete(self, id: str) -> None:
        """Delete a run with its text, its events and its checkpoints; a worker that has it is killed.

        It is deleted when that is written down. What the disk does not let go of at once goes as soon as it does.
        """
        if await in_thread(self.store.want_deleted, id):
            await self._delete(id)

    async def _delete(self, id: str) -> None:
        if task := self._tasks.get(id):
            task.cancel()
            await asyncio.wait({task})
        try:
            self._forgotten &= await in_thread(self.checkpoints.delete, id)
        except StoreFault as fault:
            log.error("a deleted run is still on the disk: %s", fault)

    async def _ask(self, id: str, wanted: str, before: tuple[str, ...]) -> None:
        """Do to a waiting run what is wanted; ask it of one that trains."""
        if await in_thread(self.store.move, id, before, wanted):
            return
        if await in_thread(self.store.want, id, wanted):
            if training := self._trainings.get(id):
                training.stop(GRACE)
        else:
            await self._refuse_if_over(id, wanted, wanted)

    async def _refuse_if_over(self, id: str, wanted: str, already: str | None = None) -> None:
        run = await in_thread(self.store.get, id)
        if run and run.is_over and run.state != already:
            raise NotNow(f"a run that is {run.state} cannot be {wanted}")

    async def _give_turns(self) -> None:
        """Carry out what is wanted, take back what nobody trains, and start as many runs as there are workers for."""
        kept = self.keeping.kept
        for run in await kept(self.store.wishes):
            await self._carry_out(run)
        if self._is_to_recover:
            self._is_to_recover = False
            try:
                await kept(self._recover, frozenset(self._trainings))
            except Exception:
                self._is_to_recover = True
                raise
        waiting = [each for each in await kept(self.store.queue) if each.id not in self._trainings]
        for each in waiting[: max(0, self.workers - len(self._trainings))]:
            found: Run | None = await kept(self.store.get, each.id)
            if found:
                self._begin(found)
        self._turned = time.monotonic()

    def _begin(self, run: Run) -> None:
        training = Training(run, self.store, self.checkpoints, self.backend, self.keeping, self.limits)
        self._trainings[run.id] = training
        self._tasks[run.id] = task = asyncio.create_task(training.go())
        task.add_done_callback(lambda _: self._ended(run.id))

    def _ended(self, id: str) -> None:
        del self._trainings[id], self._tasks[id]
        self._is_to_recover = True  # in case it was not kept what became of it
        self._woken.set()

    async def _carry_out(self, run: Run) -> None:
        """Do what is wanted of a run, by its owner before the server was restarted, or by an operator beside it."""
        training = self._trainings.get(run.id)
        if run.wanted == "deleted":
            await self._delete(run.id)
        elif training and not training.asked:
            training.stop(GRACE)
        elif not training and run.wanted:
            await self.keeping.kept(self.store.move, run.id, ["running", "queued", "paused"], run.wanted)

    def _recover(self, trained: frozenset[str]) -> None:
        """Bring the runs that a server left behind, or a fault, to where they can go on."""
        for run in self.store.runs("running"):
            if run.id not in trained:
                self.store.move(run.id, ["running"], "queued", SERVER_ENDED)

    async def _tidy_up(self) -> None:
        """Delete the runs that are over for longer than they are kept, and what the disk did not let go of before."""
        if not self._forgotten:
            self._forgotten = await in_thread(self.store.database.forget)
        if self.keep_days > 0:
            before = time.time() - self.keep_days * DAY
            while expired := await self.keeping.kept(self.store.oldest_over, before):
                for id in expired:
                    await self.delete(id)
                log.info("%d runs that were over for %g days are deleted", len(expired), self.keep_days)


async def again_and_again(work: Callable[[], Awaitable[None]], seconds: float, woken: asyncio.Event) -> None:
    """Do a piece of work every so many seconds and when woken, whatever becomes of it."""
    while True:
        woken.clear()
        try:
            await work()
        except Exception:
            log.exception("a fault in the keeping of the runs; it begins again")
            await asyncio.sleep(RETRY_SECONDS)
        with suppress(TimeoutError):
            await asyncio.wait_for(woken.wait(), seconds)
