"""The supervisor: it gives the queued runs their turn, logs what they tell, and brings them through what befalls
workers and server. It lives in the server's event loop and knows nothing of where a training runs.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, Generic, ParamSpec, Self, TypeVar

import orjson

from gatescope.app.runs.checkpoints import Checkpoints
from gatescope.app.runs.database import NoSpace, Unavailable
from gatescope.app.runs.run import Run
from gatescope.app.runs.store import Store
from gatescope.app.workers.backends import Backend, CannotStart, Handle
from gatescope.app.workers.job import Job
from gatescope.app.workers.protocol import Frame, leaving

GRACE, GRACE_AT_THE_END = 30.0, 5.0
STRIKES = 3
RETRY_SECONDS = 1.0
SERVER_ENDED = "the server was ended while the run was training"
log = logging.getLogger(__name__)
Value = TypeVar("Value")
Values = ParamSpec("Values")


class NotNow(Exception):
    """A run is not in a state for this; the message says so."""


class Supervisor(Generic[Handle]):
    """Trains the runs of a store, so many at a time, each for `seconds` at most."""

    def __init__(self, store: Store, checkpoints: Checkpoints, backend: Backend[Handle], workers: int, seconds: float):
        self.store, self.checkpoints, self.backend = store, checkpoints, backend
        self.workers, self.seconds = workers, seconds
        self._trainings: dict[str, asyncio.Task[None]] = {}
        self._handles: dict[str, Handle] = {}
        self._stops: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._closing = False

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        await self.backend.__aenter__()
        self._turns = asyncio.create_task(self._give_turns())
        return self

    async def __aexit__(self, *error: object) -> None:
        """Have every worker leave a checkpoint and go; their runs go on when a server starts again."""
        self._closing = True
        self._turns.cancel()
        for id in list(self._handles):
            self._stop(id, GRACE_AT_THE_END)
        await asyncio.gather(self._turns, *self._trainings.values(), *self._stops, return_exceptions=True)
        await self.backend.__aexit__(*error)

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
        if await asyncio.to_thread(self.store.move, id, ["paused"], "queued"):
            self.wake()
        elif not await asyncio.to_thread(self.store.want, id, None):
            self._refuse_if_over(id, "resumed")

    async def delete(self, id: str) -> None:
        """Delete a run with its text, its events and its checkpoints, at once; a worker that has it is killed."""
        await asyncio.to_thread(self.store.move, id, ["queued", "paused"], "stopped")
        if await asyncio.to_thread(self.store.want, id, "deleted"):
            self._stop(id, 0)
            if id in self._trainings:
                await asyncio.wait([self._trainings[id]])
        await asyncio.to_thread(self._remove, id)

    def _remove(self, id: str) -> None:
        self.checkpoints.remove(id)
        self.store.delete(id)

    async def _ask(self, id: str, wanted: str, before: tuple[str, ...]) -> None:
        """Do to a waiting run what is wanted; ask it of one that trains."""
        if await asyncio.to_thread(self.store.move, id, before, wanted):
            return
        if await asyncio.to_thread(self.store.want, id, wanted):
            self._stop(id, GRACE)
        else:
            self._refuse_if_over(id, wanted, wanted)

    def _refuse_if_over(self, id: str, wanted: str, already: str | None = None) -> None:
        run = self.store.get(id)
        if run and run.is_over and run.state != already:
            raise NotNow(f"a run that is {run.state} cannot be {wanted}")

    def _stop(self, id: str, grace: float) -> None:
        """Have the worker of a run leave, without waiting for it."""
        if id in self._handles:
            stop = asyncio.create_task(self.backend.stop(self._handles[id], grace))
            self._stops.add(stop)
            stop.add_done_callback(self._stops.discard)

    async def _give_turns(self) -> None:
        await self._kept(self._recover)
        while True:
            self._woken.clear()
            waiting = [run for run in await asyncio.to_thread(self.store.queue) if run.id not in self._trainings]
            for run in waiting[: max(0, self.workers - len(self._trainings))]:
                self._trainings[run.id] = asyncio.create_task(self._train(run))
            await self._woken.wait()

    def _recover(self) -> None:
        """Bring the runs that a server left behind to where they can go on."""
        for run in self.store.runs():
            if run.wanted == "deleted":
                self._remove(run.id)
            elif run.wanted:
                self.store.move(run.id, ["running"], run.wanted)
            else:
                self.store.move(run.id, ["running"], "queued", SERVER_ENDED)

    async def _train(self, run: Run) -> None:
        """Train a run until it is over or its worker has gone, and keep what became of it."""
        began = time.monotonic()
        try:
            resume, reason, finished = await self._kept(self._resumption, run.id)
            if finished:
                await self._kept(self.store.move, run.id, ["queued"], "finished", reason)
            elif await self._kept(self.store.move, run.id, ["queued"], "running", reason):
                exit, got_on = await self._watched(run, resume)
                await self._settle(run, exit, got_on, time.monotonic() - began)
        except (NoSpace, Unavailable) as fault:  # the next server recovers what this one could not keep
            log.error("run %s is left as it is: %s", run.id, fault)
        except Exception:
            log.exception("a fault while run %s was training", run.id)
            await asyncio.to_thread(self.store.move, run.id, ["queued", "running"], "failed", "a fault in the server")
        finally:
            del self._trainings[run.id]
            self._woken.set()

    def _resumption(self, id: str) -> tuple[bytes | None, str | None, bool]:
        """The checkpoint to go on from, in words too, and whether the training was over with it."""
        self.checkpoints.tidy(id)
        good, content, damaged = self.checkpoints.latest(id)
        if damaged:
            self.store.drop_checkpoints(id, [bad.file for bad in damaged])
        if good and good.finished:
            return None, (self.store.latest(id, "checkpoint") or {}).get("reason"), True
        if not good and not damaged:
            return None, None, False
        words = f"from step {good.step}" if good else "from the beginning"
        if damaged:
            words += f"; the checkpoint of step {', '.join(str(bad.step) for bad in damaged)} is damaged"
        return content, words, False

    async def _watched(self, run: Run, resume: bytes | None) -> tuple[dict[str, Any], bool]:
        """See a run through one worker; gives how that ended, and whether anything new was logged."""
        got_on, began = False, time.monotonic()
        text = await asyncio.to_thread(self.store.text, run.id)
        spec = orjson.dumps({"text": text.decode(), "recipe": orjson.loads(run.recipe), "title": run.title})
        handle = await self._started(run, Job(spec, resume))
        if handle is None:
            return leaving("left").data, True
        self._handles[run.id] = handle
        try:
            wanted = await self._wanted(run.id)
            if wanted or self._closing:
                self._stop(run.id, 0 if wanted == "deleted" else GRACE_AT_THE_END)
            asked = wanted is not None
            async with aclosing(self.backend.events(handle)) as frames:
                async for frame in frames:
                    if frame.name == "exit":
                        return frame.data, got_on
                    got_on |= await self._log(run.id, frame)
                    if not asked and run.seconds + time.monotonic() - began > self.seconds:
                        asked = True
                        self._stop(run.id, GRACE)
        finally:
            del self._handles[run.id]
        return leaving("lost", "the worker ended without a word").data, got_on

    async def _started(self, run: Run, job: Job) -> Handle | None:
        """A worker for a job, as soon as one can be had; None where the run is to leave before."""
        while not self._closing and not await self._wanted(run.id):
            try:
                return await self.backend.start(job)
            except CannotStart as fault:
                log.warning("run %s waits: %s", run.id, fault)
                await asyncio.sleep(RETRY_SECONDS)
        return None

    async def _log(self, id: str, frame: Frame) -> bool:
        """Log an event, its checkpoint first; whether it was new."""
        step, record = frame.data["step"], None
        if frame.name == "checkpoint":
            record = await self._kept(self.checkpoints.keep, id, step, frame.content, frame.data["finished"])
        new = await self._kept(self.store.append, id, frame.name, frame.data, step, record)
        if record:
            await self._kept(self.checkpoints.tidy, id)
        return new is not None

    async def _settle(self, run: Run, exit: dict[str, Any], got_on: bool, seconds: float) -> None:
        """Keep what became of a run when its worker left it."""
        how, reason, wanted = exit["how"], exit["reason"], await self._wanted(run.id)
        total, strikes = run.seconds + seconds, 0
        if how in ("finished", "failed"):
            state = how
        elif wanted:
            state, reason = "stopped" if wanted == "deleted" else wanted, None
        elif total > self.seconds:
            state, reason = "stopped", f"it trained for the {self.seconds / 3600:.3g} hours that a run may"
        elif how == "left":
            state, reason = "queued", SERVER_ENDED if self._closing else None
        else:
            state, strikes = "queued", 1 if got_on else run.strikes + 1
            log.warning("run %s lost its worker: %s", run.id, reason)
            if strikes >= STRIKES:
                state, reason = "failed", f"{reason}, {strikes} times without getting on"
        await self._kept(self.store.move, run.id, ["running"], state, reason, strikes=strikes, seconds=total)

    async def _wanted(self, id: str) -> str | None:
        run = await asyncio.to_thread(self.store.get, id)
        return run.wanted if run else "deleted"

    async def _kept(self, keep: Callable[Values, Value], *values: Values.args, **more: Values.kwargs) -> Value:
        """The result of a function of the store or the checkpoints, as soon as the disk has space for it.

        Meanwhile nothing more is read of the worker, which waits: a full disk holds a run up and loses nothing of it.
        """
        said = ""
        while True:
            try:
                return await asyncio.to_thread(keep, *values, **more)
            except (NoSpace, Unavailable) as fault:
                if self._closing:
                    raise
                if said != (said := str(fault)):
                    log.error("the runs wait: %s", fault)
                await asyncio.sleep(RETRY_SECONDS)
