"""Runs and the worst: workers and servers killed at any moment, frozen, out of disk. Nothing is lost or doubled."""

import asyncio
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from gatescope.app.runs.store import Store
from gatescope.app.workers.local import LocalBackend
from tests.fire.process import ServerProcess
from tests.runs import TEXT, Trainings, recipe, trainings

pytestmark = pytest.mark.slow

OFTEN = {"report_every": 10, "validate_every": 100, "sample_every": 100, "checkpoint_every": 50}
LONG = {"hidden": 64, "batch_size": 32, "sequence_length": 32, "steps": 1500, "patience": 10**6, **OFTEN}
PATIENCE = 90
# Whom to kill, and when: steps after it got on, or how far a server has come with its own start.
KILLS = [
    ("server", "begins"),
    ("worker", 0),
    ("server", "answers"),
    ("worker", 1),
    ("server", "has a worker"),
    ("worker", 13),
    ("server", 7),
    ("worker", 40),
    ("worker", 21),
    ("server", 0),
]


@contextmanager
def server(data: Path) -> Iterator[tuple[subprocess.Popen, httpx.Client]]:
    """A server as a person starts it, killed at the end of the block where it still lives."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "gatescope", "serve", "--port", port, "--data", data]
    with (
        subprocess.Popen(command, stderr=subprocess.DEVNULL) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        try:
            yield process, client
        finally:
            process.kill()


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def until(holds: Callable[[], object], gets_on: Callable[[], object] = lambda: None):
    """What a function gives as soon as that is true; while another one's answer changes, patience begins anew."""
    end, before = time.monotonic() + PATIENCE, gets_on()
    while not (found := holds()):
        if (now := gets_on()) != before:
            end, before = time.monotonic() + PATIENCE, now
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)
    return found


def workers(server: subprocess.Popen) -> list[int]:
    """The processes that train for a server."""
    return [each.number for each in ServerProcess(server.pid).workers()]


def lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def asked(data: Path, query: str) -> list[tuple]:
    """What the database answers, read past the server that holds it."""
    with closing(sqlite3.connect(f"file:{data}/runs.sqlite?mode=ro", uri=True, timeout=30)) as connection:
        return connection.execute(query).fetchall()


def last_step(data: Path) -> int:
    return asked(data, "SELECT coalesce(max(step), 0) FROM event WHERE name = 'progress'")[0][0]


def created(data: Path, **chosen) -> str:
    """The id of a run that waits in a data directory for its first server."""
    store = Store(data)
    store.open()
    id = store.create("somebody", "Bottles", recipe(**chosen), TEXT.encode()).id
    store.close()
    return id


def whole(data: Path, id: str) -> tuple[list, dict]:
    """The log of a run and its weights, from a data directory that no server holds."""
    found = Trainings(data, LocalBackend(2**31))
    found.store.open()
    try:
        assert found.store.get(id).state == "finished"
        return found.log(id), found.weights(id)
    finally:
        found.store.close()


def undisturbed(data: Path, **chosen) -> tuple[list, dict]:
    async def played():
        async with trainings(data, LocalBackend(2**31)) as runs:
            id = runs.create(**chosen)
            assert (await runs.over(id, 10 * PATIENCE)).state == "finished"
            assert runs.states(id) == ["queued", "running", "finished"]
            return runs.log(id), runs.weights(id)

    return asyncio.run(played())


def come(data: Path, server: subprocess.Popen, client: httpx.Client, when: str | int) -> None:
    """Waits until a server, or the run it trains, has come so far."""
    if isinstance(when, int):
        before = last_step(data)
        until(lambda: last_step(data) > before + when)
    elif when == "has a worker":
        until(lambda: workers(server))
    elif when == "answers":
        until(lambda: answers(client))


def kill_the_server(server: subprocess.Popen) -> None:
    """Kill it; its worker goes with it, as soon as it can notice: a library that is being loaded lets nobody in."""
    found = workers(server)
    server.kill()
    until(lambda: not any(map(lives, found)))


def test_killed_ten_times_a_run_comes_to_the_same_bits_and_the_same_log(tmp_path):
    id, left = created(tmp_path, **LONG), [*KILLS]
    while left:
        with server(tmp_path) as (process, client):
            victim = "worker"
            while left and victim == "worker":
                victim, when = left.pop(0)
                come(tmp_path, process, client, when)
                if victim == "worker":
                    os.kill(until(lambda: workers(process))[0], signal.SIGKILL)
            kill_the_server(process)
    assert asked(tmp_path, "SELECT state FROM run") == [("running",)]
    with server(tmp_path):
        over = "SELECT state FROM run WHERE state IN ('finished', 'failed', 'stopped')"
        until(lambda: asked(tmp_path, over), gets_on=lambda: last_step(tmp_path))
    assert asked(tmp_path, "PRAGMA integrity_check") == [("ok",)]
    log, weights = whole(tmp_path, id)
    assert [int(entry[1]) for entry in log if entry[0] == "progress"] == list(range(10, LONG["steps"] + 1, 10))
    assert (log, weights) == undisturbed(tmp_path / "undisturbed", **LONG)


