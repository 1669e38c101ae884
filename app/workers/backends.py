"""Where a training runs: in a process of this machine, on a Ray cluster, or, for tests, in a thread."""

from collections.abc import AsyncGenerator
from typing import Protocol, Self, TypeVar

from gatescope.app.workers.job import Job
from gatescope.app.workers.protocol import Frame

Handle = TypeVar("Handle")  # by what a backend knows the worker of one job


class CannotStart(Exception):
    """No worker can be had at present; the message says why."""


class Backend(Protocol[Handle]):
    """What the supervisor needs of a place where trainings run; used within `async with`."""

    async def start(self, job: Job) -> Handle:
        """Begin a job; raises CannotStart."""

    def events(self, handle: Handle) -> AsyncGenerator[Frame, None]:
        """The job's events, as they happen, the last being its `exit`; whatever becomes of the worker."""

    async def stop(self, handle: Handle, grace: float) -> None:
        """Have the job leave a checkpoint and go; end it by force after `grace` seconds. `events` tells the exit."""

    def warm(self) -> None:
        """Get ready for a job that is about to come, where that saves time."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *error: object) -> None: ...
