"""The store of the runs: what it acknowledges is kept, its log rises without doubles, a wrong database is refused."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from gatescope.app.runs.checkpoints import Checkpoints
from gatescope.app.runs.database import SCHEMAS
from gatescope.app.runs.store import Store
from gatescope.app.settings import CannotServe


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    store.open()
    yield store
    store.close()


def new(store: Store, owner: str = "somebody", **more) -> str:
    return store.create(owner, "A book", "{}", "Grüße".encode(), **more).id


def test_a_run_is_what_was_given(store):
    run = store.create("somebody", "A book", '{"cell": "gru"}', "Grüße".encode(), "once")
    assert store.get(run.id) == run
    assert (run.owner, run.title, run.recipe, run.state) == ("somebody", "A book", '{"cell": "gru"}', "queued")
    assert store.text(run.id) == "Grüße".encode()
    assert len(run.id) == 32 and store.get("0" * 32) is None


def test_one_idempotency_key_makes_one_run(store):
    first = store.create("somebody", "A book", "{}", b"text", "once")
    assert store.create("another", "A book", "{}", b"text", "once") == first
    assert new(store) != new(store)
    assert len(store.runs()) == 3


def test_ids_rise_over_all_runs_and_are_never_given_twice(store):
    runs = [new(store), new(store)]
    ids = [store.append(runs[step % 2], "progress", {"step": step}, step) for step in range(10)]
    assert ids == sorted(set(ids))
    before = store.last_id()
    store.delete(runs[1])
    assert store.append(runs[0], "progress", {"step": 10}, 10) > before
    assert store.append(runs[1], "progress", {"step": 11}, 11) is None
    assert store.events(0, [runs[1]]) == [] and store.text(runs[1]) == b""


def test_what_a_resumed_training_repeats_is_not_logged_twice(store):
    run = new(store)
    for step in (1, 2, 3, 2, 3, 4):
        store.append(run, "progress", {"step": step}, step)
        store.append(run, "gates", {"step": step}, step)
    events = store.events(0, [run])
    for name in ("progress", "gates"):
        assert [orjson.loads(event.body)["step"] for event in events if event.name == name] == [1, 2, 3, 4]
    assert store.latest(run, "progress") == {"run": run, "step": 4}


def test_a_page_of_the_log_begins_after_any_id(store):
    run, other = new(store), new(store)
    for step in range(5):
        store.append(run, "progress", {"step": step}, step)
        store.append(other, "progress", {"step": step}, step)
    both = store.events(0, [run, other])
    assert [event.id for event in both] == sorted(event.id for event in both) and len(both) == 12
    assert store.events(both[4].id, [run, other], limit=3) == both[5:8]
    assert store.events(store.last_id(), [run]) == []


def test_owners_take_turns(store):
    many = [new(store, "many") for _ in range(3)]
    few = new(store, "few")
    assert [run.id for run in store.queue()] == [many[0], few, many[1], many[2]]
    assert store.position(few) == 2
    assert store.move(many[0], ["queued"], "running")
    assert [run.id for run in store.queue()] == [few, many[1], many[2]]
    assert store.position(many[0]) is None


def test_a_run_moves_only_from_the_state_it_is_in(store):
    run = new(store)
    assert not store.move(run, ["running", "paused"], "finished")
    assert not store.want(run, "paused")
    assert store.move(run, ["queued"], "running", "from step 3", strikes=2)
    assert store.want(run, "paused") and store.get(run).wanted == "paused"
    assert store.move(run, ["running"], "queued") and store.move(run, ["queued"], "running", "from step 3")
    found = store.get(run)
    assert (found.state, found.reason, found.wanted, found.strikes) == ("running", "from step 3", None, 2)
    states = [orjson.loads(event.body)["state"] for event in store.events(0, [run])]
    assert states == ["queued", "running", "queued", "running"]


def test_everybody_who_waits_is_woken(store):
    run = new(store)

    async def waiting() -> list[bool]:
        after = store.last_id()
        waits = [asyncio.create_task(store.wait(after, 10)) for _ in range(20)]
        await asyncio.sleep(0.05)
        threading.Thread(target=store.append, args=(run, "sample", {})).start()
        woken = await asyncio.gather(*waits)
        return [*woken, await store.wait(after, 10), await store.wait(store.last_id(), 0.01)]

    assert asyncio.run(waiting()) == [True] * 21 + [False]


def test_of_checkpoints_two_are_kept_and_a_damaged_one_is_passed_over(store, tmp_path):
    run, checkpoints = new(store), Checkpoints(tmp_path, store)
    for step in (10, 20, 30):
        store.append(run, "checkpoint", {"step": step}, step, checkpoints.keep(run, step, b"%d" % step, False))
        checkpoints.tidy(run)
    files = sorted((tmp_path / "runs" / run).iterdir())
    assert [path.read_bytes() for path in files] == [b"20", b"30"]
    assert checkpoints.latest(run)[1:] == (b"30", [])
    files[1].write_bytes(b"3")
    good, content, damaged = checkpoints.latest(run)
    assert (good.step, content, [bad.step for bad in damaged]) == (20, b"20", [30])
    files[0].unlink()
    assert checkpoints.latest(run)[:2] == (None, None)


def test_a_second_server_is_refused_until_the_first_has_gone(store, tmp_path):
    second = Store(tmp_path)
    with pytest.raises(CannotServe, match="another Gatescope uses .*; end it, or choose another directory"):
        second.open()
    store.close()
    second.open()
    second.close()
    store.open()


def test_what_must_not_be_opened_is_refused_and_left_as_it_is(store, tmp_path):
    new(store)
    store.close()
    path = tmp_path / "runs.sqlite"
    good = path.read_bytes()

    def refused(sentence: str) -> None:
        with pytest.raises(CannotServe, match=sentence):
            Store(tmp_path).open()

    for bad in (b"not a database at all " * 300, good[:4096] + os.urandom(4096) + good[8192:], good[: len(good) // 2]):
        path.write_bytes(bad)
        refused("is damaged; put it back from a copy")
        assert path.read_bytes() == bad
    for missing in (lambda: path.write_bytes(b""), path.unlink):
        missing()
        refused("is missing, though runs were kept here")
    path.write_bytes(good)
    with sqlite3.connect(path) as newer:
        newer.execute(f"PRAGMA user_version={len(SCHEMAS) + 1}")
    newer.close()
    refused("written by a newer Gatescope")
    path.write_bytes(good)
    store.open()
    assert len(store.runs()) == 1


CREATES = """
import sys
from pathlib import Path
from gatescope.app.runs.store import Store
store = Store(Path(sys.argv[1]))
store.open()
while True:
    run = store.create("somebody", "", "{}", b"text" * 1000).id
    store.append(run, "progress", {"step": 1}, 1)
    print(run, flush=True)
"""


@pytest.mark.slow
def test_what_is_acknowledged_outlives_a_kill_at_any_moment(tmp_path):
    acknowledged = []
    for kills in range(8):
        with subprocess.Popen([sys.executable, "-c", CREATES, tmp_path], stdout=subprocess.PIPE, text=True) as server:
            acknowledged += [server.stdout.readline().strip() for _ in range(1 + 5 * kills)]
            server.send_signal(signal.SIGKILL)
            acknowledged += server.stdout.read().split()
        with sqlite3.connect(tmp_path / "runs.sqlite") as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()
    store = Store(tmp_path)
    store.open()
    assert set(acknowledged) <= {run.id for run in store.runs()}
    assert [store.latest(run, "progress")["step"] for run in acknowledged] == [1] * len(acknowledged)
    store.close()


def test_the_command_line_says_in_one_line_why_it_does_not_serve(store, tmp_path):
    command = [sys.executable, "-m", "gatescope", "serve", "--data", tmp_path]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert second.returncode == 2
    sentence = f"another Gatescope uses {tmp_path}; end it, or choose another directory with GATESCOPE_DATA"
    assert second.stderr == f"gatescope: {sentence}\n"
