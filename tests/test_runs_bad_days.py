"""The keeper of runs when its database fails: at any call, in any order, nothing is stranded, lost or left alive."""

import asyncio
import logging
import os
import random
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from gatescope.app.runs.checkpoints import Checkpoints
from gatescope.app.runs.database import Unavailable
from gatescope.app.runs.store import Store
from gatescope.app.server import create_app
from gatescope.app.settings import Settings
from gatescope.app.workers.inline import InlineBackend
from gatescope.app.workers.local import LocalBackend
from tests.faults_of_a_store import Once, faulty
from tests.fire.faulty.faulty import fault
from tests.runs import Trainings, trainings
from tests.runs_over_http import ENDLESS, owned, posted, started
from tests.service import serve

SMALL = {"steps": 4, "hidden": 4, "report_every": 2, "validate_every": 4, "sample_every": 4, "checkpoint_every": 2}


async def trained(folder: Path, **chosen) -> tuple[list, dict, list]:
    async with trainings(folder, InlineBackend()) as runs:
        id = runs.create(**SMALL | chosen)
        run = await runs.over(id)
        assert run.state == "finished"
        return runs.log(id), runs.weights(id), runs.states(id)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[tuple[list, dict, list], int]:
    """What the small training comes to, and how many statements it takes after it was created."""
    numbers = []
    with faulty(lambda number, what: numbers.append(number)):
        return asyncio.run(trained(tmp_path_factory.mktemp("undisturbed"))), len(numbers)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["busy", "ioerr", "full"])
