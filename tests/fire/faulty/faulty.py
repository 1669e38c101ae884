"""A process whose database fails once, or that dies at a named point, when it is told to from outside.

On PYTHONPATH, `sitecustomize` beside this sets it up before anything else is imported: the product knows nothing of it.
Whoever holds the folder FAULTY_ORDERS writes a file there: `sql` with a fault's name and what it is to meet (`read`,
`write` or `any`), or `crash` with the name of a point. Who comes there first takes the order, and the file is gone.
"""

import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

VARIABLE = "FAULTY_ORDERS"
FAULTS = {
    "busy": (sqlite3.SQLITE_BUSY, "database is locked"),
    "ioerr": (sqlite3.SQLITE_IOERR, "disk I/O error"),
    "full": (sqlite3.SQLITE_FULL, "database or disk is full"),
}
POINTS = ("before-fsync", "before-rename", "after-rename", "before-begin", "before-commit", "after-commit")
READS = ("SELECT",)
WRITES = ("BEGIN", "INSERT", "UPDATE", "DELETE", "COMMIT")


def fault(name: str) -> sqlite3.OperationalError:
    """What SQLite raises when it meets this."""
    code, sentence = FAULTS[name]
    error = sqlite3.OperationalError(sentence)
    error.sqlite_errorcode = code
    return error


class Faulty(sqlite3.Connection):
    """A connection that asks before each statement whether it is to fail, and says when one is done."""

    before: Callable[[str], None] = staticmethod(lambda statement: None)
    after: Callable[[str], None] = staticmethod(lambda statement: None)

    def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        """Do a statement, unless that fails."""
        type(self).before(statement)
        found = super().execute(statement, *values)
        type(self).after(statement)
        return found


def kind(statement: str) -> str | None:
    """Whether a statement reads or writes; None for what opens a database, or undoes."""
    word = statement.split(None, 1)[0].upper()
    return "read" if word in READS else "write" if word in WRITES else None


def install() -> None:
    """Let every database that this process opens be faulty."""
    connect = sqlite3.connect

    def faulty(*given: object, **more: object) -> sqlite3.Connection:
        return connect(*given, **{"factory": Faulty} | more)

    sqlite3.connect = faulty


def obey(orders: Path) -> None:
    """Fail and die as the folder says."""

    def taken(name: str, fits: Callable[[list[str]], bool]) -> list[str]:
        file = orders / name
        try:
            order = file.read_text().split()
            if not order or not fits(order):
                return []
            file.rename(orders / f"{name}.taken.{os.getpid()}")  # one process alone can do that
            return order
        except OSError:
            return []

    def point(name: str) -> None:
        if taken("crash", lambda order: order[0] == name):
            os.kill(os.getpid(), signal.SIGKILL)

    def before(statement: str) -> None:
        for word in ("BEGIN", "COMMIT"):
            if statement.startswith(word):
                point(f"before-{word.lower()}")
        found = taken("sql", lambda order: order[1] in (kind(statement), "any") and kind(statement) is not None)
        if found:
            raise fault(found[0])

    def after(statement: str) -> None:
        if statement == "COMMIT":
            point("after-commit")

    Faulty.before, Faulty.after = staticmethod(before), staticmethod(after)
    fsync, replace = os.fsync, os.replace

    def faulty_fsync(file: int) -> None:
        point("before-fsync")
        fsync(file)

    def faulty_replace(*given: object, **more: object) -> None:
        point("before-rename")
        replace(*given, **more)
        point("after-rename")

    os.fsync, os.replace = faulty_fsync, faulty_replace
    install()
