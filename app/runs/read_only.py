"""The store of the runs as a process sees it that only reads what another keeps, on the same data directory.

It takes no lock and writes nothing; it may begin before the keeper, and the keeper may be restarted under it. Where
there is nothing to read yet it says so (Unavailable), each time anew. What is new it finds by looking.
"""

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from gatescope.app.runs.database import Database, StoreFault, Unavailable
from gatescope.app.runs.schema import SCHEMAS
from gatescope.app.runs.store import Store

PAUSE = 0.25  # seconds between two looks at the log
PATIENCE = 5.0  # seconds to wait for a lock
NOT_YET = "the runs are kept by another process, which has not begun; try again in a few seconds"
NOT_NOW = "the store of the runs, which another process keeps, cannot be read now; try again in a few seconds"
OTHER_VERSION = "the runs are kept by a process of another version of Gatescope; this one cannot read them"


class ReadOnlyDatabase(Database):
    """The file `runs.sqlite` of another process, found again where it has been put in place anew."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self._connection_turn = threading.Lock()
        self._found: tuple[int, int] | None = None

    def open(self) -> None:
        """Nothing is taken: the file is opened by the first who reads."""

    def close(self) -> None:
        """Let go of the file."""
        with self._connection_turn:
            self._let_go()

    def read(self, query: str, values: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """The rows that a query finds; raises Unavailable."""
        with self._connection_turn:
            try:
                return self._connected().execute(query, values).fetchall()
            except (OSError, sqlite3.Error) as error:
                self._let_go()
                raise Unavailable(NOT_YET if isinstance(error, FileNotFoundError) else NOT_NOW) from error

    def _connected(self) -> sqlite3.Connection:
        """The connection to the file that is there now, of the version that is known here."""
        status = self.path.stat()
        if self._found != (status.st_dev, status.st_ino):
            self._let_go()
            self._reader = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=ro",
                PATIENCE,
                isolation_level=None,
                check_same_thread=False,
                uri=True,
            )
            self._reader.row_factory = sqlite3.Row
            self._found = status.st_dev, status.st_ino
        version = self._reader.execute("PRAGMA user_version").fetchone()[0]
        if version != len(SCHEMAS):
            raise Unavailable(OTHER_VERSION if version else NOT_YET)
        return self._reader

    def _let_go(self) -> None:
        if self._found:
            with closing(self._reader):
                self._found = None


class ReadOnlyStore(Store):
    """The runs of a data directory that another process keeps."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.database = ReadOnlyDatabase(folder)
        self._seen = 0

    def open(self) -> None:
        """Nothing is taken; whether there is anything to read shows when it is read."""

    def last_id(self) -> int:
        """The highest id that an event ever got, as far as can be seen now."""
        try:
            found = self.database.read("SELECT seq FROM sqlite_sequence WHERE name = 'event'")
            self._seen = found[0]["seq"] if found else 0
        except StoreFault:
            pass  # whoever reads the log itself is told
        return self._seen

    async def wait(self, after: int, seconds: float) -> bool:
        """Wait until the log has an event above `after`; False when the seconds pass before."""
        clock = asyncio.get_running_loop()
        end = clock.time() + seconds
        while await asyncio.to_thread(self.last_id) <= after:
            if clock.time() > end:
                return False
            await asyncio.sleep(PAUSE)
        return True
