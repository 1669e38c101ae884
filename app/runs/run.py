"""A run as the store keeps it, and whose turn it is."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

OVER = ("finished", "stopped", "failed")


@dataclass(frozen=True)
class Run:
    """One training.

    owner: fingerprint of its owner's token. recipe: as JSON. state: queued, running, paused, finished, stopped or
    failed; reason: why, in words, or None. wanted: what its owner asked for that is yet to happen (`paused`, `stopped`,
    `deleted`), or None. strikes: workers lost one after the other without getting further. seconds: time spent
    training. created: seconds since 1970.
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

    @property
    def is_over(self) -> bool:
        """Whether it will never train again."""
        return self.state in OVER


def in_turn(queued: Iterable[Run], running: Iterable[Run]) -> list[Run]:
    """The queued runs, given oldest first, in the order in which they are to start.

    Owners take turns: an owner's second run comes after everybody's first, whatever is running already counted.
    """
    rank, ranked = Counter(run.owner for run in running), []
    for run in queued:
        ranked.append((rank[run.owner], run))
        rank[run.owner] += 1
    return [run for _, run in sorted(ranked, key=lambda pair: pair[0])]
