"""Heads and bodies that do not come, or hardly; bodies that nobody wants; senders that leave."""

import logging
import shutil
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from gatescope.app.http.connection import Limits
from gatescope.app.settings import Settings
from tests.raw_http import answered, connected, dripped, one_answer, refused, rest, sent
from tests.service import errors_of, serve

LIMITS = Limits(head=0.6, body=0.8, reader=1.0, farewell=0.5)
LATE = 20 * LIMITS.body  # what a busy machine may take for it
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
BYTES = b"Content-Type: application/octet-stream\r\n"
START = (2**20).to_bytes(8, "little") + b'{"'  # as a safetensors file begins
BODIES = {"/api/trace": JSON, "/api/generate": JSON, "/api/influence": JSON, "/api/models": BYTES, "/api/runs": b""}


def posted(path: str, headers: bytes, ending: bytes = b"\r\n") -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: localhost\r\n" % path.encode() + headers + BODIES.get(path, b"") + ending


@pytest.fixture(scope="module")
def here(data, tmp_path_factory):
    place = tmp_path_factory.mktemp("deadlines")
    shutil.copy(data / "small-lstm.safetensors", place)
    with serve(Settings(data=place), limits=LIMITS) as address:
        yield address


def test_heads_that_stand_still_are_given_up(here):
    began, heads = time.monotonic(), [b"", b"G", b"GET / HTTP/1.1\r\n", GET, GET + b"X: y", b"POST /api/runs"]
    connections = [connected(here) for _ in heads]
    for connection, head in zip(connections, heads):
        connection.sendall(head)
    for connection, head in zip(connections, heads):
        with connection:
            came = rest(connection)
            assert came == b"" if not head else set(refused(came, 408)) == {"head"}
    assert LIMITS.head * 0.9 < time.monotonic() - began < LATE


def test_heads_that_drip_are_given_up(here):
    def drip(head: bytes) -> tuple[float, bytes]:
        with connected(here) as connection:
            *_, seconds = dripped(connection, (bytes([byte]) for byte in head), 0.05)
            return seconds, rest(connection)

    with ThreadPoolExecutor(3) as pool:
        for seconds, came in pool.map(
            drip, [b"GET /" + b"a" * 1000, GET + b"X: " + b"y" * 1000, GET + b"A: b\r\n" * 90]
        ):
            assert LIMITS.head * 0.9 < seconds < LATE
            assert set(refused(came, 408)) == {"head"}


def test_the_next_head_on_a_kept_connection_has_its_time_from_its_first_byte(here):
    with connected(here) as connection:
        for _ in range(3):
            connection.sendall(GET + b"\r\n")
            assert answered(one_answer(connection))[0] == 200
            time.sleep(LIMITS.head * 1.3)  # longer than a head may take: nothing of one has come
        connection.sendall(GET + b"\r\n" + b"GET /")
        assert answered(one_answer(connection))[0] == 200
        connection.sendall(b"heal")
        began = time.monotonic()
        assert set(refused(rest(connection), 408)) == {"head"}
        assert LIMITS.head * 0.9 < time.monotonic() - began < LATE


def begun_bodies() -> Iterator[bytes]:
    """Requests with bodies of which nothing comes, or a little."""
    for path in BODIES:
        some = START if path == "/api/models" else b" " * 1000
        for piece in (b"", some):
            yield posted(path, b"Content-Length: 100000\r\n") + piece
            yield posted(path, b"Transfer-Encoding: chunked\r\n") + b"%x\r\n%s\r\n" % (len(piece), piece) * bool(piece)
            yield posted(path, b"Transfer-Encoding: chunked\r\n") + b"400\r\n" + piece


def test_bodies_that_stand_still_are_given_up(here):
    began, connections = time.monotonic(), []
    for request in begun_bodies():
        connections.append(connected(here))
        connections[-1].sendall(request)
    assert len(connections) == 30
    for connection in connections:
        with connection:
            assert "30 seconds" in refused(rest(connection), 408)["body"]
    assert LIMITS.body * 0.9 < time.monotonic() - began < LATE


def test_bodies_that_drip_are_given_up(here):
    def drip(path: str) -> tuple[float, bytes]:
        with connected(here) as connection:
            connection.sendall(posted(path, b"Content-Length: 100000\r\n"))
            whole = START + b" " * 1000 if path == "/api/models" else b" " * 1000
            *_, seconds = dripped(connection, (bytes([byte]) for byte in whole), 0.02)
            return seconds, rest(connection)

    with ThreadPoolExecutor(len(BODIES)) as pool:
        for seconds, came in pool.map(drip, BODIES):
            assert LIMITS.body * 0.9 < seconds < LATE
            assert set(refused(came, 408)) == {"body"}


def test_a_body_that_stands_still_just_before_its_end_is_given_up(here):
    """However much of it has come: what came fast buys no time to hold it."""
    began = time.monotonic()
    came = sent(here, posted("/api/models", b"Content-Length: 20000000\r\n") + START + b" " * 19_999_000)
    assert time.monotonic() - began < LATE and set(refused(came, 408)) == {"body"}


def test_a_slow_body_that_keeps_its_pace_is_taken(here):
    """It takes three times as long as one may stand still."""
    piece, content = b" " * 4096, b""
    with connected(here) as connection:
        connection.sendall(posted("/api/trace", b"Connection: close\r\nContent-Length: %d\r\n" % (16 * len(piece))))
        for _ in range(16):
            connection.sendall(piece)
            time.sleep(0.15)
        content = rest(connection)
    assert answered(content)[0] == 422


