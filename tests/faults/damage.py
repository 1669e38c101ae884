"""Checkpoints and databases that are not what they were."""

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from gatescope.app.runs.schema import SCHEMAS
from tests.faults.crashes import STEADY, refused, step_of
from tests.faults.server import Server, comes_true, in_state
from tests.faults.streams import every_event
from tests.faults.table import Trial, row
from tests.runs import TEXT
from tests.runs_over_http import QUICK, owned, started


def cut(path: Path) -> None:
    """Half of a file is lost."""
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    """One bit is another."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def long_header(path: Path) -> None:
    """A header that says it has 200 MB."""
    path.write_bytes((200 * 2**20).to_bytes(8, "little") + path.read_bytes()[8:])


def elsewhere(path: Path) -> None:
    """A link to another file."""
    shutil.move(path, moved := path.parent.parent / "moved")
    flip(moved)
    path.symlink_to(moved)


@row(
    61,
    "checkpoints cut, flipped, emptied, with a 200 MB header, deleted, linked; the newest or all of them",
    "the one before is used, and said",
    "crashes",
)
def damaged_checkpoints(trial: Trial) -> None:
    with trial.own_server(workers=1) as server:
        harms: list[tuple[str, Callable[[Path], object]]] = [
            ("cut", cut),
            ("flipped", flip),
            ("emptied", lambda path: path.write_bytes(b"")),
            ("deleted", Path.unlink),
            ("200 MB header", long_header),
            ("linked", elsewhere),
            ("all flipped", flip),
            ("all deleted", Path.unlink),
        ]
        for name, harm in harms:
            made = started(server.client, TEXT, **STEADY | {"steps": 700})
            assert comes_true(lambda made=made: step_of(server, made) >= 150, 60, 0.02)
            server.client.post(f"{made['links']['self']}/pause", headers=owned(made))
            if in_state(server.client, made, "paused", "finished")["state"] == "finished":
                continue
            files = sorted((server.data / "runs" / made["id"]).glob("*.safetensors"))
            for file in files if "all" in name else files[-1:]:
                harm(file)
            model = server.client.get(made["links"]["weights"])
            trial.status(model, 200, *([404] if "all" in name else []), what=f"{name}: its network meanwhile")
            server.client.post(f"{made['links']['self']}/resume", headers=owned(made))
            run = in_state(server.client, made, "finished", "failed")
            said = [
                str(event["data"].get("reason"))
                for event in every_event(server.client, made)
                if event["event"] == "state"
            ]
            trial.count(run["state"], run["state"] == "finished", f"{name}: {run['reason']}")
            trial.holds(any("damaged" in reason for reason in said), f"{name}: not said in {said}")


@row(
    62,
    "the database locked; lost, empty, cut, with damaged pages, a text, a folder, somebody else's",
    "503 in time; refused with a sentence",
    "crashes",
)
def damaged_databases(trial: Trial) -> None:
    with trial.own_server(workers=1) as server:
        made = started(server.client, TEXT, **QUICK)
        in_state(server.client, made, "finished")
        locked(trial, server)
        server.end()
        good = server.folder / "good"
        shutil.copytree(server.data, good)
        whole = (good / "runs.sqlite").read_bytes()
        other = server.folder / "other.sqlite"
        with closing(sqlite3.connect(other)) as connection:
            connection.executescript("CREATE TABLE person (name TEXT); INSERT INTO person VALUES ('Ada');")
        harms = {
            "lost": None,
            "empty": b"",
            "cut": whole[: len(whole) // 2],
            "text": b"hello " * 999,
            "page": harmed(whole),
        }
        harms |= {
            "header": bytes(100) + whole[100:],
            "folder": None,
            "another's": other.read_bytes(),
            "image": b"\x89PNG" + whole[4:],
        }
        for name, content in harms.items():
            shutil.rmtree(server.data)
            shutil.copytree(good, server.data)
            path = server.data / "runs.sqlite"
            for file in server.data.glob("runs.sqlite*"):
                file.unlink()
            if name == "another's":
                (server.data / "runs.lock").unlink()
            if name == "folder":
                path.mkdir()
            elif content is not None:
                path.write_bytes(content)
            ended = refused(server.data)
            words = ended.stderr.decode(errors="replace").strip()
            fine = ended.returncode == 2 and "Traceback" not in words and words.startswith("gatescope: ")
            trial.count(f"exit status {ended.returncode}", fine, f"{name}: {words[-120:]}")
            trial.holds(content is None or path.read_bytes() == content, f"{name}: the file was changed")
        shutil.rmtree(server.data)
        shutil.copytree(good, server.data)
        server.start()
        trial.status(server.client.get(made["links"]["self"]), 200, what="put back")


def harmed(whole: bytes) -> bytes:
    """A database with nonsense in the middle of its pages."""
    return whole[:4096] + b"\xa5" * 8192 + whole[12_288:]


def locked(trial: Trial, server: Server) -> None:
    """Count the answers while another program holds the database."""
    with closing(sqlite3.connect(server.data / "runs.sqlite", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        for _ in range(3):
            answer = server.client.post("/api/runs?steps=1&hidden=2", content=TEXT)
            trial.status(answer, 503, what="locked")
            trial.holds(answer.headers.get("retry-after"), "locked: no Retry-After")
        trial.note(f"three writers, locked: {time.monotonic() - began:.1f} s")
        trial.status(server.client.get("/api/runs"), 200, what="locked, reading")
        connection.execute("ROLLBACK")
    trial.status(server.client.post("/api/runs?steps=1&hidden=2", content=TEXT), 202, what="free again")


@row(
    63,
    "a database of a newer schema; of the first one, with runs in it",
    "refused with a sentence; brought up to date, nothing lost",
    "crashes",
)
def other_schemas(trial: Trial) -> None:
    with trial.own_server(workers=1) as server:
        server.end()
        for file in server.data.glob("runs.*"):
            file.unlink()
        path = server.data / "runs.sqlite"
        with closing(sqlite3.connect(path)) as connection:
            for statement in SCHEMAS[0]:
                connection.execute(statement)
            connection.execute("PRAGMA user_version=1")
            recipe = json.dumps({"cell": "gru", "hidden": 8, "steps": 5})
            row = ("a" * 32, "x" * 64, "Old", recipe, "finished", None, None, 0, 1.5, time.time(), None)
            connection.execute(f"INSERT INTO run VALUES ({','.join('?' * 11)})", row)
            connection.execute("INSERT INTO text VALUES (?, ?)", ("a" * 32, b"one two"))
            connection.execute(
                "INSERT INTO event (run, name, step, body) VALUES (?, 'state', NULL, ?)", ("a" * 32, b'{"run":"x"}')
            )
            connection.commit()
        (server.data / "runs.lock").write_bytes(b"runs.sqlite\n")
        server.start()
        trial.status(server.client.get(f"/api/runs/{'a' * 32}"), 200, what="a run of the first schema")
        events = server.client.get(f"/api/runs/{'a' * 32}/events.json").json()["events"]
        trial.holds([event["id"] for event in events] == [1], f"its log is {events}")
        server.end()
        for newer in (len(SCHEMAS) + 1, 99):
            with closing(sqlite3.connect(path)) as connection:
                connection.execute(f"PRAGMA user_version={newer}")
            ended = refused(server.data)
            words = ended.stderr.decode()
            trial.count(f"exit status {ended.returncode}", ended.returncode == 2 and "newer" in words, words[-120:])
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version={len(SCHEMAS)}")
        server.start()
