"""One turn of a run: from the queue through a worker, back into the queue or to its end."""

import asyncio
import logging
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Generic

import orjson

from gatescope.app.runs.checkpoints import Checkpoints
from gatescope.app.runs.database import StoreFault
from gatescope.app.runs.keeping import RETRY_SECONDS, Keeping
from gatescope.app.runs.run import Run
from gatescope.app.runs.store import Store
from gatescope.app.workers.backends import Backend, CannotStart, Handle
from gatescope.app.workers.job import Job
from gatescope.app.workers.protocol import Frame, leaving

GRACE, GRACE_AT_THE_END = 30.0, 5.0
STRIKES = 3
SERVER_ENDED = "the server was ended while the run was training"
GAVE_WAY = "others wait: it goes on after them"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How long a run may train: seconds in all, and seconds at a stretch while runs of other addresses wait."""

    seconds: float
    stretch: float = 3600.0


class Training(Generic[Handle]):
    """A run that has its turn. No worker outlives `go`."""

    def __init__(
        self,
        run: Run,
        store: Store,
        checkpoints: Checkpoints,
        backend: Backend[Handle],
        keeping: Keeping,
        limits: Limits,
    ):
        self.run, self.store, self.checkpoints = run, store, checkpoints
        self.backend, self.keeping, self.limits = backend, keeping, limits
        self.handle: Handle | None = None
        self.asked, self._gave_way = False, False
        self._began = time.monotonic()
        self._stops: set[asyncio.Task[None]] = set()

    async def go(self) -> None:
        """Train the run until it is over or its worker has gone, and keep what became of it."""
        kept, id = self.keeping.kept, self.run.id
        try:
            resume, reason, finished = await kept(self._resumption)
            if finished:
                await kept(self.store.move, id, ["queued"], "finished", reason)
            elif await kept(self.store.move, id, ["queued"], "running", reason):
                await self._settle(*await self._watched(resume))
        except StoreFault as fault:  # the server leaves; the next one recovers what this one could not keep
            log.error("run %s is left as it is: %s", id, fault)
        except Exception:
            log.exception("a fault while run %s was training", id)
            with suppress(StoreFault):
                await self._lost("a fault in the server", got_on=False, before=["queued", "running"])
        finally:
            await asyncio.gather(*self._stops, return_exceptions=True)

    def stop(self, grace: float) -> None:
        """Have the worker leave a checkpoint and go, or go at once where there is no grace, without waiting for it."""
        self.asked = True
        if self.handle is not None:
            stop = asyncio.create_task(self.backend.stop(self.handle, grace))
            self._stops.add(stop)
            stop.add_done_callback(self._stops.discard)

    def _resumption(self) -> tuple[bytes | None, str | None, bool]:
        """The checkpoint to go on from, in words too, and whether the training was over with it."""
        id = self.run.id
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

    async def _watched(self, resume: bytes | None) -> tuple[dict[str, Any], bool]:
        """See the run through one worker; gives how that ended, and whether anything new was logged."""
        text = await self.keeping.kept(self.store.text, self.run.id)
        described = {"text": text.decode(), "recipe": orjson.loads(self.run.recipe), "title": self.run.title}
        handle = await self._started(Job(orjson.dumps(described), resume))
        if handle is None:
            return leaving("left").data, True
        self.handle = handle
        try:
            return await self._followed(handle)
        except BaseException:
            await self.backend.stop(handle, 0)
            raise
        finally:
            self.handle = None

    async def _started(self, job: Job) -> Handle | None:
        """A worker for a job, as soon as one can be had; None where the run is to leave before."""
        while not self.keeping.leaving and not await self._wanted():
            try:
                return await self.backend.start(job)
            except CannotStart as fault:
                log.warning("run %s waits: %s", self.run.id, fault)
                await asyncio.sleep(RETRY_SECONDS)
        return None

    async def _followed(self, handle: Handle) -> tuple[dict[str, Any], bool]:
        """Log what a worker tells until it leaves, and have it leave when that is wanted or it is time."""
        got_on, wanted = False, await self._wanted()
        if wanted or self.keeping.leaving:
            self.stop(0 if wanted == "deleted" else GRACE_AT_THE_END)
        async with aclosing(self.backend.events(handle)) as frames:
            async for frame in frames:
                if frame.name == "exit":
                    return frame.data, got_on
                got_on |= await self._log(frame)
                if not self.asked and (self._is_late() or await self._is_to_give_way(frame)):
                    self.stop(GRACE)
        return leaving("lost", "the worker ended without a word").data, got_on

    def _is_late(self) -> bool:
        return self.run.seconds + time.monotonic() - self._began > self.limits.seconds

    async def _is_to_give_way(self, frame: Frame) -> bool:
        """Whether the run has trained long enough at a stretch and one of another address waits."""
        if frame.name == "checkpoint" and time.monotonic() - self._began > self.limits.stretch:
            queue = await self.keeping.kept(self.store.queue)
            self._gave_way = any(waiting.address != self.run.address for waiting in queue)
        return self._gave_way

    async def _log(self, frame: Frame) -> bool:
        """Log an event, its checkpoint first; whether it was new."""
        id, step, record, kept = self.run.id, frame.data["step"], None, self.keeping.kept
        if frame.name == "checkpoint":
            record = await kept(self.checkpoints.keep, id, step, frame.content, frame.data["finished"])
        new = await kept(self.store.append, id, frame.name, frame.data, step, record)
        if record:
            await kept(self.checkpoints.tidy, id)
        return new is not None

    async def _settle(self, exit: dict[str, Any], got_on: bool) -> None:
        """Keep what became of the run when its worker left it."""
        how, reason, wanted = exit["how"], exit["reason"], await self._wanted()
        changes: dict[str, Any] = {}
        if how in ("finished", "failed"):
            state = how
        elif wanted:
            state, reason = "stopped" if wanted == "deleted" else wanted, None
        elif self._is_late():
            state, reason = "stopped", f"it trained for the {self.limits.seconds / 3600:.3g} hours that a run may"
        elif how == "left":
            state, reason = "queued", SERVER_ENDED if self.keeping.leaving else None
            if self._gave_way:
                reason, changes["turn"] = GAVE_WAY, self.store.last_id() + 1
        else:
            return await self._lost(reason, got_on, before=["running"])
        seconds = self.run.seconds + time.monotonic() - self._began
        await self.keeping.kept(
            self.store.move, self.run.id, ["running"], state, reason, strikes=0, seconds=seconds, **changes
        )

    async def _lost(self, reason: str, got_on: bool, before: list[str]) -> None:
        """Put a run whose worker is lost back into the queue, unless that happened too often without its getting on."""
        strikes = 1 if got_on else self.run.strikes + 1
        log.warning("run %s lost its worker: %s", self.run.id, reason)
        state = "queued"
        if strikes >= STRIKES:
            state, reason = "failed", f"{reason}, {strikes} times without getting on"
        seconds = self.run.seconds + time.monotonic() - self._began
        await self.keeping.kept(self.store.move, self.run.id, before, state, reason, strikes=strikes, seconds=seconds)

    async def _wanted(self) -> str | None:
        run = await self.keeping.kept(self.store.get, self.run.id)
        return run.wanted if run else "deleted"
