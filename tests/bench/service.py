"""The service against its own parts: a trace over HTTP against the program alone, a start with torch against one
without.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import numpy as np

from gatescope.models.compiler.backend import VARIABLE, choose_kernel
from gatescope.models.inspection.preactivations import preactivations
from gatescope.models.inspection.trace import stream, trace
from gatescope.models.network.network import Network
from gatescope.models.pretrained import load_pretrained
from tests.bench.measure import Result, compare, spread
from tests.service import a_server

MODEL = "shakespeare-lstm"
TEXT = ("To be, or not to be, that is the question:\n" * 12)[:500]


@contextmanager
def serving(kernel: str = "auto") -> Iterator[httpx.Client]:
    """What asks a service in a process of its own that uses this kernel, as people do: a client in the same process
    would take turns with it.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, VARIABLE: kernel}
        with (
            a_server(["serve", "--data", folder], env=environment) as address,
            httpx.Client(base_url=address) as client,
        ):
            yield client


def over_http() -> Iterator[Result]:
    """A trace of 500 characters, by POST, against the same NumPy trace made in this process, and against the trace of
    the kernel in use with the same bytes from an application that does nothing else.
    """
    network, body = load_pretrained(MODEL), {"model": MODEL, "text": TEXT}
    tokens = network.tokens(TEXT)

    def ask(client: httpx.Client) -> bytes:
        return client.post("/api/trace.safetensors", json=body).raise_for_status().content

    own = os.environ.get(VARIABLE, "auto")
    with serving(kernel="numpy") as client:
        choose_kernel("numpy")
        name = "/api/trace.safetensors, 500 characters, NumPy / the program alone"
        yield compare(
            name, 2.0, lambda: ask(client), lambda: trace(network, tokens), rounds=41, clock=time.perf_counter
        )
    choose_kernel(own)
    with serving(kernel=own) as client:
        length = len(ask(client))
        with a_server([str(length)], [sys.executable, "-m", "tests.bench.bare"]) as bare, httpx.Client() as other:

            def apart() -> None:
                trace(network, tokens)
                assert len(other.get(bare).content) == length

            name = f"the same, kernel in use / the program and {length / 1e6:.1f} MB from a bare application"
            yield compare(name, 1.5, lambda: ask(client), apart, rounds=41, clock=time.perf_counter)


def first_byte(preamble: str) -> float:
    """Seconds from the start of a server process to the first byte of its first page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        start = "from gatescope.app.commands.start import main; main()"
        serve_it = f"sys.argv = ['gatescope', 'serve', '--port', '{port}']; {start}"
        server = subprocess.Popen(
            [sys.executable, "-c", f"{preamble}import sys; {serve_it}"],
            env={"GATESCOPE_DATA": folder},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while True:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page:
                        page.read(1)
                    return time.perf_counter() - began
                except urllib.error.URLError:
                    if server.poll() is not None:
                        raise RuntimeError("the server did not start") from None
                    time.sleep(0.005)
        finally:
            server.terminate()
            server.wait()


def start(rounds: int = 11) -> Result:
    """Process start to first byte, against the same server importing torch."""
    seconds = np.array([[first_byte(""), first_byte("import torch; ")] for _ in range(rounds)])
    without, with_torch = np.median(seconds, axis=0)
    detail = f"{spread(seconds[:, 0])} against {spread(seconds[:, 1])}"
    return Result("start to first byte / the same importing torch", float(without / with_torch), 0.35, detail)


def page() -> Result:
    """The first byte of the bench, which carries a trace, against the trace and the arithmetic that it carries."""
    network = load_pretrained(MODEL)
    tokens = network.tokens(TEXT[:42])
    with serving() as client:

        def first() -> None:
            with client.stream("GET", "/", params={"model": MODEL, "text": TEXT[:42]}) as response:
                next(response.iter_raw())

        def computed() -> None:
            list(stream(network, tokens))
            preactivations(network, tokens)

        name = "the page's first byte / what it carries, computed alone"
        return compare(name, 4.5, first, computed, rounds=41, clock=time.perf_counter)


def in_turn_with_others() -> Result:
    """Three networks read in turn, as a page that compares them does, against each read three times."""
    read = [load_pretrained(id) for id in ("shakespeare-elman", "shakespeare-gru", "shakespeare-lstm-2x256")]

    def each(order: list[Network]) -> None:
        for network in order:
            trace(network, [1, 2, 3], backward=False)

    name = "three networks in turn / each three times"
    return compare(name, 1.15, lambda: each(read * 3), lambda: each([one for one in read for _ in range(3)]))


def results() -> Iterator[Result]:
    """Every line of the table that needs the service."""
    yield from over_http()
    yield page()
    yield in_turn_with_others()
    yield start()
