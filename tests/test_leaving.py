"""The server is asked to leave: it does within ten seconds, whatever goes on."""

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

from gatescope.app.server import create_app
from gatescope.app.settings import Settings
from tests.raw_http import answered, connected, refused, rest
from tests.service import a_process, serve

TEXT = "To be, or not to be, that is the question. " * 450
WITHIN = 10.0  # seconds, as it is promised


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_streams_are_told_and_calculations_do_not_hold_it(tmp_path, name):
    """300 viewers of a run, four of the longest calculations, a head and a body that stand still, who takes nothing."""
    answers: list[int] = []
    with a_process(["serve", "--data", str(tmp_path)]) as (address, process):
        recipe = {"steps": 100_000, "hidden": 16}
        run = httpx.post(f"{address}/api/runs", params=recipe, content=TEXT).json()["id"]
        viewers = [connected(address, timeout=60) for _ in range(300)]
        for viewer in viewers:
            viewer.sendall(f"GET /api/events?runs={run} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

        def verify() -> None:
            body = {"model": "shakespeare-lstm", "text": TEXT[:19_000]}
            try:
                answers.append(httpx.post(f"{address}/api/verification", json=body, timeout=60).status_code)
            except httpx.TransportError:
                answers.append(503)  # where the machine is too busy to say it within the time

        threads = [threading.Thread(target=verify) for _ in range(4)]
        for thread in threads:
            thread.start()
        others = [connected(address, room=4096) for _ in range(3)]
        others[0].sendall(b"GET /")
        others[1].sendall(b"POST /api/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        others[2].sendall(b"GET /api/models/shakespeare-lstm/weights HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(2)
        began = time.monotonic()
        process.send_signal(getattr(signal, name))
        said = process.communicate(timeout=60)[1]
        assert time.monotonic() - began < WITHIN
        for thread in threads:
            thread.join(30)
        assert len(answers) == 4 and set(answers) <= {200, 503}
        told = [rest(viewer) for viewer in viewers]
        assert all(answered(came)[0] == 200 and came.count(b"retry: ") == 2 for came in told)
        assert "Traceback" not in said
        for connection in (*viewers, *others):
            connection.close()


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
