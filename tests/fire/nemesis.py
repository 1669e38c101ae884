"""Kills and stops a server and its workers, at random and at named points, and lets single calls of its database fail,
while runs train and people watch: `python -m tests.fire.nemesis --kills 100 --faults 100`.

In the end nothing that was acknowledged is lost, each viewer had every id once, in rising order, and the weights are
those of a training that nobody disturbed.
"""

import argparse
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from tests.fire.faulty.faulty import FAULTS, POINTS, VARIABLE
from tests.fire.process import ServerProcess
from tests.fire.watching import Reader, Streamer, Watcher, weights_of, whole_log
from tests.runs import TEXT

HOUSE = Path(__file__).parent.parent.parent
QUIET = {"cell": "gru", "hidden": 16, "batch_size": 8, "sequence_length": 16, "layers": 1, "patience": 10**6}
PATIENCE = 180.0
KILLS = ("kill the server", "kill a worker", "stop the server", "stop a worker", "at a point")


class Nemesis:
    """One server on a data directory of its own, the runs it acknowledged, and those who watch them.

    counts: how often each thing was done to it; answers: how often each status was answered.
    """

    def __init__(self, folder: Path, seed: int, steps: int):
        self.data, self.orders, self.steps = folder / "data", folder / "orders", steps
        self.orders.mkdir(parents=True)
        self.chance = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.acknowledged: dict[str, int] = {}
        self.watchers: list[Watcher] = []
        self.answers: Counter[int] = Counter()
        self.struck_at: dict[str, int] = {}
        self._seeds = itertools.count(1)
        self.client = httpx.Client(verify=False, timeout=30)
        self.server: subprocess.Popen | None = None
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port = taken.getsockname()[1]

    @property
    def address(self) -> str:
        """Where the server answers, whichever it is now."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        places = [
            HOUSE / "tests" / "fire" / "faulty",
            *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)),
        ]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, places)), VARIABLE: str(self.orders)}
        environment |= {"GATESCOPE_WORKERS": "2", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "gatescope", "serve", "--port", str(self.port), "--data", str(self.data)]
        with (self.orders / "server.log").open("ab") as log:
            self.server = subprocess.Popen(command, stderr=log, stdout=log, env=environment)
        self.wait(self.is_answering, "the server does not answer")

    def is_answering(self) -> bool:
        """Whether the server says that it is alive; one that ended at a point is started again."""
        assert self.server
        if self.server.poll() is not None:
            self.start()
        try:
            return self.client.get(f"{self.address}/healthz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def end(self) -> None:
        """End the server as a person does."""
        assert self.server
        self.server.send_signal(signal.SIGCONT)
        self.server.terminate()
        try:
            self.server.wait(15)
        finally:
            self.server.kill()

    def wait(self, holds, sentence: str) -> None:
        """Wait until something holds."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, sentence
            time.sleep(0.05)

    def ask(self, method: str, path: str, **more) -> httpx.Response | None:
        """The answer to a request, or None where the server died meanwhile; any answer but 503 and 507 is right."""
        try:
            response = self.client.request(method, f"{self.address}{path}", **more)
        except httpx.TransportError:
            return None
        self.answers[response.status_code] += 1
        assert response.status_code < 500 or response.status_code in (503, 507), response.text
        return response

    def create(self) -> None:
        """Start a run, and have it watched once it is acknowledged; asked for again until it is."""
        seed, key = next(self._seeds), f"the nemesis' run {self.chance.random()}"
        params = QUIET | {"steps": self.steps, "seed": seed}

        def is_made() -> bool:
            response = self.ask("POST", "/api/runs", params=params, content=TEXT, headers={"Idempotency-Key": key})
            if response is None or response.status_code != 202:
                self.is_answering()
                return False
            id = response.json()["id"]
            self.acknowledged[id] = seed
            self.watchers += [Reader(self, id), Streamer(self, id)]
            return True

        self.wait(is_made, "no run can be started")

    def workers(self) -> list[int]:
        """The processes that train."""
        assert self.server
        return [each.number for each in ServerProcess(self.server.pid).workers()]

    def kill(self) -> None:
        """Kill or stop somebody, at random or at a named point."""
        assert self.server
        how, workers = self.chance.choice(KILLS), []
        while how.endswith("a worker") and not workers:
            self.wait(self.is_got_on, "no run gets on")
            workers = self.workers()
        if how == "kill the server":
            self.server.kill()
            self.server.wait()
        elif how == "kill a worker":
            strike(self.chance.choice(workers), signal.SIGKILL)
        elif how == "stop the server":
            strike(self.server.pid, signal.SIGSTOP)
            time.sleep(self.chance.uniform(0.2, 1.5))
            strike(self.server.pid, signal.SIGCONT)
        elif how == "stop a worker":
            worker = self.chance.choice(workers)
            strike(worker, signal.SIGSTOP)
            threading.Timer(self.chance.uniform(0.2, 3), strike, [worker, signal.SIGCONT]).start()
        else:
            how = self.chance.choice(POINTS)
            self.order("crash", how)
        self.counts[how] += 1
        self.wait(self.is_answering, "the server does not come back")

    def have_got_on(self) -> bool:
        """Whether every run that trains has since a worker was struck; three times without fail a run, as promised."""
        found = [self.run(id) for id in self.acknowledged]
        steps = {run["id"]: (run["progress"] or {"step": 0})["step"] for run in found if run.get("state") == "running"}
        is_so = bool(steps) and all(step > self.struck_at.get(id, 0) for id, step in steps.items())
        self.struck_at = steps if is_so else self.struck_at
        return is_so

    def is_got_on(self) -> bool:
        """The same, where the server lives and has something to train."""
        self.is_answering()
        self.keep_busy()
        return self.have_got_on()

    def fail(self) -> None:
        """Let one call of the database fail."""
        fault, what = self.chance.choice([*FAULTS]), self.chance.choice(["read", "write"])
        if what == "read" and fault == "full":
            fault = "ioerr"
        self.order("sql", f"{fault} {what}")
        self.counts[f"{fault} in a {what}"] += 1
        self.wait(self.is_answering, "the server does not come back")

    def order(self, name: str, content: str) -> None:
        """Give an order, and wait until somebody took it."""
        unfinished = self.orders / f"{name}.new"
        unfinished.write_text(content)
        unfinished.rename(self.orders / name)

        def is_taken() -> bool:
            if (self.orders / name).exists():
                self.is_answering()
                self.ask("GET", "/readyz")
                return not (self.orders / name).exists()
            return True

        self.wait(is_taken, f"nobody came to {content}")

    def run(self, id: str) -> dict:
        """A run as the server tells it, or nothing where that cannot be told now."""
        response = self.ask("GET", f"/api/runs/{id}")
        return response.json() if response is not None and response.status_code == 200 else {}

    def is_finished(self, id: str) -> bool:
        """Whether a run is; an AssertionError where it ended otherwise."""
        run = self.run(id)
        assert run.get("state") not in ("failed", "stopped"), (id, run["reason"])
        return run.get("state") == "finished"

    def keep_busy(self) -> None:
        """See to it that there are always runs to train."""
        states = [self.run(id).get("state") for id in [*self.acknowledged][-6:]]
        if sum(state in ("queued", "running") for state in states) < 3:
            self.create()

    def torment(self, kills: int, faults: int) -> None:
        """Do all of it, in any order."""
        deeds = [self.kill] * kills + [self.fail] * faults
        self.chance.shuffle(deeds)
        for deed in deeds:
            self.keep_busy()
            deed()
            time.sleep(self.chance.uniform(0, 0.5))

    def verdict(self) -> Iterator[tuple[str, object]]:
        """What is to be seen when everything is over, as rows of a table; an AssertionError where it is wrong."""
        yield from sorted(self.counts.items())
        yield "runs acknowledged", len(self.acknowledged)
        for id in self.acknowledged:
            self.wait(lambda id=id: self.is_finished(id), f"run {id} is not finished")
        yield "runs finished", len(self.acknowledged)
        self.wait(lambda: self.ask("GET", "/readyz").status_code == 200, "the server is not ready")
        for watcher in self.watchers:
            watcher.join(PATIENCE)
            assert not watcher.is_alive(), "a viewer did not come to the end"
        logs = {id: whole_log(self.address, id, self.steps) for id in self.acknowledged}
        for watcher in self.watchers:
            assert watcher.ids == logs[watcher.run_id], (
                f"a viewer saw {len(watcher.ids)} of {len(logs[watcher.run_id])}"
            )
        yield "viewers with every id once", len(self.watchers)
        for status, count in sorted(self.answers.items()):
            yield f"answers {status}", count


