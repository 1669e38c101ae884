"""One process keeps the runs, others only read: real processes on one data directory."""

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from safetensors.numpy import load

from gatescope.app.runs.database import SCHEMAS, Unavailable
from gatescope.app.runs.read_only import ReadOnlyStore
from gatescope.app.runs.store import Store
from gatescope.app.settings import Settings
from tests.runs_over_http import ENDLESS, QUICK, in_state, owned, started
from tests.service import a_server, errors_of, serve

RECIPE = QUICK | {"steps": 1500}


@contextmanager
def process(folder: Path, *arguments: str) -> Iterator[tuple[httpx.Client, int]]:
    """A server on a data directory: a client of it, and its process."""
    pid = folder.parent / f"{len(list(folder.parent.iterdir()))}.pid"
    command = ["sh", "-c", f'echo $$ >"{pid}"; exec "$@"', "sh", sys.executable, "-m", "gatescope"]
    environment = os.environ | {"GATESCOPE_DATA": str(folder), "GATESCOPE_WORKERS": "1"}
    with a_server(["serve", *arguments], command, env=environment) as address:
        with httpx.Client(base_url=address, timeout=60) as client:
            yield client, int(pid.read_text())


def watched(client: httpx.Client, run: str, after: int, ids: list[int], enough: int) -> bool:
    """Follow a run's live log after an event, noting the ids, until its end or until there are enough; whether it has
    ended.
    """
    with client.stream("GET", "/api/events", params={"runs": run, "after": after}) as response:
        assert response.status_code == 200
        ended = False
        for line in response.iter_lines():
            if line.startswith("id: "):
                ids.append(int(line[4:]))
            ended = ended or line == "event: end"
            if not line and (ended or len(ids) >= enough):
                break
    return ended


@pytest.mark.slow
def test_readers_follow_a_run_whose_keeper_is_killed(tmp_path):
    folder = tmp_path / "data"
    with ExitStack() as stack:
        first, _ = stack.enter_context(process(folder, "--reads-only"))  # before there is anything to read
        refused = first.get("/api/events", params={"runs": "0" * 32})
        assert refused.status_code == 503 and refused.headers["retry-after"] and "has not begun" in refused.text
        assert first.get("/readyz").status_code == 503 and first.get("/healthz").status_code == 200
        assert first.get("/api/trace", params={"model": "shakespeare-lstm", "text": "To"}).status_code == 200
        keeper, pid = stack.enter_context(process(folder))
        second, _ = stack.enter_context(process(folder, "--reads-only"))
        run = started(keeper, **RECIPE)
        assert [reader.get("/readyz").status_code for reader in (first, second)] == [200, 200]
        ids: dict[httpx.Client, list[int]] = {first: [], second: []}
        for reader, seen in ids.items():
            assert not watched(reader, run["id"], 0, seen, 4)
        os.kill(pid, signal.SIGKILL)
        known = first.get(f"/api/runs/{run['id']}").json()
        assert known["state"] == "running" and first.get(f"/api/models/{run['id']}").status_code == 200
        watchers = [
            threading.Thread(target=watched, args=(reader, run["id"], seen[-1], seen, 10**9))
            for reader, seen in ids.items()
        ]
        for watcher in watchers:
            watcher.start()
        again, _ = stack.enter_context(process(folder))
        for watcher in watchers:
            watcher.join(90)
            assert not watcher.is_alive()
        assert in_state(first, run, "finished")["reason"] == in_state(again, run, "finished")["reason"]
        log = again.get(run["links"]["log"], params={"limit": 2000}).json()
        assert log["is_over"] and not log["more"]
        kept = [event["id"] for event in log["events"]]
        assert ids[first] == ids[second] == kept
        weights = [load(client.get(run["links"]["weights"]).content) for client in (first, second, again)]
        for name, array in weights[2].items():
            assert np.array_equal(weights[0][name], array) and np.array_equal(weights[1][name], array)
        assert again.delete(run["links"]["self"], headers=owned(run)).status_code == 204
        assert first.get(run["links"]["self"]).status_code == 404


