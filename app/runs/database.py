"""The database of the runs: one file, opened by one server at a time, its schema known, never silently made anew.

SQLite in WAL mode: one connection writes, another reads, so that reads go on while a write waits for the disk or finds
it full. `synchronous=FULL`: what is committed outlives the process and the machine.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from gatescope.app.settings import CannotServe

SCHEMAS = (
    (
        """CREATE TABLE run (
            id TEXT PRIMARY KEY, owner TEXT NOT NULL, title TEXT NOT NULL, recipe TEXT NOT NULL, state TEXT NOT NULL,
            reason TEXT, wanted TEXT, strikes INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0,
            created REAL NOT NULL, idempotency_key TEXT UNIQUE)""",
        "CREATE TABLE text (run TEXT PRIMARY KEY REFERENCES run ON DELETE CASCADE, content BLOB NOT NULL)",
        """CREATE TABLE event (
            id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL REFERENCES run ON DELETE CASCADE,
            name TEXT NOT NULL, step INTEGER, body BLOB NOT NULL)""",
        "CREATE INDEX event_of_run ON event (run)",
        "CREATE INDEX event_by_step ON event (run, name, step)",
        """CREATE TABLE checkpoint (
            id INTEGER PRIMARY KEY, run TEXT NOT NULL REFERENCES run ON DELETE CASCADE, step INTEGER NOT NULL,
            file TEXT NOT NULL, sha256 TEXT NOT NULL, finished INTEGER NOT NULL)""",
        "CREATE INDEX checkpoint_of_run ON checkpoint (run)",
        "CREATE TABLE secret (value BLOB NOT NULL)",
        "INSERT INTO secret VALUES (randomblob(32))",
    ),
)
"""What brings a database from one version of the schema to the next, from nothing to the first at the beginning."""
PATIENCE_MS = 5_000


class StoreFault(Exception):
    """The store cannot do what is asked of it; the message is a sentence for whoever asked."""


class NoSpace(StoreFault):
    """The disk takes no more: nothing was changed, what was stored before is still served."""


class Unavailable(StoreFault):
    """The database does not answer now."""


class Database:
    """The file `runs.sqlite` of a data directory, with `runs.lock` beside it that one server holds at a time."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / "runs.sqlite"
        self._lock: int | None = None
        self._write_turn, self._read_turn = threading.Lock(), threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether this server holds the database."""
        return self._lock is not None

    def open(self) -> None:
        """Take the database for this server; raises CannotServe where that cannot be right."""
        if self.is_open:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder / "runs.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CannotServe(f"{self.folder} cannot be written to: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise CannotServe(
                f"another Gatescope uses {self.folder}; end it, or choose another directory with GATESCOPE_DATA"
            ) from None
        try:
            self._connect(lock)
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock

    def close(self) -> None:
        """Give the database back."""
        if self._lock is not None:
            self._writer.close()
            self._reader.close()
            os.close(self._lock)
            self._lock = None

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed when the block ends, undone when it raises."""
        with self._write_turn, faults():
            connection = self._writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def read(self, query: str, values: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """The rows that a query finds."""
        with self._read_turn, faults():
            return self._reader.execute(query, values).fetchall()

    def forget(self) -> None:
        """Leave nothing of what was deleted in the write-ahead log."""
        with self._write_turn, faults():
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _connect(self, lock: int) -> None:
        known = self.path.exists() and self.path.stat().st_size > 0
        if not known and os.fstat(lock).st_size:
            raise CannotServe(
                f"{self.path} is missing, though runs were kept here; put the file back from a copy, or delete "
                "runs.lock beside it to begin without them"
            )
        with self._opening(), ExitStack() as opened:
            writer = opened.enter_context(closing(self._connection()))
            if known and writer.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError
            self._bring_up_to_date(writer)
            os.pwrite(lock, b"runs.sqlite\n", 0)  # from now on its absence is a loss
            reader = opened.enter_context(closing(self._connection()))
            for connection in (writer, reader):
                connection.row_factory = sqlite3.Row
                connection.execute("PRAGMA foreign_keys=ON")
            reader.execute("PRAGMA query_only=ON")
            opened.pop_all()
        self._writer, self._reader = writer, reader

    def _connection(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, PATIENCE_MS / 1000, isolation_level=None, check_same_thread=False)

    @contextmanager
    def _opening(self) -> Iterator[None]:
        """Word what SQLite raises of a file that it cannot open."""
        try:
            yield
        except sqlite3.OperationalError as error:  # such as a full disk: the file itself is not at fault
            raise CannotServe(f"{self.path} cannot be opened: {error}") from None
        except sqlite3.DatabaseError:
            raise CannotServe(
                f"{self.path} is damaged; put it back from a copy, or move it and runs.lock elsewhere to begin "
                "without its runs"
            ) from None

    def _bring_up_to_date(self, writer: sqlite3.Connection) -> None:
        version = writer.execute("PRAGMA user_version").fetchone()[0]
        if version > len(SCHEMAS):
            raise CannotServe(
                f"{self.path} was written by a newer Gatescope (schema {version}, this one knows {len(SCHEMAS)}); "
                "update Gatescope, or choose another directory with GATESCOPE_DATA"
            )
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            writer.execute(f"PRAGMA {pragma}")
        for number, statements in enumerate(SCHEMAS[version:], version + 1):
            writer.execute("BEGIN IMMEDIATE")
            for statement in statements:
                writer.execute(statement)
            writer.execute(f"PRAGMA user_version={number}")
            writer.execute("COMMIT")


@contextmanager
def faults() -> Iterator[None]:
    """Word what SQLite raises as a fault of the store."""
    try:
        yield
    except sqlite3.OperationalError as error:
        code = (error.sqlite_errorcode or 0) & 0xFF
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise NoSpace(
                "the disk takes no more: nothing was changed; what was stored before is still served"
            ) from error
        raise Unavailable("the store of the runs does not answer now; try again in a few seconds") from error
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError):
            raise
        raise Unavailable("the store of the runs cannot be read; the server's log says why") from error