def test_whichever_call_fails_once_the_run_comes_to_the_same(tmp_path, undisturbed, name):
    same, statements = undisturbed
    assert statements > 50
    for number in range(0, statements * 8 // 10, 7 if name == "busy" else 23):
        once = Once(number, name)
        with faulty(once):
            assert asyncio.run(trained(tmp_path / str(number))) == same, number
        assert once.met, number


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_where_every_sixth_call_fails_it_comes_to_the_same(tmp_path, undisturbed, seed):
    chance = random.Random(seed)

    def often(number: int, what: str) -> BaseException | None:
        failing = chance.random() < 1 / 6
        return fault(chance.choice(["busy", "ioerr", *(["full"] if what == "write" else [])])) if failing else None

    with faulty(often):
        log, weights, states = asyncio.run(trained(tmp_path))
    assert (log, weights) == undisturbed[0][:2] and states[-1] == "finished"


@pytest.mark.slow
def test_a_fault_that_nobody_foresaw_stops_neither_the_queue_nor_the_run(tmp_path, undisturbed, caplog):
    for number in range(3, undisturbed[1], 31):
        with faulty(lambda at, what, number=number: MemoryError() if at == number else None):
            log, weights, states = asyncio.run(trained(tmp_path / str(number)))
        assert (log, weights) == undisturbed[0][:2] and states[-1] == "finished"
    assert {record.levelno for record in caplog.records} >= {logging.ERROR}


@pytest.mark.slow
def test_no_worker_outlives_a_call_that_fails(tmp_path):
    """Every read fails for a while as soon as there is a worker: none is left behind, and none is started beside it."""
    children, failing = [], []

    class Watched(LocalBackend):
        async def start(self, job):
            child = await super().start(job)
            children.append(child)
            failing[:] = [fault("busy")] * 5
            return child

    async def played():
        async with trainings(tmp_path, Watched(2**31)) as runs:
            id = runs.create(steps=20)
            assert (await runs.over(id)).state == "finished"
        assert all(child.process.returncode is not None for child in children)

    with faulty(lambda number, what: failing.pop() if failing else None):
        asyncio.run(played())
    assert 1 <= len(children) <= 2


@pytest.mark.slow
def test_a_run_that_nobody_trains_is_taken_back(tmp_path):
    async def played():
        async with trainings(tmp_path, InlineBackend()) as runs:
            id = runs.store.create("somebody", "Bottles", "{}", b"text").id
            assert runs.store.move(id, ["queued"], "running")
            await runs.over(runs.create(**SMALL))
            assert (await runs.over(id)).state == "failed"  # its recipe is none
            assert runs.states(id)[:3] == ["queued", "running", "queued"]

    asyncio.run(played())


def test_a_checkpoint_that_cannot_be_read_once_is_no_damaged_one(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.open()
    checkpoints, id = Checkpoints(tmp_path, store), store.create("somebody", "", "{}", b"text").id
    store.append(id, "checkpoint", {"step": 1}, 1, checkpoints.keep(id, 1, b"content", False))
    real, errors = Path.read_bytes, [OSError(5, "Input/output error")]
    monkeypatch.setattr(Path, "read_bytes", lambda path: (_ for _ in ()).throw(errors.pop()) if errors else real(path))
    assert checkpoints.latest(id)[1:] == (b"content", []) and errors == []
    store.close()


def locked(path: Path) -> sqlite3.Connection:
    """A connection that holds the database so that nobody else can write."""
    other = sqlite3.connect(path / "runs.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


@pytest.mark.slow
def test_however_many_wait_for_a_locked_database_each_waits_five_seconds(tmp_path):
    store = Store(tmp_path)
    store.open()
    store.database.patience = 1.0
    waited = []

    def write():
        began = time.monotonic()
        with pytest.raises(Unavailable):
            store.create("somebody", "", "{}", b"text")
        waited.append(time.monotonic() - began)

    with closing(locked(tmp_path)):
        threads = [threading.Thread(target=write) for _ in range(12)]
        for thread in threads:
            thread.start()
        assert store.runs() == []  # who reads does not wait
        for thread in threads:
            thread.join()
    assert len(waited) == 12 and max(waited) < 4
    assert store.create("somebody", "", "{}", b"text").state == "queued"
    store.close()


@pytest.mark.slow
def test_readiness_knows_a_locked_a_full_and_a_silent_store(tmp_path):
    app = create_app(Settings(data=tmp_path, workers=1))
    with serve(app.state.settings, app) as address, httpx.Client(base_url=address, timeout=60) as client:
        assert client.get("/readyz").json() == {"status": "ready"}
        with closing(locked(tmp_path)):
            time.sleep(1.1)
            began = time.monotonic()
            refused = client.get("/readyz")
            assert refused.status_code == 503 and "does not answer now" in refused.json()["detail"]
            assert time.monotonic() - began < 4 and client.get("/healthz").status_code == 200
        with app.state.store.database.writing() as connection:
            free, pages = (connection.execute(f"PRAGMA {n}").fetchone()[0] for n in ("freelist_count", "page_count"))
            connection.execute(f"PRAGMA max_page_count={pages}")
            connection.execute("INSERT INTO scratch VALUES (zeroblob(?))", (free * 4050,))
        deadline = time.monotonic() + 30
        while "the disk takes no more" not in (refused := client.get("/readyz")).text:
            assert time.monotonic() < deadline, refused.text
            time.sleep(0.3)
        assert refused.status_code == 503
        with app.state.store.database.writing() as connection:
            connection.execute(f"PRAGMA max_page_count={2**30}")
        while client.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.3)
        app.state.supervisor._turned -= 1000
        app.state.supervisor.keeping._troubles["a call"] = "the disk takes no more"
        assert client.get("/readyz").json()["detail"] == "the disk takes no more"


@pytest.mark.slow
def test_a_deletion_is_told_as_it_is_also_where_the_disk_takes_no_more(tmp_path):
    app = create_app(Settings(data=tmp_path, workers=1, backend="inline"))
    with serve(app.state.settings, app) as address, httpx.Client(base_url=address, timeout=60) as client:
        made, other = (started(client, **ENDLESS) for _ in range(2))
        database = app.state.store.database
        forget, database.forget = database.forget, lambda: False  # the log of what is ahead cannot be written back
        assert client.delete(made["links"]["self"], headers=owned(made)).status_code == 204
        assert client.get(made["links"]["self"]).status_code == 404
        database.forget = forget
        folder = tmp_path / "runs" / other["id"]
        folder.mkdir(exist_ok=True)
        (folder / "kept").mkdir()
        remove, app.state.checkpoints.remove = (
            app.state.checkpoints.remove,
            lambda run: (_ for _ in ()).throw(Unavailable("the disk does not let go")),
        )
        assert client.delete(other["links"]["self"], headers=owned(other)).status_code == 204
        assert client.get(other["links"]["self"]).status_code == 404 and app.state.store.get(other["id"])
        assert client.get("/api/runs").json()["runs"] == []
        app.state.checkpoints.remove = remove
        deadline = time.monotonic() + 30
        while app.state.store.get(other["id"]) or folder.exists():
            assert time.monotonic() < deadline, "it was never carried out"
            time.sleep(0.1)


@pytest.mark.slow
def test_a_server_leaves_soon_though_nobody_reads_what_its_worker_writes(tmp_path):
    """The disk takes no checkpoint, so nothing more is read of a worker, which has written megabytes."""

    async def played() -> float:
        async with trainings(tmp_path, LocalBackend(2**31)) as runs:
            id = runs.create(hidden=400, steps=10**6, checkpoint_every=2)
            await runs.until_step(id, 4)
            (tmp_path / "runs" / id).rename(tmp_path / "elsewhere")
            (tmp_path / "runs" / id).write_text("a file where the folder was")
            await asyncio.sleep(3)
            assert "could not be written" in (runs.supervisor.trouble or "")
            (child,) = runs.handles()
            began = time.monotonic()
        assert child.process.returncode is not None
        return time.monotonic() - began

    assert asyncio.run(played()) < 10


@pytest.mark.slow
def test_a_worker_that_reads_nothing_is_given_up_like_any_other(tmp_path):
    """A job longer than a pipe, for a process that never reads: who starts it does not wait for ever."""

    async def played():
        deaf = LocalBackend(2**31, [os.sys.executable, "-c", "import time; time.sleep(60)"], patience=0.5)
        async with trainings(tmp_path, deaf) as runs:
            runs.store.create("somebody", "Long", "{}", b"long " * 400_000)
            (id,) = [run.id for run in runs.store.runs()]
            runs.supervisor.wake()
            assert "gave no sign of life" in (await runs.over(id)).reason

    asyncio.run(played())


def test_nothing_of_what_is_refused_is_kept(tmp_path):
    runs = Trainings(tmp_path, InlineBackend())
    runs.store.open()

    def admit(load):
        raise Unavailable("not now")

    with pytest.raises(Unavailable):
        runs.store.create("somebody", "", "{}", b"text", None, None, admit)
    assert runs.store.runs() == [] and runs.store.last_id() == 0
    runs.store.close()


def test_ready_says_nothing_of_what_was_sent(tmp_path):
    with serve(Settings(data=tmp_path, backend="inline")) as address, httpx.Client(base_url=address) as client:
        assert posted(client, "a secret text " * 50, dry_run=True).status_code == 200
        assert "secret" not in client.get("/readyz").text
