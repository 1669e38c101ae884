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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np

from gatescope.app.settings import Settings
from gatescope.models.compiler.backend import VARIABLE, choose_kernel
from gatescope.models.inspection.preactivations import preactivations
from gatescope.models.inspection.trace import stream, trace
from gatescope.models.network.network import Network
from gatescope.models.pretrained import load_pretrained
from tests.bench.measure import Result, compare, spread
from tests.service import serve

MODEL = "shakespeare-lstm"
TEXT = ("To be, or not to be, that is the question:\n" * 12)[:500]


@contextmanager
def asking(kernel: str) -> Iterator[Callable[[], bytes]]:
    """What asks a service whose calculators use this kernel for a trace of 500 characters, by POST."""
    choose_kernel(kernel)
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Settings(data=Path(folder))) as address,
        httpx.Client(base_url=address) as client,
    ):
        choose_kernel(kernel)
        yield (
            lambda: (
                client.post("/api/trace.safetensors", json={"model": MODEL, "text": TEXT}).raise_for_status().content
            )
        )


def over_http() -> Iterator[Result]:
    """Such a trace against the same NumPy trace made in the same process, and against the trace of the kernel in use
    with the same bytes from an application that does nothing else.
    """
    network = load_pretrained(MODEL)
    tokens = network.tokens(TEXT)
    own = os.environ.pop(VARIABLE, "auto")
    with asking("numpy") as ask:
        name = "/api/trace.safetensors, 500 characters, NumPy / the program alone"
        yield compare(name, 2.0, ask, lambda: trace(network, tokens), rounds=41, clock=time.perf_counter)
    with asking(own) as ask, tempfile.TemporaryDirectory() as folder, httpx.Client() as client:
        content = ask()

        async def bare(scope, receive, send) -> None:
            if scope["type"] == "lifespan":
                for phase in ("startup", "shutdown"):
                    await receive()
                    await send({"type": f"lifespan.{phase}.complete"})
                return
            length = str(len(content)).encode()
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
            await send({"type": "http.response.body", "body": content})

        with serve(Settings(data=Path(folder)), bare) as other:

            def apart() -> None:
                trace(network, tokens)
                client.get(other)

            name = f"the same, kernel in use / the program and {len(content) / 1e6:.1f} MB from a bare application"
            yield compare(name, 1.5, ask, apart, rounds=41, clock=time.perf_counter)


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
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Settings(data=Path(folder))) as address,
        httpx.Client(base_url=address) as client,
    ):

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
