"""A server in a process of its own, looked at from outside: its memory, its time, its log."""

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.service import answers

MOST = 8 * 2**30  # bytes of addresses; a request that asks for all there is takes the server and not the machine
# what ends a traceback: the first line after it that is not moved to the right
ENDS = re.compile(r"^Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*(\S.*)", re.M)
TICKS = os.sysconf("SC_CLK_TCK")
CALCULATES = b".calculators."  # in the command of a process that does


def leave_nothing() -> None:
    """Let SIGTERM end this program as Ctrl-C does, so that its servers end with it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


class Process:
    """A process by its number; figures are read from /proc."""

    def __init__(self, number: int):
        self.number, self.place = number, Path(f"/proc/{number}")

    def memory(self) -> float:
        """Megabytes that it holds now."""
        return self._status("VmRSS")

    def peak(self) -> float:
        """The most megabytes it ever held, since it began or since `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Let the peak begin anew at what is held now."""
        (self.place / "clear_refs").write_text("5")

    def seconds(self) -> float:
        """How long it has kept processors busy."""
        fields = (self.place / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def files(self) -> int:
        """How many files and sockets it has open."""
        return len(list((self.place / "fd").iterdir()))

    def children(self) -> list["Process"]:
        """The processes it started that are there now."""
        try:
            found = [path.read_text() for path in (self.place / "task").glob("*/children")]
        except OSError:  # it is over
            return []
        return [Process(int(number)) for numbers in found for number in numbers.split()]

    def command(self) -> bytes:
        """With what it was started; nothing where it is over."""
        try:
            return (self.place / "cmdline").read_bytes()
        except OSError:
            return b""

    def _status(self, name: str) -> float:
        """A figure in megabytes; 0 where the process is over."""
        try:
            lines = (self.place / "status").read_text().splitlines()
        except OSError:
            return 0.0
        return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(f"{name}:")), 0.0)


class ServerProcess(Process):
    """A server's process, whose figures are those of its calculators too."""

    def calculators(self) -> list[Process]:
        """Those of its children that compute what people ask for."""
        return [child for child in self.children() if CALCULATES in child.command()]

    def workers(self) -> list[Process]:
        """Those that train."""
        return [child for child in self.children() if CALCULATES not in child.command()]

    def memory(self) -> float:
        """Megabytes that all of them hold now."""
        return super().memory() + sum(each.memory() for each in self.calculators())

    def peak(self) -> float:
        """The most that each of them ever held, together."""
        return super().peak() + sum(each.peak() for each in self.calculators())

    def forget_peak(self) -> None:
        """Let the peak begin anew at what is held now."""
        super().forget_peak()
        for each in self.calculators():
            each.forget_peak()

    def seconds(self) -> float:
        """How long they have kept processors busy."""
        return super().seconds() + sum(each.seconds() for each in self.calculators())


class Served(ServerProcess):
    """A server: its address, its process and the file its log goes to."""

    def __init__(self, address: str, number: int, log: Path):
        super().__init__(number)
        self.address, self.log = address, log

    def said(self) -> str:
        """Its log until now."""
        return self.log.read_text(errors="replace")

    def exceptions(self) -> Counter[str]:
        """The last line of every traceback in its log, with how often it stands there."""
        return Counter(line[:200] for line in ENDS.findall(self.said()))


@contextmanager
def served(data: Path | None = None, **settings: object) -> Iterator[Served]:
    """A server with default settings but these, on a free loopback port and a data directory of its own, for the length
    of a `with` block.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="gatescope-fire-") as folder:
        log = Path(folder) / "log"
        chosen = {f"GATESCOPE_{name.upper()}": str(value) for name, value in settings.items()}
        command = [sys.executable, "-m", "gatescope", "serve", "--port", str(port), "--data", data or f"{folder}/data"]
        with log.open("wb") as out, subprocess.Popen(
            command, stdout=out, stderr=out, env={**os.environ, **chosen}, start_new_session=True
        ) as process:  # fmt: skip
            resource.prlimit(process.pid, resource.RLIMIT_AS, (MOST, MOST))
            server = Served(f"http://127.0.0.1:{port}", process.pid, log)
            try:
                end = time.monotonic() + 60
                while not answers(server.address):
                    assert process.poll() is None and time.monotonic() < end, server.said()
                    time.sleep(0.05)
                yield server
            finally:
                process.terminate()
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
