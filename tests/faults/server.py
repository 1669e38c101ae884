"""Real servers to be tried: `python -m gatescope serve` in a process of its own, its log kept, its pulse taken."""

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from tests.faults.sockets import asked, head
from tests.fire.process import ServerProcess

START_SECONDS = 120.0
# what must never stand in a log: controls but the line's end, direction controls, half surrogates
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\ud800-\udfff]")


class Pulse:
    """How long /healthz takes, asked ten times a second; and how late this thread itself is woken, which says how busy
    the machine is with other things.
    """

    def __init__(self, address: str):
        self.address, self.beats = address, list[tuple[float, float, float]]()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self) -> None:
        with httpx.Client(base_url=self.address, timeout=30, verify=False) as client:
            asleep = time.monotonic()
            while not self._end.wait(0.1):
                began = time.monotonic()
                late = began - asleep - 0.1
                try:
                    fine = client.get("/healthz").status_code in (200, 503)  # 503: no connection was free
                except httpx.HTTPError:
                    fine = False
                if fine:
                    self.beats.append((began, time.monotonic() - began, late))
                asleep = time.monotonic()

    def since(self, moment: float) -> list[tuple[float, float]]:
        """The seconds that it took, and by how much the thread was late, of those asked since a moment."""
        return [(took, late) for began, took, late in list(self.beats) if began >= moment]

    def stop(self) -> None:
        """Ask no more."""
        self._end.set()
        self._thread.join(35)


LIVING: set["Server"] = set()


class Server:
    """A server in a process of its own, with a data directory of its own."""

    def __init__(self, folder: Path, variables: dict[str, str], limits: dict[int, tuple[int, int]]):
        self.folder, self.data, self.log = folder, folder / "data", folder / "log"
        self.variables, self.limits = variables, limits
        self.data.mkdir(exist_ok=True)
        self.process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.address, timeout=60, verify=False)
        LIVING.add(self)
        self.start()
        self.pulse = Pulse(self.address)

    def begin(self) -> None:
        """Start the process, and wait for nothing."""
        command = [sys.executable, "-m", "gatescope", "serve", "--port", str(self.port)]
        environment = {**os.environ, "GATESCOPE_DATA": str(self.data), **self.variables}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stderr=log,
                stdout=log,
                env=environment,
                cwd=self.folder,
                preexec_fn=partial(limit, self.limits),
            )

    def start(self) -> None:
        """Start the process and wait until it answers."""
        self.begin()
        end = time.monotonic() + START_SECONDS
        while not self.answers(2):
            assert self.lives() and time.monotonic() < end, self.log.read_text(errors="replace")[-2000:]
            time.sleep(0.05)

    def answers(self, seconds: float = 20) -> bool:
        """Whether it says within so many seconds that it is alive."""
        try:
            found = asked(self.port, head("GET", "/healthz", "Connection: close"), timeout=seconds, closing=0)
            return found.status == 200 and b'"ok"' in found.body
        except OSError:
            return False

    def lives(self) -> bool:
        """Whether its process does."""
        return self.process is not None and self.process.poll() is None

    def end(self, how: signal.Signals = signal.SIGTERM, seconds: float = 30) -> float:
        """Signal the process and wait for its end; gives the seconds that took, infinity where it had to be killed."""
        assert self.process
        began = time.monotonic()
        if self.lives():
            self.process.send_signal(how)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(30)
            return float("inf")
        return time.monotonic() - began

    def close(self) -> None:
        """End it and all that belongs to it."""
        LIVING.discard(self)
        self.pulse.stop()
        self.client.close()
        children = self.children()
        self.end(seconds=20)
        end = time.monotonic() + 10
        while any(map(lives, children)) and time.monotonic() < end:
            time.sleep(0.05)

    def megabytes(self) -> float:
        """Memory that its process and its calculators hold."""
        return self._figures.memory()

    def peak(self) -> float:
        """The most megabytes that each of them ever held, together."""
        return self._figures.peak()

    def open_files(self) -> int:
        """How many files and connections its process has open."""
        return self._figures.files()

    def cpu_seconds(self) -> float:
        """Processor time that its process and its calculators have used."""
        return self._figures.seconds()

    def children(self) -> list[int]:
        """The processes that it has started to train, and that live."""
        return [each.number for each in self._figures.workers()]

    @property
    def _figures(self) -> ServerProcess:
        assert self.process
        return ServerProcess(self.process.pid)

    def log_size(self) -> int:
        """Bytes of the log."""
        return self.log.stat().st_size

    def complaints(self, place: int = 0) -> list[str]:
        """Lines of the log, from a byte on, that should not be there: tracebacks, and characters that are not seen."""
        with self.log.open("rb") as file:
            file.seek(place)
            text = file.read(4_000_000).decode(errors="surrogateescape")
        found = [f"{text.count('Traceback')} tracebacks, the last: {last_word(text)}"] if "Traceback" in text else []
        return found + [f"unseen characters in {ascii(line[:120])}" for line in text.split("\n") if UNSEEN.search(line)]


def last_word(text: str) -> str:
    """The exception of the last traceback in a log."""
    lines = text[text.rindex("Traceback") :].split("\n")
    named = next((line for line in lines[1:] if line and not line.startswith((" ", "\t", "|"))), "")
    return ascii(named[:160])


def limit(limits: dict[int, tuple[int, int]]) -> None:
    """Set limits of the process that is about to be started."""
    for kind, values in limits.items():
        resource.setrlimit(kind, values)


def lives(process: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def comes_true(condition: Callable[[], object], seconds: float = 30, pause: float = 0.05) -> bool:
    """Whether a condition holds within so many seconds."""
    end = time.monotonic() + seconds
    while not (holds := condition()) and time.monotonic() < end:
        time.sleep(pause)
    return bool(holds)


def crowding() -> float:
    """How many times longer things take here than they need to: all that wants to run, less what is ours, a core."""
    return max(1.0, (os.getloadavg()[0] - 3) / (os.cpu_count() or 1))


def in_state(client: httpx.Client, made: dict[str, Any], *states: str, seconds: float = 150) -> dict[str, Any]:
    """A run as soon as it is in one of these states."""
    end = time.monotonic() + seconds
    while (run := client.get(made["links"]["self"]).json())["state"] not in states:
        assert time.monotonic() < end, f"a run stays {run['state']}: {run['reason']}"
        time.sleep(0.05)
    return run


def end_all() -> None:
    """Kill the servers of this process that are still there."""
    for server in list(LIVING):
        if server.process and server.lives():
            server.process.kill()
        if server.data.is_mount():
            subprocess.run(["umount", "-l", server.data], capture_output=True)
        shutil.rmtree(server.folder, ignore_errors=True)


@contextmanager
def a_quick_server(
    limits: dict[int, tuple[int, int]] | None = None,
    prepare: Callable[[Path], object] | None = None,
    **settings: object,
) -> Iterator[Server]:
    """A server until the end of a `with` block.

    limits: of its process, as `resource.setrlimit` takes them; prepare: puts something into its data directory;
    settings: by their names, as workers=2.
    """
    folder = Path(tempfile.mkdtemp(prefix="gatescope-faults-"))
    (folder / "data").mkdir()
    if prepare:
        prepare(folder / "data")
    variables = {f"GATESCOPE_{name.upper()}": str(value) for name, value in settings.items()}
    try:
        server = Server(folder, variables | {"GATESCOPE_DEVICE": "cpu"}, limits or {})
        try:
            yield server
        finally:
            server.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
