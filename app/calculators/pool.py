"""The calculators of a server: processes that begin when they are first needed, each asked for a piece at a time, the
addresses taking turns.
"""

import asyncio
import itertools
import logging
import math
import pickle
import socket
import subprocess
import sys
import weakref
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

from starlette.status import HTTP_503_SERVICE_UNAVAILABLE

from gatescope.app.calculators.messages import (
    BEGIN,
    FAULT,
    FORGET,
    HEAD,
    HOW,
    LAST,
    LEAVE,
    NEXT,
    PIECE,
    Failed,
    Message,
    network_messages,
    packed_task,
)
from gatescope.app.calculators.tasks import How, Task
from gatescope.app.http.places import DEAR, Share, in_time
from gatescope.app.http.problems import Problem
from gatescope.models.inspection.price import Price
from gatescope.models.network.network import Network

# -P: only what is installed is imported, whatever lies in the working directory
COMMAND = (sys.executable, "-P", "-m", "gatescope.app.calculators.calculator")
KNOWN = 32 << 20  # bytes of networks that a calculator is not told again
BETWEEN = 2**20  # bytes that the system holds on their way
# of nice(2): between the server, which answers all, and trainings, which have time
NICE, NICE_WHERE_DEAR = 2, 15
STANDSTILL = 600.0  # seconds after which a calculator that says nothing is lost
SOON = 1.0  # seconds after the server's start, which needs the processors for itself
Answer = tuple[list[bytes], Message]
"""The pieces that are there, and what came after them."""
log = logging.getLogger(__name__)
_jobs, _networks = itertools.count(1), itertools.count(1)
_number_of_network: weakref.WeakKeyDictionary[Network, int] = weakref.WeakKeyDictionary()


def number_of_network(network: Network) -> int:
    """The number by which calculators know a network."""
    if network not in _number_of_network:
        _number_of_network[network] = next(_networks)
    return _number_of_network[network]


class Lost(Problem):
    """The calculator is gone, and the job with it."""

    def __init__(self) -> None:
        detail = "has lost the process that computed this, and nothing else: try again"
        super().__init__(("service", detail), status=HTTP_503_SERVICE_UNAVAILABLE, headers={"Retry-After": "1"})


class Calculator:
    """A process, or the place of one. turn: to be had before it is asked."""

    def __init__(self, niceness: int, memory: int):
        self.turn, self._options = Share(1), (str(niceness), str(memory))
        self.line: socket.socket | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.known: OrderedDict[int, int] = OrderedDict()  # bytes of networks, by number
        self._left: list[int] = []  # jobs that it does not know yet to be left
        self._is_told = False  # something, just now
        self._asking: set[asyncio.Task[Answer]] = set()
        self._end: Callable[[], object] = int  # the process, and the line to it

    @property
    def busy(self) -> int:
        """How many ask it or wait to."""
        return len(self._asking)

    def start(self) -> socket.socket:
        """The line to the process, which is begun unless it is there."""
        if self.line is None:
            self.line, theirs = socket.socketpair()
            for side in (self.line, theirs):
                side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BETWEEN)
            self.line.setblocking(False)
            with theirs:
                self.process = subprocess.Popen(
                    [*COMMAND, str(theirs.fileno()), *self._options],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    process_group=0,  # Ctrl-C is for the server
                )
            self._end = weakref.finalize(self, _ended, self.line, self.process)
        return self.line

    def end(self) -> None:
        """End the process; whoever asks next gets a new one."""
        self._end()
        self.line, self._left = None, []
        self.known.clear()

    async def ask(self, job: "Job", messages: Iterable[Message], until: float) -> Answer:
        """The answer to what a job asks, in its turn and until then. Who is cancelled does not wait for it: what is
        computed is left soon, and keeps the turn so long. Raises Problem (503).
        """
        asking = asyncio.ensure_future(self._in_turn(job, messages, until))
        self._asking.add(asking)
        asking.add_done_callback(self._answered)
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            if not job.has_turn:
                asking.cancel()
            self.leave(job)
            raise

    def _answered(self, asking: asyncio.Task[Answer]) -> None:
        self._asking.discard(asking)
        if not asking.cancelled():
            asking.exception()  # whoever asked may have left, and nobody else wants to know

    async def _in_turn(self, job: "Job", messages: Iterable[Message], until: float) -> Answer:
        async with in_time(self.turn, 1, job.who, until):
            job.has_turn = True
            try:
                line = self.start()
                job.line = job.line or line
                if job.line is not line:
                    raise Lost
                async with asyncio.timeout(STANDSTILL):
                    await self._send(line, messages)
                    return await self._answer(line, job)
            except (OSError, EOFError):  # of which TimeoutError is one
                self.end()
                raise Lost from None
            finally:
                job.has_turn = False

    async def _answer(self, line: socket.socket, job: "Job") -> Answer:
        pieces: list[bytes] = []
        while True:
            kind, _, length = HEAD.unpack(b"".join(await _received(line, HEAD.size)))
            content = await _received(line, length)
            if kind == HOW:
                job.how = pickle.loads(b"".join(content))
            elif kind == PIECE:
                pieces += content
            else:
                return pieces, Message(kind, job.number, b"".join(content))

    async def _send(self, line: socket.socket, messages: Iterable[Message]) -> None:
        self._is_told = True
        try:
            loop = asyncio.get_running_loop()
            for message in messages:
                await loop.sock_sendall(line, message.head())
                await loop.sock_sendall(line, message.content)
        finally:
            self._is_told = False
        self._tell_who_left()

    def leave(self, job: "Job") -> None:
        """Nobody waits for a job any more."""
        if job.line is not None and job.line is self.line:
            self._left.append(job.number)
            if not self._is_told:
                self._tell_who_left()

    def _tell_who_left(self) -> None:
        """A few bytes, for which there is always room: the calculator looks for them even while it computes."""
        left, self._left = self._left, []
        if self.line and left:
            with suppress(OSError):  # it is gone, which the next one notices
                self.line.send(b"".join(Message(LEAVE, number).head() for number in left))

    def told(self, network: Network) -> Iterator[Message]:
        """What it must be told of a network before it is asked about it: all of it, or nothing; and what it may forget
        for that.
        """
        number = number_of_network(network)
        gone = {*self.known} - {*_number_of_network.values()}
        if number not in self.known:
            told = network_messages(network, number)
            self.known[number] = sum(len(message.content) for message in told)
            yield from told
        self.known.move_to_end(number)
        total = sum(self.known.values())
        for other, size in [*self.known.items()][:-1]:
            if other in gone or total > KNOWN:
                total -= self.known.pop(other, size)
                yield Message(FORGET, other)


