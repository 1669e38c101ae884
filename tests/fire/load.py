"""A crowd with hostile clients in it, and what the others notice of them.

    python -m tests.fire.load --seconds 300    prints the table; exit status 1 where a bar is missed

A real server with default settings and two workers on loopback; 200 readers of two trainings, 20 traces a second of
usual texts, a page each second, a look at /healthz ten times a second, and one hostile client of each kind
(`tests.fire.hostile`). Readers, traces, looks and hostile clients are processes of their own, and the table says how
late and how busy each of them was: what it measured is true as far as it was not.
"""

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import orjson

from tests.fire.hostile import KINDS
from tests.fire.process import Served, leave_nothing, served

BOOK = ("It was the best of times, it was the worst of times, it was the age of wisdom. " * 400).encode()
NOT_NOW = ("503", "507")
WARM_UP = 0.4  # of the time; what is held afterwards is to stay the same
SAMPLES = 2  # a second
WINDOW = 10  # seconds over which memory is looked at as one
HEALTH_RATE = 10
FLAT = 10  # percent
LONG_ENOUGH = 120  # seconds after which what is kept on purpose has been taken


@dataclass
class Row:
    """A row of the table; where there is a bar, the figure must be below it."""

    name: str
    figure: float
    bar: float | None = None
    detail: str = ""
    unit: str = ""

    @property
    def held(self) -> bool:
        """Whether the bar is held; without one always."""
        return self.bar is None or self.figure < self.bar

    def __str__(self) -> str:
        verdict = "" if self.bar is None else "held" if self.held else "SHORT"
        bar = "" if self.bar is None else f"< {self.bar:g}"
        return (
            f"{verdict:5}  {self.figure:10.1f} {self.unit:4} {bar:8} {self.name}{': ' * bool(self.detail)}{self.detail}"
        )


@dataclass
class Crowd:
    """How many there are of each."""

    readers: int = 200
    traces: float = 20
    runs: int = 2
    is_hostile: bool = True
    kinds: tuple[str, ...] = ()  # of hostile clients; all of them unless said


