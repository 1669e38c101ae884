"""One suite over every backend: the same job gives the same frames and the same bits wherever it runs, and whatever
befalls it there is told as an exit. `ray` is a real cluster of two nodes with one processor each.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatescope.app.settings import CannotServe, Settings
from gatescope.app.workers.backends import Backend, CannotStart
from gatescope.app.workers.choice import backend_of
from gatescope.app.workers.inline import InlineBackend
from gatescope.app.workers.job import Job, work
from gatescope.app.workers.local import LocalBackend
from gatescope.app.workers.protocol import Frame
from gatescope.app.workers.ray import RayBackend
from tests.runs import TEXT, played, recipe, trainings

LOOPBACK = "127.0.0.1"
pytestmark = pytest.mark.slow
FIGURES = ("step", "loss", "validation_loss", "text", "finished")


def a_job(resume: bytes | None = None, **chosen) -> Job:
    spec = {"text": TEXT, "recipe": json.loads(recipe(**chosen)), "title": ""}
    return Job(json.dumps(spec).encode(), resume)


def told(frames: list[Frame]) -> list[tuple]:
    """What does not depend on time."""
    return [(frame.name, *(frame.data.get(figure) for figure in FIGURES)) for frame in frames]


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The address of a Ray cluster of two nodes on loopback."""
    # Ray reads these when it is imported; the second one makes it keep to loopback.
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    node = {"num_cpus": 1, "num_gpus": 0, "node_ip_address": LOOPBACK}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    cluster.add_node(**node | {"num_gpus": 1})  # Ray counts it, whether there is one or not
    yield cluster.address
    cluster.shutdown()


@pytest.fixture(params=["local", "inline", "ray"])
def backend(request: pytest.FixtureRequest) -> Backend:
    if request.param == "inline":
        return InlineBackend()
    if request.param == "local":
        return LocalBackend(2**31, silence=5)
    return RayBackend(request.getfixturevalue("cluster"), "cpu", silence=5)


@pytest.fixture(scope="module")
def reference() -> list[Frame]:
    """The frames of the small job, done right here."""
    return list(work(a_job(), lambda: False))


def process_of(backend: Backend, handle) -> int:
    """The process that a job runs in."""
    if isinstance(backend, LocalBackend):
        return handle.process.pid
    names = {path.parent.name: path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()}
    (found,) = [int(id) for id, name in names.items() if name.startswith(b"ray::Trainer")]
    return found


def frames_of(backend: Backend, job: Job, meanwhile=None) -> list[Frame]:
    """The frames of a job, which may then be stopped as often as one likes."""

    async def stopped(handle):
        await backend.stop(handle, 0)
        await backend.stop(handle, 1)

    return played(backend, job, meanwhile, stopped)


def test_the_same_job_gives_the_same_frames_and_the_same_bits(backend, reference):
    frames = frames_of(backend, a_job())
    assert told(frames) == told(reference)
    assert frames[-1].data == {"how": "finished", "reason": "all steps are done"}
    assert weights(frames) == weights(reference)


def weights(frames: list[Frame]) -> bytes:
    """The last checkpoint's tensors: what follows its header, which tells times too."""
    content = frames[-2].content
    return content[8 + int.from_bytes(content[:8], "little") :]


def test_stopped_and_gone_on_with_it_comes_to_the_same(backend, reference):
    async def leave(handle, frame):
        if frame.name == "progress" and frame.data["step"] == 6:
            stops.append(asyncio.create_task(backend.stop(handle, 60)))

    stops = []
    first = frames_of(backend, a_job(), leave)
    assert first[-1].data["how"] == "left" and 6 <= first[-2].data["step"] < 50
    second = frames_of(backend, a_job(first[-2].content))
    assert told(first[:-2] + second) == told(reference) and weights(second) == weights(reference)


