"""The store of the runs: what they are, what they were given, and one log of everything that happened in them.

Every function may be called from any thread and is done, on the disk, when it returns. Ids of events rise over all runs
and are never given twice. Each event is encoded once, when it is logged.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from gatescope.app.runs.database import Database
from gatescope.app.runs.run import OVER, Run, in_turn


class Checkpoint(NamedTuple):
    """A recorded checkpoint: its file in the run's folder, what the file's content must hash to, and whether the
    training was over with it.
    """

    step: int
    file: str
    sha256: str
    finished: bool


class Event(NamedTuple):
    """An entry of the log; body: its data as JSON, `run` included."""

    id: int
    run: str
    name: str
    body: bytes


class Store:
    """The runs of one data directory, from `open` to `close`."""

    def __init__(self, folder: Path):
        self.database = Database(folder)
        self._last = 0
        self._bells: dict[asyncio.AbstractEventLoop, asyncio.Future[None]] = {}
        self._bells_turn = threading.Lock()

    def open(self) -> None:
        """Take the store for this server, once; raises CannotServe, with a sentence, where it must not be opened."""
        self.database.open()
        found = self.database.read("SELECT seq FROM sqlite_sequence WHERE name = 'event'")
        self._last = found[0]["seq"] if found else 0
        self.secret = bytes(self.database.read("SELECT value FROM secret")[0]["value"])

    def close(self) -> None:
        """Give the store back."""
        self.database.close()

    def create(self, owner: str, title: str, recipe: str, text: bytes, idempotency_key: str | None = None) -> Run:
        """A new run, queued; where one has this idempotency key already, that one (its owner may be another).

        owner: fingerprint of a token; recipe: as JSON; text: in UTF-8. Raises NoSpace.
        """
        with self.database.writing() as connection:
            known = connection.execute("SELECT * FROM run WHERE idempotency_key = ?", (idempotency_key,)).fetchone()
            if known:
                return Run(**known)
            values = (secrets.token_hex(16), owner, title, recipe, "queued", time.time(), idempotency_key)
            connection.execute(
                "INSERT INTO run (id, owner, title, recipe, state, created, idempotency_key) VALUES (?,?,?,?,?,?,?)",
                values,
            )
            connection.execute("INSERT INTO text VALUES (?, ?)", (values[0], text))
            last = _log(connection, values[0], "state", {"state": "queued", "reason": None})
            run = Run(**connection.execute("SELECT * FROM run WHERE id = ?", values[:1]).fetchone())
        self._ring(last)
        return run

    def get(self, id: str) -> Run | None:
        """The run with this id."""
        found = self.database.read("SELECT * FROM run WHERE id = ?", (id,))
        return Run(**found[0]) if found else None

    def runs(self, *states: str) -> list[Run]:
        """The runs in any of these states, or every run, oldest first."""
        every = [Run(**row) for row in self.database.read("SELECT * FROM run ORDER BY rowid")]
        return [run for run in every if not states or run.state in states]

    def text(self, id: str) -> bytes:
        """The text of a run, in UTF-8."""
        found = self.database.read("SELECT content FROM text WHERE run = ?", (id,))
        return found[0]["content"] if found else b""

    def queue(self) -> list[Run]:
        """The queued runs in the order in which they are to start."""
        return in_turn(self.runs("queued"), self.runs("running"))

    def position(self, id: str) -> int | None:
        """The place of a run in the queue, 1 being the next; None where it does not wait."""
        return next((place for place, run in enumerate(self.queue(), 1) if run.id == id), None)

    def move(
        self, id: str, before: Sequence[str], state: str, reason: str | None = None, **changes: str | float | None
    ) -> bool:
        """Bring a run from one of the states `before` into another and log it, and `end` where it is over then; False
        where it was in none of them.

        changes: new values of its wanted, strikes or seconds.
        """
        changes = {"state": state, "reason": reason, "wanted": None, **changes}
        assigned = ", ".join(f"{name} = :{name}" for name in changes)
        with self.database.writing() as connection:
            found = connection.execute("SELECT state FROM run WHERE id = ?", (id,)).fetchone()
            if not found or found["state"] not in before:
                return False
            connection.execute(f"UPDATE run SET {assigned} WHERE id = :id", {**changes, "id": id})
            last = _log(connection, id, "state", {"state": state, "reason": reason})
            if state in OVER:
                last = _log(connection, id, "end", {})
        self._ring(last)
        return True

    def want(self, id: str, wanted: str | None) -> bool:
        """Keep what is asked of a running run until it has happened; False where it is not running."""
        with self.database.writing() as connection:
            changed = connection.execute("UPDATE run SET wanted = ? WHERE id = ? AND state = 'running'", (wanted, id))
            return changed.rowcount > 0

    def append(
        self, run: str, name: str, data: dict[str, Any], step: int | None = None, checkpoint: Checkpoint | None = None
    ) -> int | None:
        """Log an event of a run and record the checkpoint that it tells of; gives the event's id.

        None, and nothing logged, where the log has an event of this name for this step or a later one already: what a
        resumed training repeats is not logged twice. None also where the run is gone.
        """
        with self.database.writing() as connection:
            if not connection.execute("SELECT 1 FROM run WHERE id = ?", (run,)).fetchone():
                return None
            if checkpoint:
                connection.execute(
                    "INSERT INTO checkpoint (run, step, file, sha256, finished) VALUES (?, ?, ?, ?, ?)",
                    (run, *checkpoint),
                )
            known = "SELECT 1 FROM event WHERE run = ? AND name = ? AND step >= ?"
            if step is not None and connection.execute(known, (run, name, step)).fetchone():
                return None
            last = _log(connection, run, name, data, step)
        self._ring(last)
        return last

    def events(self, after: int, runs: Iterable[str], limit: int = 1000) -> list[Event]:
        """The events of these runs whose ids are above `after`, in rising order, the first `limit` of them."""
        runs = list(runs)
        marks = ", ".join("?" * len(runs))
        query = f"SELECT id, run, name, body FROM event WHERE run IN ({marks}) AND id > ? ORDER BY id LIMIT ?"
        return [Event(*row) for row in self.database.read(query, (*runs, after, limit))]

    def latest(self, run: str, name: str) -> dict[str, Any] | None:
        """The data of a run's last event of this name."""
        query = "SELECT body FROM event WHERE run = ? AND name = ? ORDER BY step DESC, id DESC LIMIT 1"
        found = self.database.read(query, (run, name))
        return orjson.loads(found[0]["body"]) if found else None

    def last_id(self) -> int:
        """The highest id that an event ever got."""
        return self._last

    def checkpoints(self, run: str) -> list[Checkpoint]:
        """The recorded checkpoints of a run, the newest first."""
        query = "SELECT step, file, sha256, finished FROM checkpoint WHERE run = ? ORDER BY id DESC"
        return [Checkpoint(row[0], row[1], row[2], bool(row[3])) for row in self.database.read(query, (run,))]

    def drop_checkpoints(self, run: str, files: Iterable[str]) -> None:
        """Forget recorded checkpoints by their files' names."""
        with self.database.writing() as connection:
            connection.executemany("DELETE FROM checkpoint WHERE run = ? AND file = ?", [(run, file) for file in files])

    def delete(self, id: str) -> None:
        """Delete a run with its text and its events; they are overwritten, in the write-ahead log too."""
        with self.database.writing() as connection:
            connection.execute("DELETE FROM run WHERE id = ?", (id,))
        self.database.forget()
        self._ring(self._last)

    async def wait(self, after: int, seconds: float) -> bool:
        """Wait until the log has an event above `after` or a run is deleted; False when the seconds pass before."""
        with self._bells_turn:
            if self._last > after:
                return True
            loop = asyncio.get_running_loop()
            bell = self._bells.setdefault(loop, loop.create_future())
        done, _ = await asyncio.wait({bell}, timeout=seconds)
        return bool(done)

    def _ring(self, last: int) -> None:
        """Wake all who wait: one bell a loop, however many wait for it."""
        with self._bells_turn:
            self._last = max(self._last, last)
            bells, self._bells = self._bells, {}
        for loop, bell in bells.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(bell.set_result, None)


def _log(connection: sqlite3.Connection, run: str, name: str, data: dict[str, Any], step: int | None = None) -> int:
    body = orjson.dumps({"run": run, **data})
    values = (run, name, step, body)
    id = connection.execute("INSERT INTO event (run, name, step, body) VALUES (?, ?, ?, ?)", values).lastrowid
    assert id is not None  # a row was inserted
    return id
