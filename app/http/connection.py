"""A connection: what it waits for and for how long, whom it refuses, and how it ends."""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fcntl import ioctl
from http import HTTPStatus
from termios import TIOCOUTQ
from typing import Any

import h11
from starlette.status import HTTP_408_REQUEST_TIMEOUT, HTTP_503_SERVICE_UNAVAILABLE
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from gatescope.app.http.exchange import Exchange
from gatescope.app.http.framing import Framing, refused_now
from gatescope.app.http.headers import house_headers
from gatescope.app.http.problems import response

EXTENSION = "gatescope.connection"
LITTLE = 65_536  # bytes
AT_ONCE = struct.pack("ii", 1, 0)
AT_A_TIME = 65_536  # bytes taken from the kernel at once: what they cost keeps the others waiting
DROPPED = 65_536  # bytes that are still taken of a body that nobody will look at
READER_PACE = 1_024  # bytes a second that a reader takes in the long run
FULL = "connections", "there are too many now"
LEAVING = "server", "it is being stopped"
LOOKS = 14  # how often a slow reader is looked at in the time that it has

counts: Counter[str] = Counter()  # of all connections: "cut" readers, "late" and "unreadable" heads, "refused" guests


@dataclass(frozen=True)
class Limits:
    """How much a connection puts up with, in seconds, and how many there may be. Each is a little under what is
    promised (10, 30 and 15 seconds), since a busy machine is late itself.
    """

    head: float = 9.0  # from the first byte of a request to the end of its head
    body: float = 28.0  # in which nothing of a body comes, or next to nothing
    reader: float = 14.0  # in which nothing of an answer is taken, or next to nothing
    farewell: float = 2.0  # for taking the answer to a request that had not come whole
    connections: int = 4_000  # at once
    farewells: int = 8  # connections beyond those that are given time to take the refusal