def test_what_was_answered_with_202_exists_after_a_kill_at_once(tmp_path):
    for _ in range(2):
        with server(tmp_path) as (process, client):
            until(lambda: answers(client))
            response = client.post("/api/runs?cell=gru&hidden=8&steps=100000", content=TEXT)
            process.kill()
            assert response.status_code == 202
            process.wait()
        store = Store(tmp_path)
        store.open()
        run = store.get(response.json()["id"])
        assert run.state in ("queued", "running") and store.text(run.id) == TEXT.encode()
        store.close()


def test_a_server_asked_to_end_has_its_worker_leave_a_checkpoint_first(tmp_path):
    id = created(tmp_path, **LONG | {"steps": 10**6, "checkpoint_every": 10**6})
    with server(tmp_path) as (process, client):
        until(lambda: answers(client) and last_step(tmp_path) >= 10)
        (worker,) = workers(process)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        assert time.monotonic() - began < 10 and not lives(worker)
    assert asked(tmp_path, "SELECT max(step) FROM checkpoint")[0][0] >= last_step(tmp_path) >= 10
    reason = "the server was ended while the run was training"
    assert asked(tmp_path, "SELECT id, state, reason FROM run") == [(id, "queued", reason)]


def test_a_worker_that_dies_again_and_again_fails_its_run(tmp_path):
    async def played():
        dying = LocalBackend(2**31, [sys.executable, "-c", "raise SystemExit(3)"])
        async with trainings(tmp_path, dying) as runs:
            id = runs.create()
            run = await runs.over(id)
            assert run.state == "failed"
            assert run.reason == "the worker was ended by exit status 3, 3 times without getting on"
            assert runs.states(id) == ["queued", "running", "queued", "running", "queued", "running", "failed"]

    asyncio.run(played())


def test_a_frozen_worker_is_given_up_and_its_run_goes_on(tmp_path):
    async def played():
        async with trainings(tmp_path, LocalBackend(2**31, silence=2)) as runs:
            id = runs.create(steps=60)
            await runs.until_step(id, 20)
            (child,) = runs.handles()
            child.process.send_signal(signal.SIGSTOP)
            run = await runs.over(id, PATIENCE)
            assert run.state == "finished"
            lost, back = runs.told(id, "state")[2:4]
            assert lost["reason"] == "the worker gave no sign of life for 2 s"
            assert back["reason"].startswith("from step ")
            assert [event["step"] for event in runs.told(id, "progress")] == list(range(2, 61, 2))

    asyncio.run(played())


@contextmanager
def short_of_files(process: subprocess.Popen) -> Iterator[None]:
    """No file of this process can grow."""
    before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    yield
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)


def test_a_full_disk_holds_everything_up_and_loses_nothing(tmp_path):
    data, filler = tmp_path / "small", tmp_path / "small" / "filler"
    data.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", data], capture_output=True)

    @contextmanager
    def full(process: subprocess.Popen) -> Iterator[None]:
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            while True:
                file.write(bytes(1024))
        yield
        filler.unlink()

    try:
        id = created(data, **LONG | {"steps": 400})
        with server(data) as (process, client):
            until(lambda: answers(client) and last_step(data) >= 10)
            with (full if mounted.returncode == 0 else short_of_files)(process):
                until(lambda: client.post("/api/runs?cell=gru&hidden=8", content=TEXT).status_code == 507)
                held = until(lambda: (last_step(data), time.sleep(1)) == (last_step(data), None) and last_step(data))
                time.sleep(1)
                assert last_step(data) == held and answers(client)
                assert client.get(f"/api/runs/{id}").json()["state"] == "running"
            accepted = until(lambda: client.post("/api/runs?cell=gru&hidden=8&steps=50", content=TEXT))
            assert accepted.status_code == 202
            until(lambda: client.get(f"/api/runs/{id}").json()["state"] == "finished")
        assert [int(entry[1]) for entry in whole(data, id)[0] if entry[0] == "progress"] == list(range(10, 401, 10))
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", data], check=True)
