"""What no client library sends: bytes on a socket, and what comes back."""

import socket
import time
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

import orjson

HOUSE = ("content-security-policy", "x-content-type-options", "referrer-policy", "cache-control")


def connected(address: str, timeout: float = 20, room: int | None = None) -> socket.socket:
    """A connection to a server; room: of its buffer for what comes, in bytes."""
    place = urlsplit(address)
    connection = socket.socket()
    connection.settimeout(timeout)
    if room:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    connection.connect((place.hostname, place.port))
    return connection


def rest(connection: socket.socket) -> bytes:
    """All that comes until the server ends the connection; TimeoutError where it does not."""
    came = []
    try:
        while some := connection.recv(65536):
            came.append(some)
    except ConnectionResetError:
        pass
    return b"".join(came)


def one_answer(connection: socket.socket) -> bytes:
    """The next answer of a connection that goes on; its length is told."""
    came = b""
    while b"\r\n\r\n" not in came or len(answered(came)[2]) < int(answered(came)[1]["content-length"]):
        some = connection.recv(65536)
        assert some, came
        came += some
    return came


def sent(address: str, *pieces: bytes, pause: float = 0.0) -> bytes:
    """The answer to these bytes, sent in so many segments, up to the end of the connection."""
    with connected(address) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        return rest(connection)


def in_pieces(whole: bytes, size: int) -> list[bytes]:
    """These bytes in segments of this size."""
    return [whole[at : at + size] for at in range(0, len(whole), size)]


def dripped(connection: socket.socket, content: Iterable[bytes], pause: float) -> Iterator[float]:
    """Send piece by piece, until the server has said something or hung up; the seconds since the beginning."""
    began = time.monotonic()
    connection.setblocking(False)
    for piece in content:
        try:
            connection.send(piece)
            time.sleep(pause)
            connection.recv(1, socket.MSG_PEEK)
            break
        except BlockingIOError:
            yield time.monotonic() - began
        except (ConnectionResetError, BrokenPipeError):
            break
    connection.settimeout(20)
    yield time.monotonic() - began


def answered(came: bytes) -> tuple[int, dict[str, str], bytes]:
    """The status, the headers and what follows them."""
    head, _, content = came.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    names = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split(" ")[1]), names, content


def refused(came: bytes, status: int) -> dict[str, str]:
    """The fields that a problem names, one that ends its connection; it is there whole, and nothing behind it."""
    found, headers, content = answered(came)
    assert found == status, came
    assert headers["content-type"] == "application/problem+json" and headers["connection"] == "close"
    assert [name for name in HOUSE if name not in headers] == []
    assert len(content) == int(headers["content-length"]), came
    problem = orjson.loads(content)
    assert problem["status"] == status and problem["title"] != "The request failed" and problem["detail"]
    return {error["field"]: error["detail"] for error in problem["errors"]}
