"""The process that computes: one task after the other, a piece at a time, for as long as its server lives.

    python -m gatescope.app.calculators.calculator FILE NICENESS MEMORY

FILE: the number of the socket it is spoken with. A task begins or goes on when it is asked for a piece, and waits
meanwhile; a whole computation, which may be long, looks between its pieces whether it is spoken to: then nobody waits
for it any more.
"""

import os
import pickle
import resource
import select
import socket
import sys
import time
from collections.abc import Iterator
from functools import partial

from gatescope.app.calculators.messages import (
    BEGIN,
    FAULT,
    FORGET,
    HEAD,
    HOW,
    LAST,
    LEAVE,
    MORE,
    NETWORK,
    NEXT,
    PART,
    PIECE,
    Failed,
    Message,
    told_network,
    unpacked_task,
)
from gatescope.app.logs import fault_trail
from gatescope.models.compiler.aligned import give_back
from gatescope.models.inspection.computation import Abandoned
from gatescope.models.network.network import Network, keep_laid_out
from gatescope.models.refused import Refused

# Bytes that are answered at once, and the processor's seconds in which they are made. By the clock pieces would be the
# smaller, and so their number the larger, the more there is to do.
AT_ONCE, SECONDS = 2**20, 0.03
# What lies free is given back at once after a job that held so many bytes, and after any when nothing was asked for so
# many seconds.
LARGE, IDLE = 48 << 20, 1.0
LAID_OUT = 32 << 20  # bytes of weights that stay laid out
RESERVED = 2**30  # bytes beside what tasks may hold: libraries, networks, what is only reserved


class Calculator:
    """What a calculator knows: its line to the server, networks by number, and jobs that are under way with the bytes
    they hold at most.
    """

    def __init__(self, line: socket.socket):
        self.line = line
        self.networks: dict[int, Network] = {}
        self.jobs: dict[int, tuple[Iterator[bytes], int]] = {}
        self._parts: list[bytes | bytearray] = []
        self._lies_free = False  # memory of jobs that are over, perhaps
        self._orders = {
            PART: self._take_part,
            NETWORK: self._take_network,
            FORGET: self._forget,
            BEGIN: self._begin,
            NEXT: self._go_on,
            LEAVE: self._leave,
        }

    def run(self) -> None:
        """Do what is asked, until the server is gone."""
        while True:
            if self._lies_free and not self._is_spoken_to(IDLE):
                self._give_back()
            kind, number, length = HEAD.unpack(self._receive(HEAD.size))
            self._orders[kind](number, self._receive(length))

    def _receive(self, length: int) -> bytearray:
        """So many bytes; ends the process where the server has."""
        found = bytearray(length)
        view = memoryview(found)
        while view:
            count = self.line.recv_into(view)
            if not count:
                os._exit(0)
            view = view[count:]
        return found

    def _tell(self, kind: bytes, number: int, content: bytes = b"") -> None:
        self.line.sendall(Message(kind, number, content).head())
        self.line.sendall(content)

    def _take_part(self, number: int, content: bytearray) -> None:
        self._parts.append(content)

    def _take_network(self, number: int, content: bytearray) -> None:
        parts, self._parts = self._parts, []
        self.networks[number] = told_network(content, parts)

    def _forget(self, number: int, _: bytearray) -> None:
        self.networks.pop(number, None)

    def _begin(self, number: int, content: bytearray) -> None:
        try:
            task, memory = unpacked_task(content, self.networks)
            how, pieces = task(partial(self._is_wanted, number))
            self.jobs[number] = pieces, memory
            self._tell(HOW, number, pickle.dumps(how))
        except Exception as fault:
            return self._tell_fault(number, fault)
        self._go_on(number)

    def _is_wanted(self, number: int) -> bool:
        """Whether somebody waits for what is being computed. All that can be said meanwhile is that somebody left."""
        wanted = True
        while self._is_spoken_to():
            _, left, _ = HEAD.unpack(self._receive(HEAD.size))
            self._leave(left)
            wanted = wanted and left != number
        return wanted

    def _go_on(self, number: int, _: bytes | bytearray = b"") -> None:
        """Tell the next pieces of a job, as many as are made quickly."""
        began, size, pieces = time.thread_time(), 0, self.jobs[number][0]
        try:
            while size < AT_ONCE and time.thread_time() - began < SECONDS:
                piece = next(pieces)
                self._tell(PIECE, number, piece)
                size += len(piece)
        except StopIteration:
            self._leave(number)
            self._tell(LAST, number)
        except Exception as fault:
            self._tell_fault(number, fault)
        else:
            self._tell(MORE, number)

    def _tell_fault(self, number: int, fault: Exception) -> None:
        self._leave(number)
        told = fault if isinstance(fault, Refused | Abandoned | MemoryError) else Failed(fault_trail(fault))
        self._tell(FAULT, number, pickle.dumps(told))

    def _leave(self, number: int, _: bytes | bytearray = b"") -> None:
        pieces, memory = self.jobs.pop(number, (None, 0))
        del pieces  # with it goes all that it holds
        self._lies_free = True
        if memory >= LARGE:
            self._give_back()

    def _is_spoken_to(self, seconds: float = 0) -> bool:
        """Whether something comes within so many seconds."""
        return bool(select.select([self.line], [], [], seconds)[0])

    def _give_back(self) -> None:
        give_back()
        self._lies_free = False


def main() -> None:
    """Be a calculator until the server is gone."""
    file, niceness, memory = map(int, sys.argv[1:])
    os.nice(niceness)
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = memory + RESERVED if hard == resource.RLIM_INFINITY else min(memory + RESERVED, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    keep_laid_out(LAID_OUT)
    Calculator(socket.socket(fileno=file)).run()


if __name__ == "__main__":
    main()
