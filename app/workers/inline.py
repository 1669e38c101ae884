"""Trainings in threads of the server's own process: for tests and for a look at one in a debugger."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Self

from gatescope.app.workers.job import Job, work
from gatescope.app.workers.protocol import Frame


class Thread:
    """A training as an iterator that threads take turns to move on."""

    def __init__(self, job: Job):
        self.asked_to_stop = threading.Event()
        self.frames: Iterator[Frame] = work(job, self.asked_to_stop.is_set)


class InlineBackend:
    """Runs every job in this process. A thread cannot be ended by force: `stop` only asks."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    def warm(self) -> None:
        """Nothing needs to be got ready."""

    async def start(self, job: Job) -> Thread:
        """Begin a job."""
        return Thread(job)

    async def events(self, handle: Thread) -> AsyncGenerator[Frame, None]:
        """The job's events; it works only while it is asked for the next one."""
        while frame := await asyncio.to_thread(next, handle.frames, None):
            yield frame

    async def stop(self, handle: Thread, grace: float) -> None:
        """Ask the job to leave."""
        handle.asked_to_stop.set()