def test_what_cannot_be_trained_fails_with_its_reason(backend):
    frames = frames_of(backend, a_job(learning_rate=1e30, clip=1e9))
    assert frames[-1].data["how"] == "failed" and frames[-1].data["reason"].startswith("diverged at step ")
    frames = frames_of(backend, a_job(batch_size=4096))
    assert len(frames) == 1 and frames[0].data["reason"].startswith("text: ")


@pytest.mark.parametrize("signal", [signal.SIGKILL, signal.SIGSTOP])
def test_a_killed_or_frozen_worker_is_lost(backend, signal):
    if isinstance(backend, InlineBackend):
        pytest.skip("its worker is this process")

    async def strike(handle, frame):
        if frame.name == "progress" and frame.data["step"] == 6:
            os.kill(process_of(backend, handle), signal)

    frames = frames_of(backend, a_job(steps=10**6), strike)
    assert frames[-1].data["how"] == "lost" and frames[-1].data["reason"].startswith("the worker ")


def test_ended_by_force_it_tells_an_exit(backend):
    async def end(handle, frame):
        if frame.name == "progress" and frame.data["step"] == 6:
            await backend.stop(handle, 0)

    frames = frames_of(backend, a_job(steps=10**6), end)
    assert frames[-1].data["how"] == ("left" if isinstance(backend, InlineBackend) else "lost")


def test_a_run_whose_worker_is_killed_comes_to_the_same(backend, reference, tmp_path):
    if isinstance(backend, InlineBackend):
        pytest.skip("its worker is this process")

    async def played():
        async with trainings(tmp_path, backend) as runs:
            id = runs.create(steps=400, report_every=10, checkpoint_every=20)
            await runs.until_step(id, 50)
            os.kill(process_of(backend, *runs.handles()), signal.SIGKILL)
            run = await runs.over(id, 90)
            assert run.state == "finished"
            assert runs.states(id) == ["queued", "running", "queued", "running", "finished"]
            assert [event["step"] for event in runs.told(id, "progress")] == list(range(10, 401, 10))
            return runs.checkpoints.latest(id)[1]

    content = asyncio.run(played())
    undisturbed = list(work(a_job(steps=400, report_every=10, checkpoint_every=20), lambda: False))
    assert content[8 + int.from_bytes(content[:8], "little") :] == weights(undisturbed)


def test_the_settings_choose(monkeypatch):
    for name, kind in (("local", LocalBackend), ("inline", InlineBackend), ("ray", RayBackend)):
        assert type(backend_of(Settings(backend=name))) is kind
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(CannotServe, match="needs Ray, which is not installed: pip install"):
        backend_of(Settings(backend="ray"))


def test_ray_trains_on_every_node(cluster):
    async def nodes():
        async with RayBackend(cluster, "cpu") as backend:
            handles = [await backend.start(a_job(steps=10**6)) for _ in range(2)]
            found = [await handle.trainer.node.remote() for handle in handles]
            for handle in handles:
                await backend.stop(handle, 0)
        return found

    assert len(set(asyncio.run(nodes()))) == 2


@pytest.mark.parametrize(("device", "gpus"), [("auto", 1), ("cpu", 0)])
def test_on_a_cluster_with_gpus_a_run_is_given_one(cluster, device, gpus):
    async def node():
        async with RayBackend(cluster, device) as backend:
            handle = await backend.start(a_job(steps=10**6))
            found = await handle.trainer.node.remote()
            (has,) = [each["Resources"].get("GPU", 0) for each in ray.nodes() if each["NodeID"] == found]
            await backend.stop(handle, 0)
        return has

    ray = pytest.importorskip("ray")
    assert asyncio.run(node()) == gpus


def test_a_cluster_that_is_not_there_is_said(cluster):
    async def started():
        async with RayBackend(f"{LOOPBACK}:1") as backend:
            await backend.start(a_job())

    with pytest.raises(CannotStart, match="the Ray cluster at 127.0.0.1:1 cannot be reached"):
        asyncio.run(started())
