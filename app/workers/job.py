"""A job: what a worker is given, and the frames that it answers with. The same on every backend."""

import contextlib
import hashlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gatescope.app.logs import fault_trail
from gatescope.app.workers.protocol import Frame, leaving
from gatescope.models.refused import Refused
from gatescope.models.training.checkpoint import BadCheckpoint
from gatescope.models.training.device import batches_here
from gatescope.models.training.job import Diverged, MemoryHost, Spec, run_job
from gatescope.models.training.recipe import Recipe

# torch says a lack of memory as a RuntimeError: of the processor's, of a GPU's
NO_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED")


@dataclass(frozen=True)
class Job:
    """A training to begin or to go on with. spec: as JSON; resume: the content of a checkpoint."""

    spec: bytes
    resume: bytes | None = None


class CheckpointSink:
    """What the training asks of whoever runs it: whether to stop, and to take its checkpoints."""

    def __init__(self, should_stop: Callable[[], bool]):
        self.should_stop, self.content = should_stop, b""

    def save(self, content: bytes, step: int) -> dict[str, Any]:
        """Take a checkpoint; it travels with its event."""
        self.content = content
        return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def work(job: Job, should_stop: Callable[[], bool]) -> Iterator[Frame]:
    """Do a job; yields its events and then its exit, and raises nothing."""
    hand, finished, reason = CheckpointSink(should_stop), False, None
    try:
        for name, data in run_job(Spec.from_json(job.spec), job.resume, hand, batches_here()):
            if name == "checkpoint":
                finished, reason = data["finished"], data["reason"]
                yield Frame(name, data, hand.content)
            else:
                yield Frame(name, data)
    except (Diverged, Refused, BadCheckpoint) as error:
        yield leaving("failed", str(error))
    except Exception as error:
        if isinstance(error, MemoryError) or any(said in str(error) for said in NO_MEMORY):
            yield leaving("failed", "memory: the training needs more than a worker may have")
        else:
            print(*fault_trail(error), sep="\n", file=sys.stderr)
            yield leaving("failed", "a fault in the training itself; the server's log has it")
    else:
        yield leaving("finished" if finished else "left", reason)


def warm() -> None:
    """Load what takes long to load, before there is a job: by the smallest training there is."""
    recipe = Recipe(hidden=1, batch_size=1, sequence_length=1, steps=1)
    with contextlib.suppress(Refused):  # a device that is not there is told of the job
        for _ in run_job(Spec("abcd", recipe), None, MemoryHost(), batches_here()):
            pass
