"""What is kept: who fills it, who may see it, how long, and what happens when disk or database fail for a moment."""

import itertools
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.faults.crashes import step_of, training
from tests.faults.server import Server, a_quick_server, comes_true, in_state
from tests.foreign import Theirs
from tests.runs import TEXT
from tests.runs_over_http import ENDLESS, QUICK, owned, posted, started

pytestmark = [pytest.mark.slow, pytest.mark.fire]
BYTES = {"Content-Type": "application/octet-stream"}


@contextmanager
def neighbour(server: Server, address: str = "127.0.0.2") -> Iterator[httpx.Client]:
    """A client with another address of this machine."""
    transport = httpx.HTTPTransport(local_address=address)
    with httpx.Client(base_url=server.address, transport=transport, timeout=60) as client:
        yield client


def uploaded(client: httpx.Client) -> httpx.Response:
    return client.post("/api/models", content=Theirs("gru").saved(), headers=BYTES)


def test_one_address_cannot_fill_the_uploads_for_everybody():
    with a_quick_server(upload_count=20) as server, neighbour(server) as other:
        answers = [uploaded(server.client) for _ in range(30)]
        assert sum(answer.status_code == 201 for answer in answers) == 10
        assert {answer.status_code for answer in answers[10:]} <= {429, 507} and answers[-1].headers["retry-after"]
        assert uploaded(other).status_code == 201


def test_one_address_cannot_fill_the_space_of_the_uploads_for_everybody():
    size = len(Theirs("gru").saved())
    with a_quick_server(upload_space=40 * size) as server, neighbour(server) as other:
        answers = [uploaded(server.client).status_code for _ in range(40)]
        assert 5 < answers.count(201) <= 22 and set(answers) <= {201, 429, 507}
        assert uploaded(other).status_code == 201


def test_one_address_cannot_fill_the_queue_for_everybody():
    with a_quick_server(queue_limit=20, workers=1) as server, neighbour(server) as other:
        answers = [posted(server.client, **ENDLESS) for _ in range(40)]
        accepted = sum(answer.status_code == 202 for answer in answers)
        assert 10 <= accepted <= 11 and {answer.status_code for answer in answers} <= {202, 429, 503}
        assert all(answer.status_code == 202 or answer.headers["retry-after"] for answer in answers)
        made = started(other, **QUICK)
        assert other.get(made["links"]["self"]).json()["position"] == 1  # before all the others of that address


def test_turns_alternate_among_addresses_though_each_run_is_another_owner_s():
    with a_quick_server(workers=1) as server, neighbour(server) as other:
        first = started(server.client, **ENDLESS)
        in_state(server.client, first, "running")
        crowd = [started(server.client, **QUICK) for _ in range(6)]
        mine = started(other, **QUICK)
        server.client.post(f"{first['links']['self']}/stop", headers=owned(first))
        in_state(other, mine, "finished")
        states = [server.client.get(each["links"]["self"]).json()["state"] for each in crowd]
        assert states.count("finished") <= 1, states


def test_texts_have_a_quota():
    with a_quick_server(run_space=300_000, workers=1, address_share=1.0) as server:
        answers = [posted(server.client, f"{n} " + TEXT * 10, **ENDLESS) for n in range(12)]
        assert 1 < sum(answer.status_code == 202 for answer in answers) < 10
        refused = answers[-1]
        assert refused.status_code == 507 and refused.headers["retry-after"] and len(refused.json()["detail"]) > 20
        assert posted(server.client, "one two " * 20, **QUICK).status_code == 202


def test_the_oldest_that_are_over_make_room():
    with a_quick_server(run_space=300_000, workers=1, keep_days=30, address_share=1.0) as server:
        made = []
        for n in range(12):
            made.append(started(server.client, f"{n} " + TEXT * 10, **QUICK | {"steps": 2}))
            in_state(server.client, made[-1], "finished")
        statuses = [server.client.get(each["links"]["self"]).status_code for each in made]
        assert statuses == sorted(statuses, reverse=True) and statuses[0] == 404 and statuses[-1] == 200


