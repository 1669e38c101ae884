"""A store whose database fails as a test says, by a connection of SQLite that asks the test first."""

import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from gatescope.app.runs import keeping, supervisor, training
from tests.fire.faulty.faulty import Faulty, fault, install, kind

RETRY = 0.01


@contextmanager
def faulty(decide: Callable[[int, str], BaseException | None]) -> Iterator[None]:
    """Within the block, databases that are opened fail: `decide` is given the number of a reading or writing statement
    and what it is, and gives what it raises, or None. What the test itself asks, in the main thread, never fails.
    """
    numbers = itertools.count()

    def before(statement: str) -> None:
        if threading.current_thread() is threading.main_thread():
            return
        if (what := kind(statement)) and (raised := decide(next(numbers), what)):
            raise raised

    with pytest.MonkeyPatch.context() as here:
        here.setattr(sqlite3, "connect", sqlite3.connect)
        here.setattr(Faulty, "before", staticmethod(before))
        for module in (keeping, supervisor, training):
            here.setattr(module, "RETRY_SECONDS", RETRY)
        install()
        yield


class Once:
    """Fails the statement of one number, once; `met` says whether there was one."""

    def __init__(self, number: int, name: str):
        self.number, self.name, self.met = number, name, False

    def __call__(self, number: int, what: str) -> BaseException | None:
        if number != self.number:
            return None
        self.met = True
        return fault("ioerr" if what == "read" and self.name == "full" else self.name)


class Failing:
    """Which statement from now on fails, if any; met: whether it did."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.name, self.met = "", False

    def clear(self, number: int | None = None, name: str = "") -> None:
        """Let the statement of this number, counted from here, fail with this; without one, none."""
        self.number, self.name, self.met = number, name, False

    def before(self, statement: str) -> None:
        """Fail where it is time."""
        if self.number is None or (what := kind(statement)) is None:
            return
        self.number -= 1
        if self.number < 0:
            self.number, self.met = None, True
            raise fault("ioerr" if what == "read" and self.name == "full" else self.name)


@contextmanager
def failing() -> Iterator[Failing]:
    """Within the block, a statement of a database fails when it is told to, in whatever thread."""
    found = Failing()
    with pytest.MonkeyPatch.context() as here:
        here.setattr(sqlite3, "connect", sqlite3.connect)
        here.setattr(Faulty, "before", staticmethod(found.before))
        install()
        yield found
