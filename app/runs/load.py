"""How much there is already when somebody asks for one run more."""

import sqlite3
from typing import NamedTuple

from gatescope.app.runs.run import ACTIVE


class Load(NamedTuple):
    """What there is at the moment in which somebody asks for a run: how many are queued, how many of this owner's are
    not over, how many of this address's wait or pause, and the bytes that all runs and those of this address take.
    """

    queued: int
    of_owner: int
    of_address: int
    size: int
    size_of_address: int


def load_of(connection: sqlite3.Connection, owner: str, address: str) -> Load:
    """The load as a transaction sees it."""
    active = ", ".join(f"'{state}'" for state in ACTIVE)
    queries: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("SELECT count(*) FROM run WHERE state = 'queued'", ()),
        (f"SELECT count(*) FROM run WHERE owner = ? AND state IN ({active})", (owner,)),
        ("SELECT count(*) FROM run WHERE address = ? AND state IN ('queued', 'paused')", (address,)),
        ("SELECT coalesce(sum(size), 0) FROM run", ()),
        ("SELECT coalesce(sum(size), 0) FROM run WHERE address = ?", (address,)),
    )
    return Load(*(connection.execute(query, values).fetchone()[0] for query, values in queries))