def multiplied(data: Path, count: int) -> None:
    """Many runs that are over, made of the one that there is."""
    with closing(sqlite3.connect(data / "runs.sqlite")) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(run)")]
        new = {"id": "lower(hex(randomblob(16)))", "idempotency_key": "NULL", "state": "'finished'"}
        chosen = ", ".join(new.get(name, f"run.{name}") for name in columns)
        numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
        connection.execute(f"{numbers} INSERT INTO run ({', '.join(columns)}) SELECT {chosen} FROM run, n")
        connection.commit()


def test_ten_thousand_kept_runs_slow_nothing_down():
    with a_quick_server(workers=1) as server:
        made = started(server.client, **QUICK | {"steps": 3})
        in_state(server.client, made, "finished")
        server.end()
        multiplied(server.data, 10_000)
        server.start()
        times = {}
        for name, ask in {
            "post": lambda: posted(server.client, **QUICK | {"steps": 2}),
            "one": lambda: server.client.get(made["links"]["self"]),
            "ready": lambda: server.client.get("/readyz"),
            "list": lambda: server.client.get("/api/runs"),
            "metrics": lambda: server.client.get("/metrics"),
        }.items():
            began = time.monotonic()
            for _ in range(4):
                answer = ask()
                assert answer.status_code in (200, 202) and len(answer.content) < 3_000_000, name
            times[name] = (time.monotonic() - began) / 4
        assert max(times.values()) < 0.5, times


def is_open(path: Path, top: Path) -> bool:
    """Whether others may read a file: it and all folders up to the data directory let them."""
    folders = itertools.takewhile(lambda folder: folder != top, path.parents)
    return bool(path.stat().st_mode & 0o077) and all(folder.stat().st_mode & 0o011 for folder in folders)


def test_private_texts_can_be_read_by_their_owner_alone():
    before = os.umask(0o022)
    try:
        with a_quick_server(workers=1) as server:
            made = started(server.client, **QUICK)
            uploaded(server.client)
            in_state(server.client, made, "finished")
            kept = [
                path
                for path in server.data.rglob("*")
                if path.name.startswith("runs.sqlite") or "uploads" in path.parts
            ]
            kept += [path for path in server.data.rglob("*.safetensors") if made["id"] in path.parts]
            assert len(kept) > 4
            assert [str(path.relative_to(server.data)) for path in kept if is_open(path, server.data)] == []
        with a_quick_server() as server:
            server.end()
            shutil.rmtree(server.data)
            server.start()
            assert server.data.stat().st_mode & 0o077 == 0
    finally:
        os.umask(before)


