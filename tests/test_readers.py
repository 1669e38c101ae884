"""Who takes nothing of an answer is cut off, whatever the answer is, and nothing of it is left."""

import gc
import shutil
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from uvicorn.protocols.http.h11_impl import RequestResponseCycle

from gatescope.app.http.connection import Connection, Limits, counts
from gatescope.app.server import create_app
from gatescope.app.settings import Settings
from gatescope.models.cells import cells
from gatescope.models.network.network import untrained
from tests.raw_http import answered, connected, rest
from tests.service import serve

pytestmark = pytest.mark.slow
LIMITS = Limits(head=5.0, body=5.0, reader=1.0, farewell=0.5)
LATE = 30.0
TEXT = "ab" * 900
ANSWERS = {
    "a stream": f"GET /api/trace?model=small-lstm&text={TEXT}&encoding=json HTTP/1.1\r\n",
    "a table": f"GET /api/trace.json?model=small-lstm&text={TEXT}&precision=float64 HTTP/1.1\r\n",
    "tensors": f"GET /api/trace.safetensors?model=wide&text={TEXT}&precision=float64 HTTP/1.1\r\n",
    "a file": "GET /api/models/large/weights HTTP/1.1\r\n",
}


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    """A data directory with a network of 52 MB, and one that makes long traces."""
    shutil.copytree(data, place := tmp_path_factory.mktemp("readers"), dirs_exist_ok=True)
    for id, hidden in (("large", 1800), ("wide", 64)):
        network = untrained(cells()["lstm"], layers=1, hidden=hidden, vocabulary=[*"ab"])
        (place / f"{id}.safetensors").write_bytes(network.to_bytes())
    return place


@pytest.fixture(scope="module")
def here(folder):
    with serve(Settings(data=folder), limits=LIMITS) as address:
        yield address


def all_kept() -> list[object]:
    """What this process, which is the server's too, holds of connections and of answers on them."""
    gc.collect()
    return [each for each in gc.get_objects() if type(each) in (Connection, RequestResponseCycle)]


OTHERS: list[object] = []  # of the servers of other tests


@pytest.fixture(autouse=True)
def alone():
    OTHERS[:] = all_kept()
    yield
    OTHERS.clear()


def kept() -> list[object]:
    """The same of this test alone."""
    others = set(map(id, OTHERS))
    return [each for each in all_kept() if id(each) not in others]


def nothing_is_kept() -> bool:
    end = time.monotonic() + LATE
    while kept():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def asked(address: str, request: str, room: int | None = 4096) -> socket.socket:
    """A connection with little room, on which an answer has begun."""
    connection = connected(address, room=room)
    connection.sendall(f"{request}Host: localhost\r\n\r\n".encode())
    assert connection.recv(15).startswith(b"HTTP/1.1 200")
    return connection


@pytest.mark.parametrize("kind", ANSWERS)
def test_who_takes_nothing_is_cut_off(here, kind):
    before = counts["cut"]
    with asked(here, ANSWERS[kind]) as connection:
        began = time.monotonic()
        while counts["cut"] == before and time.monotonic() - began < LATE:
            time.sleep(0.05)
        assert counts["cut"] == before + 1
        assert nothing_is_kept()
        with pytest.raises(ConnectionResetError):
            while connection.recv(1 << 20):
                pass
    assert httpx.get(f"{here}/healthz").status_code == 200


@pytest.mark.parametrize("kind", ANSWERS)
def test_who_takes_little_by_little_gets_it_whole(here, kind):
    """It takes several times as long as one may take nothing."""
    before, came = counts["cut"], b"HTTP/1.1 200 OK"
    closing = ANSWERS[kind].replace("HTTP/1.1\r\n", "HTTP/1.1\r\nConnection: close\r\n")
    with asked(here, closing, room=None) as connection:
        for _ in range(12):
            time.sleep(0.25)
            came += connection.recv(65536)
        came += rest(connection)
    _, headers, content = answered(came)
    length = int(headers.get("content-length", 0))
    assert len(content) == length if length else content.endswith(b"0\r\n\r\n")
    assert counts["cut"] == before


def test_many_who_take_nothing_leave_nothing(here):
    before = counts["cut"]
    with ThreadPoolExecutor(10) as pool:
        connections = list(pool.map(lambda at: asked(here, [*ANSWERS.values()][at % len(ANSWERS)]), range(20)))
    end = time.monotonic() + LATE
    while counts["cut"] < before + 20 and time.monotonic() < end:
        assert httpx.get(f"{here}/healthz", timeout=5).status_code == 200
        time.sleep(0.1)
    assert counts["cut"] == before + 20
    for connection in connections:
        connection.close()
    assert nothing_is_kept()


def test_who_leaves_in_the_middle_is_not_counted_and_leaves_nothing(here, caplog):
    before = counts["cut"]
    for kind in ANSWERS:
        for gone in (struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)):
            with asked(here, ANSWERS[kind]) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, gone)
    assert nothing_is_kept()
    assert counts["cut"] == before
    assert [record for record in caplog.records if record.exc_info] == []


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="a kernel without patience of its own")
def test_the_kernel_has_the_same_patience_with_what_it_holds(here):
    """What is small enough to lie in the kernel alone is not the program's any more; every connection inherits this."""
    with connected(here) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.recv(1000)
        (protocol,) = [each for each in kept() if type(each) is Connection]
        inner = protocol.transport.get_extra_info("socket")
        assert inner.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1000 * LIMITS.reader


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="a kernel without patience of its own")
def test_a_viewer_who_takes_nothing_is_cut_off_though_little_is_sent(tmp_path):
    """All that is unsent lies in the kernel, never enough for the program to wait."""
    app, before = create_app(Settings(data=tmp_path)), counts["cut"]
    with serve(app.state.settings, app, LIMITS) as address:
        store = app.state.store
        run = store.create("somebody", "Watched", "{}", b"a text").id
        store.move(run, ["queued"], "running")
        with asked(address, f"GET /api/events?runs={run} HTTP/1.1\r\n"):
            end, step = time.monotonic() + LATE, 0
            while app.state.viewers.count and time.monotonic() < end:
                step += 1
                store.append(run, "sample", {"step": step, "text": "x" * 4_000}, step)
                time.sleep(0.05)
            assert app.state.viewers.count == 0 and counts["cut"] == before + 1
        store.move(run, ["running"], "finished")


def test_options_of_a_connection_that_is_gone_are_nobodys_fault(here):
    with connected(here) as connection:
        time.sleep(0.1)
        (protocol,) = [each for each in kept() if type(each) is Connection]
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    while protocol.transport.get_extra_info("socket").fileno() >= 0:
        time.sleep(0.01)
    protocol.hold_little()
    protocol.cut()
    protocol.leave()
