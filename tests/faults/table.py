"""The table: its rows, what is tried for one of them and what came of it, and how the rows are shared out."""

import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from gatescope.models.cells import cells
from gatescope.models.network.network import untrained
from tests.faults.server import Server, a_quick_server
from tests.faults.sockets import Answer

KEPT = 12  # faults of one row that are told
MOST = 30  # after which a row is given up


class Enough(Exception):
    """A row holds so badly that nothing is learnt by going on."""


@dataclass(frozen=True)
class Row:
    """One input or fault. fault and answer: in words. missing: what is to be built first, where that is so."""

    number: int
    fault: str
    answer: str
    group: str
    attempt: Callable[["Trial"], None]
    missing: str = ""


@dataclass
class Trial:
    """What was tried for a row: how often, what came, what should not have come, what was measured beside it."""

    row: Row
    shared: Server | None = None
    tried: int = 0
    came: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pulses: list[tuple[float, float]] = field(default_factory=list)
    seconds: float = 0.0
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def server(self) -> Server:
        """The server that the rows of a group share."""
        assert self.shared, "this group has no server"
        return self.shared

    @property
    def held(self) -> bool:
        """Whether every answer was as it must be."""
        return self.tried > 0 and not self.faults

    def count(self, came: str, holds: bool, what: str = "") -> None:
        """Count one attempt: what came of it, and whether that is as it must be."""
        with self._turn:
            self.tried += 1
            self.came[came] += 1
            if not holds:
                self.faults.append(f"{what}: {came}" if what else came)
        if len(self.faults) > MOST:
            raise Enough("so many that no more were tried")

    def status(self, answer: Answer | httpx.Response, *allowed: int, what: str = "") -> None:
        """Count an answer by its status. A refusal must be a problem that no browser takes for something else."""
        code = answer.status if isinstance(answer, Answer) else answer.status_code
        headers, came = answer.headers, str(code) if code else "closed"
        holds = code in allowed
        if holds and code >= 400 and headers.get("content-type") != "application/problem+json":
            holds, came = False, f"{code} as {headers.get('content-type')}"
        elif holds and code and headers.get("x-content-type-options") != "nosniff":
            holds, came = False, f"{code} without nosniff"
        self.count(came, holds, what)

    def holds(self, condition: object, what: str) -> bool:
        """Note what must be so beside the answers; gives whether it is."""
        if not condition:
            with self._turn:
                self.faults.append(what)
        return bool(condition)

    def note(self, words: str) -> None:
        """Tell a figure."""
        self.notes.append(words)

    @contextmanager
    def own_server(self, **options: object) -> Iterator[Server]:
        """A server for this row alone, looked after like the shared one; options as `a_quick_server` takes them."""
        with a_quick_server(**options) as server, self.watched(server):
            yield server

    @contextmanager
    def watched(self, server: Server, dies: bool = False) -> Iterator[None]:
        """Look after a server for the length of a block: it answers quickly, and its log stays clean.

        dies: it may be gone at the end, on purpose.
        """
        began, place = time.monotonic(), server.log_size()
        try:
            yield
        finally:
            self.pulses += server.pulse.since(began)
            self.holds(dies or server.answers(), "the server answers no more")
            for line in server.complaints(place)[:3]:
                self.holds(False, f"log: {line}")


ROWS: dict[int, Row] = {}


def row(
    number: int, fault: str, answer: str, group: str, missing: str = ""
) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    """Put a function into the table. group: the rows of one are tried one after the other, on one server."""

    def put(attempt: Callable[[Trial], None]) -> Callable[[Trial], None]:
        assert number not in ROWS, number
        ROWS[number] = Row(number, fault, answer, group, attempt, missing)
        return attempt

    return put


def tried(rows: list[Row], told: Callable[[Trial], None]) -> None:
    """Try the rows of one group, on one server where they share it; tells each when it is over."""
    with ExitStack() as stack:
        group = rows[0].group
        server = stack.enter_context(a_quick_server(**GROUPS[group])) if group in GROUPS else None
        for each in rows:
            trial, began = Trial(each, server), time.monotonic()
            try:
                if server and not server.lives():
                    server.start()
                with trial.watched(server) if server else nullcontext():
                    each.attempt(trial)
            except Exception as fault:
                trial.faults.append(f"{type(fault).__name__}: {str(fault)[:300]} ({place_of(fault)})")
            trial.seconds = time.monotonic() - began
            told(trial)


def place_of(fault: BaseException) -> str:
    """Where in these files an exception came from."""
    here = [frame for frame in traceback.extract_tb(fault.__traceback__) if "/tests/" in frame.filename]
    return f"{here[-1].filename.rsplit('/', 1)[-1]}:{here[-1].lineno}" if here else "?"


def private_network(data: Path) -> None:
    """Puts a network of the machine's own into a data directory."""
    network = untrained(cells()["gru"], 1, 4, list("abc"), title="Private")
    (data / "private.safetensors").write_bytes(network.to_bytes())


# The groups that share a server, with its settings; the rows of others start their own.
GROUPS: dict[str, dict[str, object]] = {
    "parsing": {},
    "heads": {"body_limit": 2**20, "upload_limit": 2**21, "run_text_limit": 2**21},
    "web": {"prepare": private_network},
    "pages": {"workers": 2, "runs_per_owner": 100},
    "files": {"runs_per_owner": 100},
    "texts": {},
    "jobs": {"runs_per_owner": 100, "workers": 2},
}
