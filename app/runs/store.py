"""The store of the runs: what they are, what they were given, and one log of everything that happened in them.

Every function may be called from any thread and is done, on the disk, when it returns; each raises NoSpace or
Unavailable, having changed nothing, where the disk or the database does not do its part. Ids of events rise over all
runs and are never given twice. Each event is encoded once, when it is logged.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from gatescope.app.runs.bells import Bells
from gatescope.app.runs.database import Database, StoreFault
from gatescope.app.runs.load import Load, load_of
from gatescope.app.runs.run import ACTIVE, OVER, Run, Waiting, in_turn
from gatescope.app.runs.schema import digest_of
from gatescope.app.settings import CannotServe


class Checkpoint(NamedTuple):
    """A recorded checkpoint: its file in the run's folder, what the file's content must hash to, whether the training
    was over with it, and its bytes.
    """

    step: int
    file: str
    sha256: str
    finished: bool
    size: int = 0


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
        self.bells = Bells()

    def open(self) -> None:
        """Take the store for this server, once; raises CannotServe, with a sentence, where it must not be opened."""
        self.database.open()
        try:
            self._look()
        except StoreFault as fault:
            self.database.close()
            raise CannotServe(f"{self.database.path} cannot be read now: {fault}") from None

    def _look(self) -> None:
        found = self.database.read("SELECT seq FROM sqlite_sequence WHERE name = 'event'")
        self.bells.last = found[0]["seq"] if found else 0
        self.secret = bytes(self.database.read("SELECT value FROM secret")[0]["value"])

    def close(self) -> None:
        """Give the store back."""
        self.database.close()

    def create(
        self,
        owner: str,
        title: str,
        recipe: str,
        text: bytes,
        idempotency_key: str | None = None,
        address: str | None = None,
        admit: Callable[[Load], None] | None = None,
    ) -> Run:
        """A new run, queued; where one has this idempotency key already, that one (its owner may be another).

        owner: fingerprint of a token; recipe: as JSON; text: in UTF-8; address: fingerprint of where it comes from,
        its owner's unless it is given. admit: raises what it will where there is too much already, and nothing is
        stored; nothing comes between its look and the writing.
        """
        address, digest = address or owner, digest_of(title, recipe, text)
        with self.database.writing() as connection:
            known = connection.execute("SELECT * FROM run WHERE idempotency_key = ?", (idempotency_key,)).fetchone()
            if known:
                return Run(**known)
            if admit:
                admit(load_of(connection, owner, address))
            id = secrets.token_hex(16)
            row = (id, owner, title, recipe, "queued", time.time(), idempotency_key, address, digest, len(text))
            connection.execute(
                """INSERT INTO run (id, owner, title, recipe, state, created, idempotency_key, address, digest, size)
                VALUES (?,?,?,?,?,?,?,?,?,?)""",
                row,
            )
            connection.execute("INSERT INTO text VALUES (?, ?)", (id, text))
            last = _log(connection, id, "state", {"state": "queued", "reason": None})
            connection.execute("UPDATE run SET turn = ? WHERE id = ?", (last, id))
            run = Run(**connection.execute("SELECT * FROM run WHERE id = ?", (id,)).fetchone())
        self.bells.ring(last)
        return run

    def get(self, id: str) -> Run | None:
        """The run with this id."""
        found = self.database.read("SELECT * FROM run WHERE id = ?", (id,))
        return Run(**found[0]) if found else None

    def runs(self, *states: str) -> list[Run]:
        """The runs in any of these states, or every run, oldest first."""
        which = f"WHERE state IN ({_marks(states)})" if states else ""
        return [Run(**row) for row in self.database.read(f"SELECT * FROM run {which} ORDER BY rowid", states)]

    def listed(
        self, limit: int, before: str | None = None, owner: str | None = None, ids: Sequence[str] | None = None
    ) -> list[Run]:
        """The newest runs that nobody deleted, `limit` at most; older ones than the run `before`, of this owner, among
        these ids, where that is given.
        """
        tests, values = ["wanted IS NOT 'deleted'"], list[object]()
        if before is not None:
            tests.append("rowid < (SELECT rowid FROM run WHERE id = ?)")
            values.append(before)
        if owner is not None:
            tests.append("owner = ?")
            values.append(owner)
        if ids is not None:
            tests.append(f"id IN ({_marks(ids)})")
            values += ids
        query = f"SELECT * FROM run WHERE {' AND '.join(tests)} ORDER BY rowid DESC LIMIT ?"
        return [Run(**row) for row in self.database.read(query, (*values, limit))]

    def count(self) -> dict[str, int]:
        """How many runs there are in each state that any is in."""
        found = self.database.read("SELECT state, count(*) AS runs FROM run GROUP BY state")
        return {row["state"]: row["runs"] for row in found}

    def size(self) -> int:
        """The bytes that all runs take, with their texts, logs and checkpoints."""
        return int(self.database.read("SELECT coalesce(sum(size), 0) FROM run")[0][0])

    def wishes(self) -> list[Run]:
        """The runs of which something is wanted that has not happened yet."""
        return [Run(**row) for row in self.database.read("SELECT * FROM run WHERE wanted IS NOT NULL")]

    def oldest_over(self, before: float, limit: int = 100) -> list[str]:
        """The ids of the runs that were over before a time, in seconds since 1970, the first that ended first."""
        query = "SELECT id FROM run WHERE ended < ? AND wanted IS NOT 'deleted' ORDER BY ended LIMIT ?"
        return [row["id"] for row in self.database.read(query, (before, limit))]

    def text(self, id: str) -> bytes:
        """The text of a run, in UTF-8; empty where the run is over, which needs it no more."""
        found = self.database.read("SELECT content FROM text WHERE run = ?", (id,))
        return found[0]["content"] if found else b""

    def queue(self) -> list[Waiting]:
        """The queued runs in the order in which they are to start."""
        query = "SELECT id, owner, address FROM run WHERE state = ? AND wanted IS NOT 'deleted' ORDER BY turn"
        queued, running = ([Waiting(*row) for row in self.database.read(query, (state,))] for state in ACTIVE[:2])
        over = "SELECT id, owner, address FROM run WHERE ended > 0 AND seconds > 0 ORDER BY ended DESC LIMIT 100"
        return in_turn(queued, running, (Waiting(*row) for row in self.database.read(over)))

    def position(self, id: str) -> int | None:
        """The place of a run in the queue, 1 being the next; None where it does not wait."""
        return next((place for place, run in enumerate(self.queue(), 1) if run.id == id), None)

    def move(
        self, id: str, before: Sequence[str], state: str, reason: str | None = None, **changes: str | float | None
    ) -> bool:
        """Bring a run from one of the states `before` into another and log it, and `end` where it is over then, when
        its text is let go; False where it was in none of them.

        changes: new values of its wanted, strikes, seconds or turn.
        """
        ended = time.time() if state in OVER else None
        changes = {"state": state, "reason": reason, "wanted": None, "ended": ended, **changes}
        assigned = ", ".join(f"{name} = :{name}" for name in changes)
        with self.database.writing() as connection:
            found = connection.execute("SELECT state, wanted FROM run WHERE id = ?", (id,)).fetchone()
            if not found or found["state"] not in before:
                return False
            if found["wanted"] == "deleted":
                changes["wanted"] = "deleted"  # nothing takes that back
            connection.execute(f"UPDATE run SET {assigned} WHERE id = :id", {**changes, "id": id})
            last = _log(connection, id, "state", {"state": state, "reason": reason})
            if state in OVER:
                size = "(SELECT coalesce(sum(length(content)), 0) FROM text WHERE run = ?)"
                connection.execute(f"UPDATE run SET size = size - {size} WHERE id = ?", (id, id))
                connection.execute("DELETE FROM text WHERE run = ?", (id,))
                last = _log(connection, id, "end", {})
        self.bells.ring(last)
        return True

    def want(self, id: str, wanted: str | None) -> bool:
        """Keep what is asked of a running run until it has happened; False where it is not running."""
        with self.database.writing() as connection:
            changed = connection.execute(
                "UPDATE run SET wanted = ? WHERE id = ? AND state = 'running' AND wanted IS NOT 'deleted'", (wanted, id)
            )
            return changed.rowcount > 0

    def want_stopped(self, id: str) -> bool:
        """Keep that a run is to end, whether or not it has begun; False where it is over or deleted."""
        query = f"UPDATE run SET wanted = 'stopped' WHERE id = ? AND state IN ({_marks(ACTIVE)})"
        with self.database.writing() as connection:
            return connection.execute(f"{query} AND wanted IS NOT 'deleted'", (id, *ACTIVE)).rowcount > 0

    def want_deleted(self, id: str) -> bool:
        """Keep that a run is deleted, in whatever state it is; False where there is none."""
        with self.database.writing() as connection:
            return connection.execute("UPDATE run SET wanted = 'deleted' WHERE id = ?", (id,)).rowcount > 0

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
                    "INSERT INTO checkpoint (run, step, file, sha256, finished, size) VALUES (?, ?, ?, ?, ?, ?)",
                    (run, *checkpoint),
                )
                connection.execute("UPDATE run SET size = size + ? WHERE id = ?", (checkpoint.size, run))
            known = "SELECT 1 FROM event WHERE run = ? AND name = ? AND step >= ?"
            if step is not None and connection.execute(known, (run, name, step)).fetchone():
                return None
            last = _log(connection, run, name, data, step)
        self.bells.ring(last)
        return last

    def events(self, after: int, runs: Iterable[str], limit: int = 1000) -> list[Event]:
        """The events of these runs whose ids are above `after`, in rising order, the first `limit` of them."""
        runs = tuple(dict.fromkeys(runs))
        # run by run along the index, merged: what is behind the limit is never looked at
        of_one = "SELECT id, run, name, body FROM event WHERE run = ? AND id > ?"
        query = " UNION ALL ".join([of_one] * len(runs)) + " ORDER BY id LIMIT ?"
        values = [value for run in runs for value in (run, after)]
        return [Event(*row) for row in self.database.read(query, (*values, limit))] if runs else []

    def latest(self, run: str, name: str) -> dict[str, Any] | None:
        """The data of a run's last event of this name."""
        query = "SELECT body FROM event WHERE run = ? AND name = ? ORDER BY step DESC, id DESC LIMIT 1"
        found = self.database.read(query, (run, name))
        return orjson.loads(found[0]["body"]) if found else None

    def last_id(self) -> int:
        """The highest id that an event ever got."""
        return self.bells.last

    def checkpoints(self, run: str) -> list[Checkpoint]:
        """The recorded checkpoints of a run, the newest first."""
        query = "SELECT step, file, sha256, finished, size FROM checkpoint WHERE run = ? ORDER BY id DESC"
        return [Checkpoint(row[0], row[1], row[2], bool(row[3]), row[4]) for row in self.database.read(query, (run,))]

    def drop_checkpoints(self, run: str, files: Sequence[str]) -> None:
        """Forget recorded checkpoints by their files' names."""
        which = f"FROM checkpoint WHERE run = ? AND file IN ({_marks(files)})"
        with self.database.writing() as connection:
            (size,) = connection.execute(f"SELECT coalesce(sum(size), 0) {which}", (run, *files)).fetchone()
            connection.execute(f"DELETE {which}", (run, *files))
            connection.execute("UPDATE run SET size = size - ? WHERE id = ?", (size, run))

    def delete(self, id: str) -> bool:
        """Delete a run with its text and its events; they are overwritten, in the write-ahead log too, for which
        `database.forget` has to be called again where this gives False.
        """
        with self.database.writing() as connection:
            connection.execute("DELETE FROM run WHERE id = ?", (id,))
        forgotten = self.database.forget()
        self.bells.ring(0)
        return forgotten

    async def wait(self, after: int, seconds: float) -> bool:
        """Wait until the log has an event above `after` or a run is deleted; False when the seconds pass before."""
        return await self.bells.wait(after, seconds)


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _log(connection: sqlite3.Connection, run: str, name: str, data: dict[str, Any], step: int | None = None) -> int:
    body = orjson.dumps({"run": run, **data})
    values = (run, name, step, body)
    id = connection.execute("INSERT INTO event (run, name, step, body) VALUES (?, ?, ?, ?)", values).lastrowid
    connection.execute("UPDATE run SET size = size + ? WHERE id = ?", (len(body), run))
    assert id is not None  # a row was inserted
    return id
