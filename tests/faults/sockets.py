"""Requests as no well-behaved client sends them: bytes on a socket, and whatever comes back."""

import json
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from pathlib import Path

PATIENCE = 20.0
AT_ONCE = struct.pack("ii", 1, 0)


@dataclass
class Answer:
    """What came back. status: 0 where the connection was closed without a word. answers: how many there were; closed:
    whether the connection was closed after them. seconds: until the first answer was there.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    answers: int = 0
    closed: bool = False
    seconds: float = 0.0


def head(method: str, target: str, *lines: str, host: str | None = "127.0.0.1") -> bytes:
    """The head of a request."""
    hosts = [] if host is None else [f"Host: {host}"]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *hosts, *lines, "", ""]).encode("utf-8", "surrogateescape")


@contextmanager
def connected(port: int, timeout: float = PATIENCE, receive: int = 0) -> Iterator[socket.socket]:
    """A connection to a server. receive: bytes that the kernel may hold of what is not read yet."""
    with socket.socket() as connection:
        connection.settimeout(timeout)
        if receive:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        connection.connect(("127.0.0.1", port))
        yield connection


def asked(
    port: int,
    request: bytes | Iterable[bytes],
    method: str = "GET",
    timeout: float = PATIENCE,
    closing: float = 2.0,
    shut: bool = False,
) -> Answer:
    """The first answer to what is sent, and whether the connection was closed within so many seconds after it.

    shut: nothing more is sent, and the server is told so.
    """
    with connected(port, timeout) as connection:
        began = time.monotonic()
        try:
            for piece in [request] if isinstance(request, bytes) else request:
                connection.sendall(piece)
        except OSError:  # refused before all was sent; the answer may be there
            pass
        if shut:
            connection.shutdown(socket.SHUT_WR)
        return answered(connection, method, began, closing)


def answered(
    connection: socket.socket, method: str = "GET", began: float | None = None, closing: float = 2.0
) -> Answer:
    """The first answer on a connection, and whether it is closed within so many seconds after it."""
    began, found = began or time.monotonic(), Answer()
    response = HTTPResponse(connection, method=method)
    try:
        response.begin()
        found.status, found.answers = response.status, 1
        found.headers = {name.lower(): value for name, value in response.getheaders()}
        found.seconds = time.monotonic() - began
        found.body = response.read()
    except (HTTPException, OSError) as fault:
        found.seconds = time.monotonic() - began
        if isinstance(fault, TimeoutError) and not found.status:
            found.status = -1  # nothing came, and the connection is open
    found.closed = found.status == 0 or is_closed(connection, closing)
    return found


def is_closed(connection: socket.socket, seconds: float) -> bool:
    """Whether the other side closes within so many seconds; what still comes is thrown away."""
    end = time.monotonic() + seconds
    try:
        while (left := end - time.monotonic()) > 0:
            connection.settimeout(left)
            if not connection.recv(65_536):
                return True
    except TimeoutError:
        return False
    except OSError:
        return True
    return False


def everything(connection: socket.socket, seconds: float) -> tuple[bytes, bool]:
    """All that comes until the other side closes, and whether it did within so many seconds."""
    end, found = time.monotonic() + seconds, b""
    try:
        while (left := end - time.monotonic()) > 0:
            connection.settimeout(left)
            if not (more := connection.recv(65_536)):
                return found, True
            found += more
    except TimeoutError:
        return found, False
    except OSError:
        return found, True
    return found, False


def posted(connection: socket.socket, path: str, body: object) -> None:
    """Send a body as JSON, and wait for nothing."""
    content = json.dumps(body).encode()
    lines = ("Content-Type: application/json", f"Content-Length: {len(content)}")
    connection.sendall(head("POST", path, *lines) + content)


def reset(connection: socket.socket) -> None:
    """Close at once, with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    connection.close()


def is_held(port: int, client: int) -> bool:
    """Whether a server still holds its side of the connection from a client's port, read or not."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, state = line.split()[1:4]
        if int(local[-4:], 16) == port and int(remote[-4:], 16) == client:
            return state == "01"  # established
    return False