@pytest.mark.parametrize("moment", ["queued", "running", "ending"])
def test_a_database_that_does_not_answer_for_a_while_strands_no_run(moment):
    with a_quick_server(workers=1) as server:
        made = started(server.client, **ENDLESS if moment == "running" else QUICK | {"steps": 60})
        if moment != "queued":
            assert comes_true(lambda: step_of(server, made) > 0, 60)
        with closing(sqlite3.connect(server.data / "runs.sqlite", isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            began = time.monotonic()
            answers = [posted(server.client, **QUICK) for _ in range(2)]
            assert {answer.status_code for answer in answers} == {503} and answers[0].headers["retry-after"]
            assert time.monotonic() - began < 25
            assert server.client.get("/healthz").status_code == 200
            assert server.client.get("/readyz").status_code == 503
            connection.execute("ROLLBACK")
        if moment == "running":
            server.client.post(f"{made['links']['self']}/stop", headers=owned(made))
        assert in_state(server.client, made, "finished", "stopped", "failed")["state"] != "failed"
        later = started(server.client, **QUICK)
        assert in_state(server.client, later, "finished", "failed")["state"] == "finished"
        assert server.client.get("/readyz").status_code == 200
        assert comes_true(lambda: len(training(server)) <= 1, 10)


@pytest.mark.parametrize("chosen", [{"hidden": 3700}, {"hidden": 2700, "layers": 2}, {"hidden": 3000, "layers": 3}])
def test_a_network_that_could_not_be_kept_is_refused_at_once(chosen):
    with a_quick_server(workers=1) as server:
        answer = posted(server.client, **chosen, steps=2, batch_size=1, sequence_length=2, dry_run=True)
        assert answer.status_code == 422, answer.text[:300]
        assert {error["field"] for error in answer.json()["errors"]} & {"hidden", "layers"}, answer.text[:300]


@pytest.mark.parametrize("steps", [200_000, 1_000_000])
def test_a_long_run_s_log_has_a_bounded_pace(steps):
    with a_quick_server(workers=1) as server:
        said = posted(server.client, steps=steps, hidden=16, batch_size=4, sequence_length=16, dry_run=True)
        assert said.status_code == 200, said.text
        recipe = said.json()["recipe"]
        assert recipe["steps"] / recipe["report_every"] <= 2500 and recipe["steps"] / recipe["sample_every"] <= 1000
        assert recipe["steps"] / recipe["checkpoint_every"] <= 2000


@pytest.mark.parametrize("kind", ["NOFILE", "DATA", "FSIZE"])
def test_under_hard_limits_runs_train_or_say_in_words_why_not(kind):
    limit = {"NOFILE": 128, "DATA": 4 * 2**30, "FSIZE": 2**30}[kind]
    with a_quick_server(limits={getattr(resource, f"RLIMIT_{kind}"): (limit, limit)}, workers=1) as server:
        made = started(server.client, **QUICK)
        run = in_state(server.client, made, "finished", "failed")
        assert run["state"] == "finished" or "limit" in run["reason"], run["reason"]


def test_a_short_idempotency_key_gives_nobody_another_s_token():
    with a_quick_server(workers=1) as server:
        for key in ("1", "a", "run", "test"):
            answers = [posted(server.client, headers={"Idempotency-Key": key}, **QUICK) for _ in range(2)]
            tokens = [answer.json().get("owner_token") for answer in answers]
            assert tokens[0] is None or tokens[0] != tokens[1], key


@pytest.mark.parametrize("command", [("runs",), ("uploads",)])
def test_an_operator_lists_what_is_there_with_a_server_and_without(command):
    with a_quick_server(workers=1) as server:
        made = started(server.client, **QUICK | {"title": "x\x1b[31m\u202ey"})
        brought = uploaded(server.client).json()
        in_state(server.client, made, "finished")
        for running in (True, False):
            said = told(server, *command)
            assert said.returncode == 0 and (made["id"] if command == ("runs",) else brought["id"])[:8] in said.stdout
            assert "\x1b" not in said.stdout and "\u202e" not in said.stdout
            if running:
                server.end()
        assert told(server, "runs", "delete", made["id"]).returncode == 0
        server.start()
        assert server.client.get(made["links"]["self"]).status_code == 404


def test_an_operator_stops_and_deletes_what_a_server_trains():
    with a_quick_server(workers=2, runs_per_owner=9) as server:
        stopped, gone = (started(server.client, **ENDLESS) for _ in range(2))
        brought = uploaded(server.client).json()
        assert comes_true(lambda: min(step_of(server, each) for each in (stopped, gone)) > 0, 60)
        assert told(server, "runs", "stop", stopped["id"]).returncode == 0
        assert told(server, "runs", "delete", gone["id"]).returncode == 0
        assert told(server, "uploads", "delete", brought["id"]).returncode == 0
        assert in_state(server.client, stopped, "stopped", "finished")["state"] == "stopped"
        assert comes_true(lambda: server.client.get(gone["links"]["self"]).status_code == 404, 30)
        assert server.client.get(f"/api/models/{brought['id']}").status_code == 404


def told(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of the operator on a server's data directory."""
    command = [sys.executable, "-m", "gatescope", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, "GATESCOPE_DATA": str(server.data)}
    )


def test_leaving_never_takes_long():
    with a_quick_server(workers=2) as server:
        made = [started(server.client, **ENDLESS) for _ in range(3)]
        assert comes_true(lambda: step_of(server, made[0]) > 0, 60)
        with socket.create_connection(("127.0.0.1", server.port)):
            assert server.end(signal.SIGTERM) < 10
        server.start()
        for each in made:
            server.client.delete(each["links"]["self"], headers=owned(each))
