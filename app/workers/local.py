"""Trainings on this machine: one process a job, started afresh (never a fork of the server), ended by force at need."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import Self

from gatescope.app.workers.backends import CannotStart
from gatescope.app.workers.job import Job
from gatescope.app.workers.protocol import PIECE, BadFrame, Frame, leaving, read_frame

# -P: only what is installed is imported, whatever lies in the working directory
COMMAND = (sys.executable, "-P", "-m", "gatescope.app.workers.worker")
# The matrices are small: a second BLAS thread only makes them wait for each other.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
LINES_KEPT, SAID = 20, 2_000  # lines, and of these the last bytes
log = logging.getLogger(__name__)


class Child:
    """A worker's process, and the last lines that it wrote to its standard error."""

    def __init__(self, process: Process):
        assert process.stdin and process.stdout and process.stderr  # it was started with three pipes
        self.process, self.frames = process, process.stdout
        self._told, self._errors = process.stdin, process.stderr
        self.said: deque[bytes] = deque(maxlen=LINES_KEPT)
        self._listening = asyncio.create_task(self._listen())
        self._telling: set[asyncio.Task[None]] = set()

    async def _listen(self) -> None:
        with contextlib.suppress(ValueError):  # a line without an end
            async for line in self._errors:
                self.said.append(line)

    def tell(self, frame: Frame) -> None:
        """Send a frame, as fast as it is read; a worker that is gone does not get it, and `events` will tell so."""
        telling = asyncio.create_task(self._tell(frame, tuple(self._telling)))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def _tell(self, frame: Frame, before: tuple[asyncio.Task[None], ...]) -> None:
        if before:
            await asyncio.wait(before)
        with contextlib.suppress(ConnectionError):
            for piece in frame.pieces():
                self._told.write(piece)
                await self._told.drain()

    def kill(self) -> None:
        """End the process and all it started."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    async def gone(self) -> int:
        """Wait for the end of a process that was killed or leaves; gives its exit status.

        What it wrote and nobody read is read to its end: asyncio sees a process end when its pipes have.
        """
        for telling in self._telling:
            telling.cancel()
        self._told.close()
        while await self.frames.read(PIECE):
            pass
        status = await self.process.wait()
        await self._listening
        return status


class LocalBackend:
    """Runs each job in a process of its own.

    memory: bytes that a worker may hold. silence: seconds without a sign of life after which a worker is given up;
    standstill: seconds without a training step; patience: seconds that the first sign of life may take.
    """

    def __init__(
        self,
        memory: int,
        command: Sequence[str] = COMMAND,
        silence: float = 30.0,
        standstill: float = 600.0,
        patience: float = 120.0,
    ):
        self.command = (*command, str(memory))
        self.silence, self.standstill, self.patience = silence, standstill, patience
        self._spare: asyncio.Task[Child] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        spare, self._spare = self._spare, None
        with contextlib.suppress(OSError):  # one that could not be started
            if spare:
                child = await spare
                child.kill()
                await child.gone()

    def warm(self) -> None:
        """Have a worker ready that has loaded everything but its job."""
        if self._spare is None:
            self._spare = asyncio.create_task(self._spawned())

    async def start(self, job: Job) -> Child:
        """Give the job to a worker, the one that waits or a new one."""
        spare, self._spare = self._spare, None
        try:
            child = await (spare or self._spawned())
            if child.process.returncode is not None:
                await child.gone()
                child = await self._spawned()
        except OSError as error:
            raise CannotStart(f"no worker can be started: {error.strerror}") from error
        child.tell(Frame("job", {"spec": len(job.spec)}, job.spec + (job.resume or b"")))
        return child

    async def events(self, handle: Child) -> AsyncGenerator[Frame, None]:
        """The job's events; a worker that is gone, stands still or talks nonsense is an exit like others."""
        frame = None
        try:
            async for frame in self._frames(handle):
                yield frame
        finally:
            handle.kill()
            status = await handle.gone()
            failed = frame is not None and frame.name == "exit" and frame.data.get("how") == "failed"
            if failed and handle.said:
                self._report(handle, status)
        if frame is None or frame.name != "exit":
            self._report(handle, status)
            how = f"signal {-status}" if status < 0 else f"exit status {status}"
            yield leaving("lost", f"the worker was ended by {how}")

    async def stop(self, handle: Child, grace: float) -> None:
        """Ask the job to leave; kill its process when it has not gone in time."""
        if grace > 0:
            handle.tell(Frame("stop"))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await handle.process.wait()
                return
        handle.kill()

    async def _frames(self, handle: Child) -> AsyncGenerator[Frame, None]:
        """What a child writes, to its last frame or its end; a silent child, or one that stands still, is lost."""
        turns: object = -1
        allowed, moved = self.patience, time.monotonic()
        while True:
            try:
                async with asyncio.timeout(allowed):
                    frame = await read_frame(handle.frames)
            except TimeoutError:
                yield leaving("lost", f"the worker gave no sign of life for {allowed:.0f} s")
                return
            except asyncio.IncompleteReadError:
                return
            except BadFrame as bad:
                self._report(handle, None)
                yield leaving("failed", f"the worker sent {bad}")
                return
            allowed = self.silence
            if frame.name != "beat":
                yield frame
                moved = time.monotonic()
                if frame.name == "exit":
                    return
            elif frame.data.get("turns") != turns:
                turns, moved = frame.data.get("turns"), time.monotonic()
            elif time.monotonic() - moved > self.standstill:
                yield leaving("lost", f"the training did not get on for {self.standstill:.0f} s")
                return

    async def _spawned(self) -> Child:
        process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            limit=2**20,
            # a group, to be ended as one, but no session: Linux would give that a share of the processors of its own,
            # as large as the server's, however polite the worker is (sched(7), autogroup)
            process_group=0,
            env={**os.environ, **ENVIRONMENT},
        )
        return Child(process)

    def _report(self, handle: Child, status: int | None) -> None:
        said = b"".join(handle.said)[-SAID:]
        log.warning("worker %d ended with status %s; it said %r", handle.process.pid, status, said)
