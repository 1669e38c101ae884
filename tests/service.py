"""A real server for the tests, and how to read its answers."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import orjson
from fastapi import FastAPI

from gatescope.app.http.connection import Limits
from gatescope.app.http.serving import Server
from gatescope.app.server import create_app
from gatescope.app.settings import Settings


@contextmanager
def serve(settings: Settings, app: FastAPI | None = None, limits: Limits | None = None) -> Iterator[str]:
    """Serve on a free loopback port, in a thread, for the length of a `with` block; gives the address.

    app: made from the settings already, for tests that look inside; limits: of a connection, the real ones else.
    """
    server = Server(app or create_app(settings), settings, limits, port=0, log_level="warning")
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive(), "the server does not leave"


@contextmanager
def a_process(arguments: list, command: list | None = None, **options) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The command `serve` in a process of its own on a free loopback port, until the end of a `with` block; gives the
    address and the process, whose standard error can be read once it has ended.

    command: what to start, `python -m gatescope` unless said; options: as `subprocess.Popen` takes them.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    begin = [*(command or [sys.executable, "-m", "gatescope"]), *arguments, "--port", str(port)]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(begin, stderr=subprocess.PIPE, text=True, **options) as process:
        try:
            end = time.monotonic() + 60
            while not answers(address):
                assert process.poll() is None and time.monotonic() < end, process.communicate(timeout=5)[1]
                time.sleep(0.05)
            yield address, process
        finally:
            if process.poll() is None:
                process.terminate()
                process.communicate(timeout=30)


@contextmanager
def a_server(arguments: list, command: list | None = None, **options) -> Iterator[str]:
    """The same where its address is enough."""
    with a_process(arguments, command, **options) as (address, _):
        yield address


def answers(address: str) -> bool:
    """Whether a server says that it is alive."""
    try:
        return httpx.get(f"{address}/healthz").json() == {"status": "ok"}
    except httpx.TransportError:
        return False


def events_of(response: httpx.Response) -> list[tuple[str, dict]]:
    """The events of an event stream: (name, data) pairs."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    events = []
    for block in response.text.split("\n\n")[:-1]:
        name, data = block.split("\n")
        events.append((name.removeprefix("event: "), orjson.loads(data.removeprefix("data: "))))
    return events


def errors_of(response: httpx.Response, status: int = 422) -> dict[str, str]:
    """The fields that a problem names, with what it says of each."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status and problem["title"] and problem["detail"]
    return {error["field"]: error["detail"] for error in problem["errors"]}