class Job:
    """A task at a calculator, for whoever waits for it. how: its result travels, once it has begun; first: pieces of
    it; is_over: all of it is there.
    """

    def __init__(self, calculator: Calculator, task: Task, network: Network, price: Price, who: str):
        self.calculator, self.task, self.network, self.price, self.who = calculator, task, network, price, who
        self.number, self.how, self.is_over, self.has_turn = next(_jobs), How(), False, False
        self.line: socket.socket | None = None
        self.first: list[bytes] = []

    async def begin(self, until: float) -> None:
        """Compute as far as the first pieces of what comes of it; until: when to wait no more for a turn. Raises
        Problem (503), and what the task raises.
        """
        packed = packed_task((self.task, self.price.memory), number_of_network)

        def messages() -> Iterator[Message]:
            yield from self.calculator.told(self.network)
            yield Message(BEGIN, self.number, packed)

        self.first = self._pieces(await self.calculator.ask(self, messages(), until))

    async def pieces(self) -> AsyncIterator[bytes]:
        """All pieces of what comes of it; none is held when the next is asked for."""
        pieces, self.first = self.first, []
        while pieces or not self.is_over:
            if pieces:
                yield pieces.pop(0)
            else:
                pieces = self._pieces(await self.calculator.ask(self, [Message(NEXT, self.number)], math.inf))

    def _pieces(self, answer: Answer) -> list[bytes]:
        pieces, said = answer
        self.is_over = said.kind in (LAST, FAULT)
        if said.kind == FAULT:
            fault = pickle.loads(said.content)
            if isinstance(fault, Failed):
                log.error("a calculator failed: %s", " from ".join(fault.trail))
            raise fault
        return pieces

    def leave(self) -> None:
        """Nobody waits for it any more."""
        if not self.is_over:
            self.calculator.leave(self)


class Calculators:
    """So many calculators for what is quick, half as many, which are less urgent, for what is dear. memory: bytes that
    the tasks of all of them hold together.
    """

    def __init__(self, count: int, memory: int):
        self._quick = [Calculator(NICE, memory) for _ in range(count)]
        self._dear = [Calculator(NICE_WHERE_DEAR, memory) for _ in range(max(1, count // 2))]

    @contextmanager
    def job(self, task: Task, network: Network, price: Price, who: str) -> Iterator[Job]:
        """A task for the length of a `with` block."""
        calculators = self._dear if price.work > DEAR else self._quick
        job = Job(min(calculators, key=lambda each: (each.busy, each.line is None)), task, network, price, who)
        try:
            yield job
        finally:
            job.leave()

    async def __aenter__(self) -> Self:
        self._first = asyncio.get_running_loop().call_later(SOON, self._quick[0].start)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._first.cancel()
        for each in (*self._quick, *self._dear):
            each.end()


async def _received(line: socket.socket, length: int) -> list[bytes]:
    """So many bytes, in the pieces in which they come: whoever sends them on need not copy them."""
    found, loop = [], asyncio.get_running_loop()
    while length:
        found.append(await loop.sock_recv(line, length))
        if not found[-1]:
            raise EOFError
        length -= len(found[-1])
    return found


def _ended(line: socket.socket, process: "subprocess.Popen[bytes]") -> None:
    line.close()
    process.kill()
    process.wait()
