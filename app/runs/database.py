"""The database of the runs: one file, opened by one server at a time, its schema known, never silently made anew.

SQLite in WAL mode: one connection writes, another reads, so that reads go on while a write waits for the disk or finds
it full. `synchronous=FULL`: what is committed outlives the process and the machine. Only its owner may read the file.
"""

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from gatescope.app.runs.schema import SCHEMAS, bring_up_to_date, version_of
from gatescope.app.settings import CannotServe

PATIENCE = 5.0  # seconds that a reader or a writer waits, all in all
PROBE = 16_384  # bytes
PRIVATE_FOLDERS = ("runs", "uploads")
NO_ANSWER = "the store of the runs does not answer now; try again in a few seconds"
FULL = "the disk takes no more: nothing was changed; what was stored before is still served"


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
        self.patience = PATIENCE
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
            self.folder.mkdir(0o700, parents=True, exist_ok=True)
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

    def join(self) -> bool:
        """Open the database beside the server that holds it; False where none does. Raises CannotServe."""
        if not self.path.exists():
            return False
        try:
            lock = os.open(self.folder / "runs.lock", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            with self._opening():
                self._writer, self._reader = self._connection(), self._connection()
                for connection in (self._writer, self._reader):
                    connection.row_factory = sqlite3.Row
                if version_of(self._reader) != len(SCHEMAS):
                    raise CannotServe(f"{self.path} is held by another version of Gatescope; use that one") from None
            self._lock = lock
            return True
        os.close(lock)
        return False

    def close(self) -> None:
        """Give the database back."""
        if self._lock is not None:
            self._writer.close()
            self._reader.close()
            os.close(self._lock)
            self._lock = None

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed when the block ends, undone when it raises.

        However many wait for a database that is locked, each waits for `patience` seconds and then gets Unavailable.
        """
        with self._turn(self._write_turn) as left, write_faults():
            connection = self._writer
            if connection.in_transaction:  # the end of the one before failed
                connection.execute("ROLLBACK")
            connection.execute(f"PRAGMA busy_timeout={left * 1000:.0f}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                with suppress(sqlite3.Error):
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")

    def read(self, query: str, values: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """The rows that a query finds; raises Unavailable."""
        with self._turn(self._read_turn), read_faults():
            return self._reader.execute(query, values).fetchall()

    def forget(self) -> bool:
        """Leave nothing of what was deleted in the write-ahead log; False where that is not to be had now."""
        try:
            with self._turn(self._write_turn) as left, write_faults():
                self._writer.execute(f"PRAGMA busy_timeout={left * 1000:.0f}")
                busy: int = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                return not busy
        except StoreFault:
            return False

    def probe(self) -> None:
        """Write something and forget it again: raises what stands in the way of a run now."""
        self.read("SELECT 1 FROM run LIMIT 1")
        with self.writing() as connection:
            connection.execute("INSERT INTO scratch VALUES (zeroblob(?))", (PROBE,))
            connection.execute("DELETE FROM scratch")

    @contextmanager
    def _turn(self, turn: threading.Lock) -> Iterator[float]:
        """Hold one of the two connections; gives the seconds of patience that are left."""
        end = time.monotonic() + self.patience
        if not turn.acquire(timeout=self.patience):
            raise Unavailable(NO_ANSWER)
        try:
            yield max(0.001, end - time.monotonic())
        finally:
            turn.release()

    def _connect(self, lock: int) -> None:
        """Open the file once it is known to be a database of this program's, with one connection for each direction."""
        if self.path.exists() and not self.path.is_file():
            raise CannotServe(f"{self.path} is no file; move it elsewhere, or choose another directory")
        known = self.path.exists() and self.path.stat().st_size > 0
        if not known and os.fstat(lock).st_size:
            raise CannotServe(
                f"{self.path} is missing, though runs were kept here; put the file back from a copy, or delete "
                "runs.lock beside it to begin without them"
            )
        with self._opening(), ExitStack() as opened:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            writer = opened.enter_context(closing(self._connection()))
            version = version_of(writer)
            if version is None:
                raise CannotServe(
                    f"{self.path} is the database of another program; choose another directory with GATESCOPE_DATA"
                )
            if version > len(SCHEMAS):
                raise CannotServe(
                    f"{self.path} was written by a newer Gatescope (schema {version}, this one knows {len(SCHEMAS)}); "
                    "update Gatescope, or choose another directory with GATESCOPE_DATA"
                )
            if known and writer.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError
            self._keep_private()
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
                writer.execute(f"PRAGMA {pragma}")
            bring_up_to_date(writer, version)
            os.pwrite(lock, b"runs.sqlite\n", 0)  # from now on its absence is a loss
            reader = opened.enter_context(closing(self._connection()))
            for connection in (writer, reader):
                connection.row_factory = sqlite3.Row
                connection.execute("PRAGMA foreign_keys=ON")
            reader.execute("PRAGMA query_only=ON")
            opened.pop_all()
        self._writer, self._reader = writer, reader

    def _keep_private(self) -> None:
        """Let only the owner read the texts that are kept here, whatever was so before."""
        for name in PRIVATE_FOLDERS:
            (self.folder / name).mkdir(0o700, exist_ok=True)
        names = ("runs.sqlite", "runs.sqlite-wal", "runs.sqlite-shm", "runs.lock", *PRIVATE_FOLDERS)
        for path in (self.folder / name for name in names):
            with suppress(OSError):  # not there, or somebody else's
                if (mode := path.stat().st_mode) & 0o077:
                    path.chmod(mode & 0o700)

    def _connection(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, self.patience, isolation_level=None, check_same_thread=False)

    @contextmanager
    def _opening(self) -> Iterator[None]:
        """Word what the disk and SQLite say of a file that cannot be opened."""
        try:
            yield
        except OSError as error:
            raise CannotServe(f"{self.path} cannot be opened: {error.strerror}") from None
        except sqlite3.OperationalError as error:  # such as a full disk: the file itself is not at fault
            raise CannotServe(f"{self.path} cannot be opened: {error}") from None
        except sqlite3.DatabaseError:
            raise CannotServe(
                f"{self.path} is damaged; put it back from a copy, or move it and runs.lock elsewhere to begin "
                "without its runs"
            ) from None


@contextmanager
def read_faults() -> Iterator[None]:
    """Word what SQLite raises while it reads as a fault of the store."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise Unavailable(NO_ANSWER) from error
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as error:
        raise Unavailable("the store of the runs cannot be read; the server's log says why") from error


@contextmanager
def write_faults() -> Iterator[None]:
    """Word what SQLite raises while it writes as a fault of the store."""
    with read_faults():
        try:
            yield
        except sqlite3.OperationalError as error:
            code = (error.sqlite_errorcode or 0) & 0xFF
            if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
                raise NoSpace(FULL) from error
            raise