def test_who_waits_for_leave_to_send_gets_it_and_the_same_time(here):
    with connected(here) as connection:
        connection.sendall(posted("/api/trace", b"Expect: 100-continue\r\nContent-Length: 100\r\n"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        assert set(refused(rest(connection), 408)) == {"body"}


def test_a_body_nobody_asked_for_does_not_hold_an_answer_up(here):
    for path in ("/healthz", "/", "/api/cells", "/static/style.css", "/nothing"):
        came = sent(here, b"GET %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc" % path.encode())
        status, headers, content = answered(came)
        assert status == (404 if path == "/nothing" else 200) and headers["connection"] == "close"
        assert len(content) == int(headers.get("content-length", len(content)))
    query = b"model=small-lstm&text=abab"
    came = sent(here, b"GET /api/trace?%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc" % query)
    assert b"event: end" in came and answered(came)[1]["connection"] == "close"


UNWANTED = {
    "too long": (posted("/api/trace", b"Content-Length: 400000000\r\n"), 413),
    "too long a network": (posted("/api/models", b"Content-Length: 400000000\r\n"), 413),
    "too long a text": (posted("/api/runs", b"Content-Length: 400000000\r\n"), 413),
    "no network": (b"POST /api/models HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000000\r\n\r\n", 415),
    "packed": (posted("/api/trace", b"Content-Encoding: gzip\r\nContent-Length: 1000000\r\n"), 415),
    "packed in chunks": (posted("/api/runs", b"Content-Encoding: br\r\nTransfer-Encoding: chunked\r\n"), 415),
    "nowhere": (posted("/api/nothing", b"Content-Length: 1000000\r\n"), 404),
    "no such method": (posted("/healthz", b"Content-Length: 1000000\r\n"), 405),
    "another host": (b"POST /api/trace HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 1000000\r\n\r\n", 400),
    "another site": (posted("/api/runs", b"Origin: https://evil.example\r\nContent-Length: 1000000\r\n"), 403),
}


@pytest.mark.parametrize("kind", UNWANTED)
def test_what_is_refused_unread_ends_its_connection(here, kind):
    """However much is sent after it, little is taken: no more than what the kernel holds anyway."""
    head, status = UNWANTED[kind]
    with connected(here) as connection:
        connection.sendall(head)
        came = one_answer(connection)
        taken, began = 0, time.monotonic()
        try:
            while time.monotonic() - began < LATE:
                taken += connection.send(b"x" * 65536)
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert taken < 16_000_000 and time.monotonic() - began < LATE
    refused(came, status)


def test_who_has_sent_all_before_it_looks_finds_the_refusal(here):
    for size in (100, 60_000, 1_000_000):
        response = httpx.post(f"{here}/api/nothing", content=b"x" * size)
        assert errors_of(response, 404) == {}
    response = httpx.post(f"{here}/api/trace", content=b"x" * 1_500_000, headers={"Content-Type": "application/json"})
    assert set(errors_of(response, 413)) == {"body"}
    assert response.headers["connection"] == "close"


def test_a_connection_whose_requests_came_whole_is_kept(here):
    with connected(here) as connection:
        for path, status in (("/api/trace", 422), ("/api/nothing", 404), ("/api/models", 422), ("/healthz", 405)):
            connection.sendall(posted(path, b"Content-Length: 2\r\n") + b"{}")
            found, headers, _ = answered(one_answer(connection))
            assert (found, headers.get("connection")) == (status, None)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x-anything", "identity, gzip", "GZIP"])
@pytest.mark.parametrize("path", BODIES)
def test_packed_bodies_are_refused_everywhere(here, path, encoding):
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    for content in (b'{"model": "small-lstm", "text": "ab"}', iter([b"\x1f\x8b" + bytes(20)])):
        response = httpx.post(here + path, content=content, headers=headers)
        assert set(errors_of(response, 415)) == {"content-encoding"}


def test_bodies_as_they_are_and_requests_without_any_are_not_packed(here):
    body = {"model": "small-lstm", "text": "ab"}
    assert httpx.post(f"{here}/api/trace.json", json=body, headers={"Content-Encoding": "identity"}).status_code == 200
    assert httpx.post(f"{here}/api/trace.json", json=body, headers={"Content-Encoding": ""}).status_code == 200
    assert httpx.get(f"{here}/healthz", headers={"Content-Encoding": "gzip"}).status_code == 200


@pytest.mark.parametrize("way", ["reset", "hang up", "half"])
def test_who_leaves_in_the_middle_of_a_body_is_no_fault(here, way, caplog):
    caplog.set_level(logging.INFO)
    connections = []
    for request in begun_bodies():
        connections.append(connected(here))
        connections[-1].sendall(request)
    time.sleep(0.3)
    for connection in connections:
        with connection:
            if way == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif way == "half":
                connection.shutdown(socket.SHUT_WR)
                rest(connection)
    time.sleep(0.3)
    assert httpx.get(f"{here}/healthz").status_code == 200
    ours = [record for record in caplog.records if record.name.startswith(("uvicorn", "gatescope", "asyncio"))]
    assert ours == []
