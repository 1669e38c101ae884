"""Trainings on a Ray cluster that is there already; this machine belongs to it. The nodes need the packages that
Gatescope needs; Gatescope itself is sent to them.

Ray repeats nothing by itself: a job that is lost is begun again by the supervisor, from its latest checkpoint.
"""

import asyncio
import contextlib
import logging
import shutil
import socket
import tempfile
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from gatescope.app.workers.backends import CannotStart
from gatescope.app.workers.job import Job, work
from gatescope.app.workers.protocol import BadFrame, Frame, from_worker, leaving
from gatescope.models.training.device import VARIABLE

NOT_SENT = ("weights", "static", "templates", "__pycache__")
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# So many frames are sent ahead of what the server has read; then the training waits.
AHEAD = 16
REACH_SECONDS = 5
log = logging.getLogger(__name__)


def copied_program(folder: Path) -> Path:
    """A copy, in this folder, of the package `gatescope` as it runs here: what nodes need of it to train."""
    package = folder / "gatescope"
    for name in ("gatescope", "gatescope.app", "gatescope.models"):  # in a checkout they lie apart
        found = find_spec(name)
        for place in (found and found.submodule_search_locations) or ():
            target = package.joinpath(*name.split(".")[1:])
            shutil.copytree(place, target, ignore=shutil.ignore_patterns(*NOT_SENT), dirs_exist_ok=True)
    return package


class Trainer:
    """What runs on a node: one job, in a process that ends with it."""

    def __init__(self) -> None:
        self.asked_to_stop = threading.Event()

    def frames(self, job: Job) -> Iterator[bytes]:
        """Do the job; yields its frames as they travel."""
        for frame in work(job, self.asked_to_stop.is_set):
            yield frame.to_bytes()

    def stop(self) -> None:
        """Ask the job to leave."""
        self.asked_to_stop.set()

    def node(self) -> str:
        """Where it runs, which is also a sign of life."""
        import ray

        node: str = ray.get_runtime_context().get_node_id()
        return node


@dataclass
class Actor:
    """A trainer on some node (a handle, which Ray makes of `Trainer`), the stream of its frames, and whether all of
    them were read.
    """

    trainer: Any
    stream: AsyncIterator[Awaitable[bytes]]
    read: asyncio.Event = field(default_factory=asyncio.Event)


class RayBackend:
    """Runs each job in an actor of its own, one processor each, and a GPU if there are any; Ray chooses the node.

    address: of the cluster, as `ray.init` takes it. device: as the setting has it; unless it is `cpu` each job waits
    for a GPU of its own on a cluster that has any. silence: seconds without a frame or a sign of life after which an
    actor is given up.
    """

    def __init__(self, address: str, device: str = "auto", silence: float = 30.0):
        self.address, self.device, self.silence = address, device, silence

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        import ray

        await asyncio.to_thread(ray.shutdown)

    def warm(self) -> None:
        """Nothing: the node is known only when there is a job."""

    async def start(self, job: Job) -> Actor:
        """Give the job to the cluster; it begins when a node has a processor for it."""
        try:
            return await asyncio.to_thread(self._begun, job)
        except Exception as error:
            log.warning("Ray does not take a run: %r", error)
            raise CannotStart(f"the Ray cluster at {self.address} cannot be reached") from error

    def _begun(self, job: Job) -> Actor:
        import ray

        if not ray.is_initialized():
            host, colon, port = self.address.rpartition(":")
            if colon:  # Ray itself would try for minutes
                socket.create_connection((host, int(port)), REACH_SECONDS).close()
            quiet = {"log_to_driver": False, "configure_logging": False}
            with tempfile.TemporaryDirectory() as folder:
                node = {
                    "py_modules": [str(copied_program(Path(folder)))],
                    "env_vars": ENVIRONMENT | {VARIABLE: self.device},
                }
                ray.init(self.address, namespace="gatescope", runtime_env=node, **quiet)
        gpus = 1 if self.device != "cpu" and ray.cluster_resources().get("GPU", 0) >= 1 else 0
        options = {"num_cpus": 1, "num_gpus": gpus, "max_restarts": 0, "max_task_retries": 0, "max_concurrency": 3}
        trainer = ray.remote(Trainer).options(**options).remote()
        streamed = {"num_returns": "streaming", "_generator_backpressure_num_objects": AHEAD}
        return Actor(trainer, trainer.frames.options(**streamed).remote(job))

    async def events(self, handle: Actor) -> AsyncGenerator[Frame, None]:
        """The job's events; an actor that is gone or silent is an exit like others."""
        import ray

        try:
            await handle.trainer.node.remote()  # however long it waits for its turn on the cluster
            while True:
                frame = from_worker(await self._next(handle))
                yield frame
                if frame.name == "exit":
                    return
        except BadFrame as bad:
            yield leaving("failed", f"the worker sent {bad}")
        except TimeoutError:
            yield leaving("lost", f"the worker gave no sign of life for {self.silence:.0f} s")
        except ray.exceptions.OutOfMemoryError:
            yield leaving("failed", "memory: the training needs more than its node has")
        except (ray.exceptions.RayError, StopAsyncIteration) as error:
            log.warning("an actor is lost: %r", error)
            yield leaving("lost", "the worker on the Ray cluster is gone")
        finally:
            handle.read.set()
            await self.stop(handle, 0)

    async def _next(self, handle: Actor) -> bytes:
        """The next frame, however long it takes while the actor gives signs of life; raises TimeoutError."""
        coming = asyncio.ensure_future(anext(handle.stream))
        while not (await asyncio.wait([coming], timeout=self.silence))[0]:
            async with asyncio.timeout(self.silence):
                await handle.trainer.node.remote()
        return await coming.result()

    async def stop(self, handle: Actor, grace: float) -> None:
        """Ask the job to leave; end its process when it has not gone in time."""
        import ray

        if grace > 0:
            with contextlib.suppress(ray.exceptions.RayError, TimeoutError):
                async with asyncio.timeout(grace):
                    await handle.trainer.stop.remote()
                    await handle.read.wait()
                return
        with contextlib.suppress(ray.exceptions.RayError):
            await asyncio.to_thread(ray.kill, handle.trainer)