def test_a_reader_changes_nothing_and_says_who_does(tmp_path, data):
    with (
        serve(Settings(data=tmp_path, backend="inline")) as keeper,
        serve(Settings(data=tmp_path, reads_only=True)) as reader,
        httpx.Client(base_url=keeper) as kept,
        httpx.Client(base_url=reader) as read,
    ):
        run, content = started(kept, **ENDLESS), (data / "small-lstm.safetensors").read_bytes()
        octets = {"Content-Type": "application/octet-stream"}
        upload = kept.post("/api/models", content=content, headers=octets).json()
        before = contents(tmp_path)
        changes = [("POST", "/api/runs"), ("POST", "/api/runs?dry_run=true"), ("DELETE", run["links"]["self"])]
        changes += [("POST", f"{run['links']['self']}/{action}") for action in ("pause", "resume", "stop")]
        changes += [("POST", "/api/models"), ("DELETE", f"/api/models/{upload['id']}"), ("PUT", "/api/runs")]
        for method, path in changes:
            response = read.request(method, path, headers=owned(run), content=content[:99])
            assert "keeps the runs" in errors_of(response, 405)["method"] and "allow" in response.headers
        assert read.get(f"/api/models/{upload['id']}").json()["title"] == upload["title"]
        asked = {"model": upload["id"], "text": "To be"}
        assert read.post("/api/arithmetic", json=asked).text == kept.post("/api/arithmetic", json=asked).text
        assert read.get("/api/runs", params={"ids": run["id"]}).json()["runs"][0]["id"] == run["id"]
        for path in ("/", "/train", run["links"]["page"], "/embed/text", "/docs", "/metrics", "/api/models"):
            assert read.get(path).status_code == 200, path
        assert contents(tmp_path) == before
        kept.delete(run["links"]["self"], headers=owned(run))


def contents(folder: Path) -> set[str]:
    """The files that a reader could have made or deleted."""
    return {str(path.relative_to(folder)) for path in (folder / "uploads").rglob("*")}


def test_a_reader_does_not_need_the_lock_and_takes_none(tmp_path):
    reader = ReadOnlyStore(tmp_path)
    reader.open()
    with pytest.raises(Unavailable, match="has not begun"):
        reader.runs()
    assert reader.last_id() == 0 and list(tmp_path.iterdir()) == []
    keeper = Store(tmp_path)
    keeper.open()
    run = keeper.create("owner", "title", "{}", b"text")
    assert reader.get(run.id) == run and reader.last_id() == keeper.last_id() > 0
    keeper.close()
    assert reader.get(run.id) == run
    other = Store(tmp_path)
    other.open()  # the reader does not stand in its way
    other.close()
    reader.close()


def test_a_reader_finds_a_database_that_was_put_back(tmp_path):
    keeper, reader = Store(tmp_path), ReadOnlyStore(tmp_path)
    keeper.open()
    run = keeper.create("owner", "title", "{}", b"text")
    assert reader.get(run.id)
    keeper.close()
    reader.close()
    copy = tmp_path / "copy"
    shutil.copy(tmp_path / "runs.sqlite", copy)
    assert reader.get(run.id)
    (tmp_path / "runs.sqlite").unlink()
    with pytest.raises(Unavailable):
        reader.get(run.id)
    copy.rename(tmp_path / "runs.sqlite")
    assert reader.get(run.id)
    reader.close()


@pytest.mark.parametrize("damage", ["nothing", "newer", "no database", "directory"])
def test_what_cannot_be_read_is_said_in_words(tmp_path, damage):
    path, reader = tmp_path / "runs.sqlite", ReadOnlyStore(tmp_path)
    if damage == "newer":
        with sqlite3.connect(path) as connection:
            connection.execute(f"PRAGMA user_version={len(SCHEMAS) + 1}")
        connection.close()
    elif damage == "directory":
        path.mkdir()
    else:
        path.write_bytes(b"" if damage == "nothing" else b"no database" * 999)
    for _ in range(3):
        with pytest.raises(Unavailable) as told:
            reader.runs()
        assert ("another version" in str(told.value)) is (damage == "newer")
    assert reader.last_id() == 0
    reader.close()


def test_waiting_sees_what_another_process_writes(tmp_path):
    keeper, reader = Store(tmp_path), ReadOnlyStore(tmp_path)
    keeper.open()

    async def wait() -> tuple[bool, bool]:
        nothing = await reader.wait(reader.last_id(), 0.1)
        seen = asyncio.create_task(reader.wait(reader.last_id(), 20))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(keeper.create, "owner", "title", "{}", b"text")
        return nothing, await seen

    assert asyncio.run(wait()) == (False, True)
    reader.close()
    keeper.close()