def strike(process: int, blow: signal.Signals) -> None:
    """Send a signal to a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(process, blow)


@contextmanager
def nemesis(seed: int, steps: int) -> Iterator[Nemesis]:
    """A nemesis with its server, for the length of a `with` block."""
    folder = Path(tempfile.mkdtemp(prefix="nemesis-"))
    found = Nemesis(folder, seed, steps)
    try:
        with found.client:
            found.start()
            yield found
            found.end()
    finally:
        for watcher in found.watchers:
            watcher.leave()
        if found.server:
            strike(found.server.pid, signal.SIGCONT)
            found.server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def tried(kills: int, faults: int, seed: int = 0, steps: int = 400) -> list[tuple[str, object]]:
    """The rows of the table that so many kills and faults come to; raises AssertionError where something is lost."""
    with nemesis(seed, steps) as disturbed:
        began = time.monotonic()
        disturbed.torment(kills, faults)
        rows = list(disturbed.verdict())
        weights = {seed: weights_of(disturbed.address, id) for id, seed in disturbed.acknowledged.items()}
        rows.append(("seconds", round(time.monotonic() - began)))
    with nemesis(seed, steps) as quiet:
        while len(quiet.acknowledged) < min(3, len(weights)):
            quiet.create()
        list(quiet.verdict())
        for id, seed in quiet.acknowledged.items():
            assert weights_of(quiet.address, id) == weights[seed], "a disturbed run came to other weights"
        rows.append(("weights as undisturbed", len(quiet.acknowledged)))
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, count in (("--kills", 100), ("--faults", 100), ("--seed", 0), ("--steps", 400)):
        parser.add_argument(name, type=int, default=count)
    for name, count in tried(**vars(parser.parse_args())):
        print(f"{name:32}{count:>8}")


if __name__ == "__main__":
    main()