class Connection(H11Protocol):
    """uvicorn's protocol with limits; a response finds it in `scope["extensions"]` and may set `when_leaving`."""

    def __init__(self, *arguments: Any, limits: Limits | None = None, **options: Any):
        super().__init__(*arguments, **options)
        self.limits = limits or Limits()
        self.conn: Framing = Framing()
        self.when_leaving: Callable[[], None] | None = None
        self._served = self.app
        self.app = self._exchange
        self._late_head: asyncio.TimerHandle | None = None
        self._look: asyncio.TimerHandle | None = None
        self._goodbye: asyncio.TimerHandle | None = None
        self._dropped: int | None = None  # bytes, once everything that comes is dropped
        self._unsent, self._patience = 0, 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A guest has come: it is let in or told to come later."""
        transport.max_size = AT_A_TIME  # type: ignore[attr-defined]
        super().connection_made(transport)
        beyond = len(self.connections) - self.limits.connections
        if beyond > 0:
            counts["refused"] += 1
            self.refuse(HTTP_503_SERVICE_UNAVAILABLE, *FULL, {"Retry-After": "10"})
            if beyond > self.limits.farewells:
                self.transport.close()
            return
        self._late_head = self.loop.call_later(self.limits.head, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone; whoever answers on it learns so."""
        if isinstance(exc, TimeoutError):  # the kernel's own patience: nothing was acknowledged
            counts["cut"] += 1
        for timer in (self._late_head, self._look, self._goodbye):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came: of a head, of a body, or of what nobody will look at."""
        if self._dropped is not None:
            self._dropped += len(data)
            if self._dropped > DROPPED:
                self.transport.pause_reading()
            return
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            if self._late_head:
                self._late_head.cancel()
                self._late_head = None
        elif not self._late_head:
            self._late_head = self.loop.call_later(self.limits.head, self._head_is_late)

    def _head_is_late(self) -> None:
        self._late_head = None
        if self.conn.trailing_data[0]:
            counts["late"] += 1
            self.refuse(HTTP_408_REQUEST_TIMEOUT, "head", "must come whole within 10 seconds")
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request, or none that is taken (uvicorn's name; it asks while it handles the error)."""
        counts["unreadable"] += 1
        self.refuse(*refused_now())

    def refuse(self, status: int, field: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        """Answer with a problem in place of whatever there is to come, and close."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started:
                return self.cut()
            cycle.disconnected = True  # whoever was to answer finds nobody there
            cycle.message_event.set()
        problem = response(status, f"{field}: {detail}", [(field, detail)], house_headers() | dict(headers or {}))
        names = [*self.server_state.default_headers, *problem.raw_headers, (b"connection", b"close")]
        head = h11.Response(status_code=status, headers=names, reason=HTTPStatus(status).phrase.encode())
        body = h11.Data(data=b"" if self.conn.asks_head else bytes(problem.body))
        for event in (head, body, h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.leave()

    def leave(self) -> None:
        """Close, and let the other side take its answer first: a close in the face of what it is still sending would
        take that from it.
        """
        self._dropped = self._dropped or 0
        if self._late_head:
            self._late_head.cancel()
        if self._goodbye or self.transport.is_closing():
            return
        self.flow.resume_reading()
        with suppress(OSError):  # the other side has reset the connection meanwhile
            self.transport.write_eof()
        self._goodbye = self.loop.call_later(self.limits.farewell, self.transport.close)

    def drop_the_rest(self, cycle: RequestResponseCycle) -> None:
        """A request is answered before it has come whole: what still comes is not looked at, and the answer is the
        connection's last.
        """
        self._dropped = 0
        cycle.transport = _Leaving(self)

    def cut(self) -> None:
        """Close at once and let go of what is unsent: closing properly would wait for a reader that reads no more."""
        self._set_option(socket.SO_LINGER, AT_ONCE)
        self.transport.abort()

    def hold_little(self) -> None:
        """Let the kernel hold little that is unsent, not megabytes: who reads no more is soon noticed."""
        self._set_option(socket.SO_SNDBUF, LITTLE)

    def _set_option(self, option: int, value: int | bytes) -> None:
        try:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, option, value)
        except OSError:
            pass  # it is gone already

    def pause_writing(self) -> None:
        """More is unsent than is good: from here on the reader is watched."""
        super().pause_writing()
        self._watch()

    def on_response_complete(self) -> None:
        """An answer is written, though perhaps not yet taken."""
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._watch()

    def _watch(self) -> None:
        self._unsent, self._patience = self._untaken(), self.limits.reader
        if not self._look:
            self._look = self.loop.call_later(self.limits.reader / LOOKS, self._look_at_the_reader)

    def _look_at_the_reader(self) -> None:
        """While nothing more is written, ever less must be unsent."""
        self._look = None
        waits = self.flow.write_paused or self.cycle.response_complete
        if not (waits and self.transport.get_write_buffer_size()):
            return
        before, self._unsent = self._unsent, self._untaken()
        passed, taken = self.limits.reader / LOOKS, max(0, before - self._unsent)
        self._patience = min(self.limits.reader, self._patience - passed + taken / READER_PACE)
        if self._patience < passed / 2:
            counts["cut"] += 1
            return self.cut()
        self._look = self.loop.call_later(passed, self._look_at_the_reader)

    def _untaken(self) -> int:
        """Bytes that the other side has not acknowledged, here and in the kernel."""
        unsent = self.transport.get_write_buffer_size()
        try:
            queued = ioctl(self.transport.get_extra_info("socket").fileno(), TIOCOUTQ, bytes(4))
        except OSError:
            return unsent
        return unsent + int.from_bytes(queued, "little")

    def shutdown(self) -> None:
        """The server leaves: the response may end, and the connection after it."""
        if self._goodbye:
            self.transport.close()
        else:
            super().shutdown()
        if self.when_leaving:
            self.when_leaving()

    def _unsupported_upgrade_warning(self) -> None:
        """Who asks for a WebSocket is answered without one; two lines of log for it are two too many."""

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        limited = Exchange(self.cycle, receive, send, self.limits.body, self.drop_the_rest)
        try:
            await self._served({**scope, "extensions": {EXTENSION: self}}, limited.receive, limited.send)
        except asyncio.CancelledError:  # uvicorn has waited long enough for this answer
            self.refuse(HTTP_503_SERVICE_UNAVAILABLE, *LEAVING, {"Retry-After": "10"})
            self.transport.close()


class _Leaving(asyncio.Transport):
    """What the last answer of a connection is written to."""

    def __init__(self, connection: Connection):
        super().__init__()
        self._connection = connection

    def write(self, data: Any) -> None:
        self._connection.transport.write(data)

    def is_closing(self) -> bool:
        return self._connection.transport.is_closing()

    def close(self) -> None:
        self._connection.leave()
