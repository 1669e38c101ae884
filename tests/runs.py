"""Runs for the tests: a small training, a supervisor around it, and what the log and the checkpoints say of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import orjson
from safetensors.numpy import load

from gatescope.app.runs.checkpoints import Checkpoints
from gatescope.app.runs.run import Run
from gatescope.app.runs.store import Store
from gatescope.app.runs.supervisor import Supervisor
from gatescope.app.runs.training import Limits
from gatescope.app.workers.backends import Backend
from gatescope.app.workers.job import Job
from gatescope.app.workers.protocol import Frame
from gatescope.models.training.recipe import Recipe

TEXT = "".join(f"{n} green bottles hanging on the wall, {n} green bottles; " for n in range(100, 0, -1))
TOLD_ALIKE = ("progress", "gates", "sample")


def recipe(**chosen) -> str:
    """A recipe as the store keeps it: a small gru, fifty steps, everything told often."""
    small = {"cell": "gru", "hidden": 16, "batch_size": 8, "sequence_length": 16, "steps": 50, "dropout": 0.1}
    often = {"report_every": 2, "validate_every": 10, "sample_every": 10, "checkpoint_every": 10}
    return json.dumps(Recipe(**{**small, **often, **chosen}).to_json())


class Trainings:
    """A store, its checkpoints and a supervisor that trains its runs."""

    def __init__(self, folder: Path, backend: Backend, workers: int = 1, seconds: float = 3600.0):
        self.store = Store(folder)
        self.checkpoints = Checkpoints(folder, self.store)
        self.supervisor = Supervisor(self.store, self.checkpoints, backend, workers, Limits(seconds))

    def create(self, owner: str = "somebody", **chosen) -> str:
        """The id of a new run."""
        id = self.store.create(owner, "Bottles", recipe(**chosen), TEXT.encode()).id
        self.supervisor.wake()
        return id

    def handles(self) -> list:
        """The workers that train now, as the backend knows them."""
        found = (training.handle for training in self.supervisor._trainings.values())
        return [handle for handle in found if handle is not None]

    def told(self, id: str, name: str) -> list[dict]:
        """The data of a run's events of this name."""
        return [orjson.loads(event.body) for event in self.store.events(0, [id], 10**6) if event.name == name]

    def states(self, id: str) -> list[str]:
        """The states that a run was in."""
        return [event["state"] for event in self.told(id, "state")]

    async def until(self, id: str, holds: Callable[[Run], bool], seconds: float = 60.0) -> Run:
        """The run, as soon as this holds of it."""
        async with asyncio.timeout(seconds):
            while True:
                after = self.store.last_id()
                if holds(run := self.store.get(id)):
                    return run
                await self.store.wait(after, 0.2)

    async def until_step(self, id: str, step: int) -> None:
        """Wait until the log tells of a step."""
        await self.until(id, lambda run: (self.store.latest(id, "progress") or {"step": 0})["step"] >= step)

    async def over(self, id: str, seconds: float = 60.0) -> Run:
        """The run when it is over."""
        return await self.until(id, lambda run: run.is_over, seconds)

    def weights(self, id: str) -> dict[str, bytes]:
        """The tensors of the newest checkpoint, bit by bit."""
        _, content, damaged = self.checkpoints.latest(id)
        assert damaged == []
        return {name: np.ascontiguousarray(array).tobytes() for name, array in load(content).items()}

    def log(self, id: str) -> list[tuple]:
        """What does not depend on time or on interruptions: every step that was told, with its figures."""
        figures = ("step", "loss", "validation_loss", "gradient_norm", "text", "layers", "finished")
        events = self.store.events(0, [id], 10**6)
        assert [event.id for event in events] == sorted({event.id for event in events})
        told = [(event.name, orjson.loads(event.body)) for event in events if event.name in TOLD_ALIKE]
        return [(name, *(json.dumps(data.get(figure)) for figure in figures)) for name, data in told]


@asynccontextmanager
async def trainings(folder: Path, backend: Backend, **more) -> AsyncIterator[Trainings]:
    """Trainings for the length of an `async with` block."""
    found = Trainings(folder, backend, **more)
    found.store.open()
    try:
        async with found.supervisor:
            yield found
    finally:
        found.store.close()


def played(backend: Backend, job: Job, meanwhile, afterwards) -> list[Frame]:
    """The frames of a job; `meanwhile` is called with the handle at each of them, `afterwards` with it at the end."""

    async def collected():
        found = []
        async with backend:
            handle = await backend.start(job)
            async for frame in backend.events(handle):
                found.append(frame)
                if meanwhile:
                    await meanwhile(handle, frame)
            await afterwards(handle)
        return found

    return asyncio.run(collected())
