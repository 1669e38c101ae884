"""A run as the store keeps it, and whose turn it is."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

OVER = ("finished", "stopped", "failed")
ACTIVE = ("queued", "running", "paused")


@dataclass(frozen=True)
class Run:
    """One training.

    owner: fingerprint of its owner's token. recipe: as JSON. state: queued, running, paused, finished, stopped or
    failed; reason: why, in words, or None. wanted: what its owner asked for that is yet to happen (`paused`, `stopped`,
    `deleted`), or None. strikes: workers lost one after the other without getting further. seconds: time spent
    training. created: seconds since 1970. address: fingerprint of where it was asked for. digest: of what was asked
    for. size: bytes of its text, its log and its checkpoints. turn: rises from one run that began to wait to the next.
    ended: since when it is over, in seconds since 1970, or None.
    """

    id: str
    owner: str
    title: str
    recipe: str
    state: str
    reason: str | None
    wanted: str | None
    strikes: int
    seconds: float
    created: float
    idempotency_key: str | None
    address: str
    digest: str
    size: int
    turn: int
    ended: float | None

    @property
    def is_over(self) -> bool:
        """Whether it will never train again."""
        return self.state in OVER


class Waiting(NamedTuple):
    """What of a run decides when it is its turn."""

    id: str
    owner: str
    address: str


def in_turn(queued: Iterable[Waiting], running: Iterable[Waiting], over: Iterable[Waiting] = ()) -> list[Waiting]:
    """The queued runs, given in the order in which they began to wait, in the order in which they are to start.

    Addresses take turns, and the owners behind one address: somebody's second run comes after everybody's first,
    whatever is running already counted. Among equals whoever had a turn last comes last; `over` are the runs that were,
    the latest first.
    """
    running, over = list(running), list(over)
    last_of_owners = {(run.address, run.owner): place for place, run in enumerate(reversed(over))}
    last_of_addresses = {run.address: place for place, run in enumerate(reversed(over))}
    of_owners = Counter((run.address, run.owner) for run in running)
    of_addresses = Counter(run.address for run in running)
    among_owners = []
    for run in queued:
        owner = (run.address, run.owner)
        among_owners.append((of_owners[owner], last_of_owners.get(owner, -1), run))
        of_owners[owner] += 1
    order = {run.id: place for place, (*_, run) in enumerate(among_owners)}
    ranked = []
    for *_, run in sorted(among_owners, key=lambda ranks: ranks[:2]):
        last = last_of_addresses.get(run.address, -1)
        ranked.append((of_addresses[run.address], last, order[run.id], run))
        of_addresses[run.address] += 1
    return [run for *_, run in sorted(ranked, key=lambda ranks: ranks[:3])]
