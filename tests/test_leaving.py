"""The server is asked to leave: it does within ten seconds, whatever goes on."""

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import httpx
import orjson
import pytest

from gatescope.app.server import create_app
from gatescope.app.settings import Settings
from tests.raw_http import connected, refused, rest
from tests.service import a_process, serve

TEXT = "To be, or not to be, that is the question. " * 450
WITHIN = 10.0  # seconds, as it is promised


def seconds_to_leave(process, name: str) -> float:
    """How long the server takes to leave after a signal; what it said is no traceback."""
    began = time.monotonic()
    process.send_signal(getattr(signal, name))
    said = process.communicate(timeout=60)[1]
    assert "Traceback" not in said
    return time.monotonic() - began


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_every_stream_is_told_when_to_come_back(tmp_path, name):
    """300 viewers of a run, a head and a body that stand still, and one who takes nothing."""
    with a_process(["serve", "--data", str(tmp_path)]) as (address, process), ExitStack() as open_ones:
        recipe = {"steps": 100_000, "hidden": 16}
        run = httpx.post(f"{address}/api/runs", params=recipe, content=TEXT, timeout=60).json()["id"]
        viewers = [open_ones.enter_context(connected(address, timeout=60)) for _ in range(300)]
        for viewer in viewers:
            viewer.sendall(f"GET /api/events?runs={run} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        begun = [viewer.recv(12) for viewer in viewers]
        others = [open_ones.enter_context(connected(address, room=4096)) for _ in range(3)]
        others[0].sendall(b"GET /")
        others[1].sendall(b"POST /api/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        others[2].sendall(b"GET /api/models/shakespeare-lstm/weights HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert seconds_to_leave(process, name) < WITHIN
        assert set(begun) == {b"HTTP/1.1 200"}
        assert {rest(viewer).count(b"retry: ") for viewer in viewers} == {2}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_calculations_do_not_hold_it(tmp_path, name):
    with a_process(["serve", "--data", str(tmp_path)]) as (address, process), ExitStack() as open_ones:
        body = orjson.dumps({"model": "shakespeare-lstm", "text": TEXT[:19_000]})
        head = b"POST /api/verification HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        for _ in range(4):
            asking = open_ones.enter_context(connected(address))
            asking.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        time.sleep(1)
        assert seconds_to_leave(process, name) < WITHIN


@pytest.mark.slow
def test_it_leaves_at_once_where_nothing_goes_on(tmp_path):
    with a_process(["serve", "--data", str(tmp_path)]) as (address, process):
        idle = connected(address)
        process.terminate()
        assert process.wait(timeout=WITHIN) == -signal.SIGTERM
        idle.close()


@pytest.mark.slow
def test_a_port_that_is_taken_is_said_and_ends_it(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        begin = [sys.executable, "-m", "gatescope", "serve", "--data", tmp_path, "--port", str(taken.getsockname()[1])]
        ended = subprocess.run(begin, capture_output=True, text=True, timeout=60)
    assert ended.returncode not in (0, None) and "address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_answer_that_is_not_waited_for_is_refused_in_words(tmp_path, caplog):
    """One client still listens when the server gives up on its answer, another has left long before."""
    app = create_app(Settings(data=tmp_path))
    begun = threading.Semaphore(0)

    @app.get("/long")
    async def long() -> None:
        begun.release()
        await asyncio.sleep(60)

    with serve(app.state.settings, app) as address:
        connections = [connected(address) for _ in range(2)]
        for connection in connections:
            connection.sendall(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert begun.acquire(timeout=20)
        connections[1].close()
    with connections[0] as connection:
        assert set(refused(rest(connection), 503)) == {"server"}
    assert [record for record in caplog.records if record.exc_info] == []