@dataclass
class Memory:
    """What the server with its calculators held, and its other children, with the times at which they did."""

    times: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)
    children: list[float] = field(default_factory=list)

    def sample(self, server: Served) -> None:
        """Look once."""
        self.times.append(time.monotonic())
        self.server.append(server.memory())
        self.children.append(sum(worker.memory() for worker in server.workers()))

    def growth(self) -> tuple[float, float]:
        """By how many megabytes it grew after the warm-up, and what it held in the middle.

        Of each ten seconds the median counts, and between them the median of all slopes (Theil 1950, Sen 1968): single
        dear computations, which come and go, do not look like growth.
        """
        times, held = np.array(self.times) - self.times[0], np.array(self.server)
        later = times >= WARM_UP * times[-1]
        times, held = times[later], held[later]
        windows = ((times - times[0]) // min(WINDOW, max(1.0, np.ptp(times) / 4))).astype(int)
        middles = np.array([[times[windows == n].mean(), np.median(held[windows == n])] for n in np.unique(windows)])
        first, second = np.triu_indices(len(middles), 1)
        slopes = (middles[second, 1] - middles[first, 1]) / (middles[second, 0] - middles[first, 0])
        return float(np.median(slopes) * np.ptp(times)), float(np.median(held))


def started(address: str, count: int) -> list[str]:
    """Trainings that last longer than anybody looks; their ids."""
    with httpx.Client(base_url=address, timeout=60) as client:
        made = [
            client.post("/api/runs", params={"steps": 2_000_000, "hidden": 64, "seed": seed}, content=BOOK).json()
            for seed in range(count)
        ]
        ids = [each["id"] for each in made]
        end = time.monotonic() + 60
        while time.monotonic() < end:
            found = [client.get(f"/api/runs/{id}").json() for id in ids]
            if all(each["progress"] for each in found):
                return ids
            time.sleep(0.2)
    raise RuntimeError("the trainings do not begin")


class Measured:
    """What a load showed: what each process of clients saw, the server's memory and time, and how it stood after."""

    def __init__(self, seconds: float, crowd: Crowd):
        self.seconds, self.crowd, self.memory = seconds, crowd, Memory()
        with served(workers=2) as server:
            runs = started(server.address, crowd.runs)
            commands = {
                "readers": ["users", "readers", server.address, seconds, crowd.readers, ",".join(runs)],
                "traces": ["users", "traces", server.address, seconds, crowd.traces],
                "health": ["users", "health", server.address, seconds, HEALTH_RATE],
            }
            if crowd.is_hostile:
                commands["hostile"] = ["hostile", server.address, seconds, runs[0], *crowd.kinds]
            busy, began = server.seconds(), time.monotonic()
            self.seen = self._watched(server, commands)
            self.busy = (server.seconds() - busy) / (time.monotonic() - began)
            self.peak, self.states = max(self.memory.server), [self._state(server, id) for id in runs]
            self.log, self.exceptions, self.last_words = len(server.said()), server.exceptions(), server.said()[-2000:]

    def _state(self, server: Served, run: str) -> str:
        """How a training stands; a word of its own where the server does not answer."""
        try:
            return str(httpx.get(f"{server.address}/api/runs/{run}", timeout=60).json()["state"])
        except httpx.TransportError:
            return "no answer"

    def _watched(self, server: Served, commands: dict[str, list[Any]]) -> dict[str, dict[str, Any]]:
        begun = {
            name: subprocess.Popen(
                [sys.executable, "-m", f"tests.fire.{module}", *map(str, rest)], stdout=subprocess.PIPE
            )
            for name, (module, *rest) in commands.items()
        }
        try:
            end = time.monotonic() + self.seconds
            while time.monotonic() < end and server.memory():
                self.memory.sample(server)
                time.sleep(1 / SAMPLES)
            said = {name: process.communicate(timeout=90)[0] for name, process in begun.items()}
        finally:
            for process in begun.values():
                process.kill()
        return {name: orjson.loads(each) for name, each in said.items()}

    def hostile_answers(self) -> dict[str, dict[str, int]]:
        """What the hostile clients were answered, by kind and status."""
        found: dict[str, dict[str, int]] = self.seen.get("hostile", {}).get("answers", {})
        return found

    def faults(self) -> Counter[str]:
        """The answers from 500 on that may not be, by status."""
        every: Counter[str] = Counter()
        for answers in (*self.hostile_answers().values(), *map(self.answered, ("traces", "pages", "health"))):
            every.update(answers)
        every.update(map(str, self.seen["readers"]["refused"]))
        return Counter({status: n for status, n in every.items() if status.startswith("5") and status not in NOT_NOW})

    def answered(self, kind: str) -> dict[str, int]:
        """The answers to the usual clients, by status; 0 is none within half a minute."""
        process = "traces" if kind == "pages" else kind
        found: dict[str, int] = self.seen[process][f"{kind} answered"]
        return found

    def rows(self) -> Iterator[Row]:
        """The table."""
        faults, readers = self.faults(), self.seen["readers"]
        yield Row("answers from 500 on that are neither 503 nor 507", faults.total(), 1, say(faults))
        dead = sum(state != "running" for state in self.states)
        yield Row("trainings that do not go on", dead, 1, ", ".join(self.states))
        yield from self._times("/healthz", self.seen["health"]["health"], self.answered("health"), 200)
        yield from self._times("traces", self.seen["traces"]["traces"], self.answered("traces"), 1000)
        yield from self._times("pages", self.seen["traces"]["pages"], self.answered("pages"), None)
        refused = {kind: 1 - share_of(self.answered(kind)) for kind in ("traces", "health")}
        yield Row("usual traces without an answer (503 or none)", refused["traces"] * 100, 1, unit="%")
        yield Row("looks at /healthz without an answer", refused["health"] * 100, 0.1, unit="%")
        first, counts = readers["first"], {name: len(readers[name]) for name in ("first", "cut", "refused")}
        detail = f"{readers['events']:,} events; streams: {say(counts)}"
        yield Row("first event of a stream, 99th percentile", percentile(first, 99), None, detail, "ms")
        growth, middle = self.memory.growth()
        flat = FLAT if self.seconds >= LONG_ENOUGH else None
        said = f"{growth:+.0f} MB; median {middle:.0f} MB"
        yield Row("memory: growth after warm-up", 100 * growth / middle, flat, said, "%")
        children = f"its trainings {max(self.memory.children):.0f} MB"
        yield Row("memory: peak of the server and its calculators", self.peak, 1500, children, "MB")
        yield Row("log of the server", self.log / 1000, None, f"{self.exceptions.total()} tracebacks", "kB")
        clients = {
            name: f"{seen['busy'] / self.seconds:.0%} busy, {1000 * seen['late']:.0f} ms late"
            for name, seen in self.seen.items()
        }
        yield Row(
            "server busy", 100 * self.busy, None, "; ".join(f"{name} {how}" for name, how in clients.items()), "%"
        )

    def _times(self, name: str, seconds: list[float], answers: dict[str, int], bar: float | None) -> Iterator[Row]:
        high, top = percentile(seconds, 99), percentile(seconds, 100)
        detail = f"median {percentile(seconds, 50):.0f} ms, longest {top:.0f} ms; {say(answers)}"
        yield Row(f"{name}, 99th percentile", high, bar, detail, "ms")


def share_of(answers: dict[str, int]) -> float:
    """How many of the answers were the ones asked for, of 1."""
    return answers.get("200", 0) / max(1, sum(answers.values()))


def percentile(seconds: list[float], part: float) -> float:
    """Of times in seconds, in milliseconds; infinite where nothing came at all."""
    return float(np.percentile(seconds, part)) * 1000 if seconds else float("inf")


def say(answers: dict[str, int]) -> str:
    """Answers by status, in words."""
    return ", ".join(f"{status}×{count:,}" for status, count in sorted(answers.items()))


def main() -> None:
    """Measure, and print the table."""
    leave_nothing()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--traces", type=float, default=20, help="traces a second")
    parser.add_argument("--peaceful", action="store_true", help="without hostile clients")
    parser.add_argument("--only", nargs="*", default=(), choices=KINDS, help="hostile clients of these kinds alone")
    chosen = parser.parse_args()
    crowd = Crowd(chosen.readers, chosen.traces, is_hostile=not chosen.peaceful, kinds=tuple(chosen.only))
    measured = Measured(chosen.seconds, crowd)
    rows = [*measured.rows()]
    print("\n".join(map(str, rows)))
    for kind, answers in sorted(measured.hostile_answers().items()):
        print(f"       hostile: {kind:<20} {say(answers)}")
    for words, count in measured.exceptions.most_common():
        print(f"       log: {count:,} × {words}")
    if "no answer" in measured.states:
        print(measured.last_words)
    sys.exit(not all(row.held for row in rows))


if __name__ == "__main__":
    main()
