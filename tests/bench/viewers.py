"""Many viewers of one run: how long an event takes to reach them and what they cost; and how quick the bench stays
while a run trains.

    python -m tests.bench.viewers http://127.0.0.1:8000 RUN 300    watches a run, to its end, as so many viewers
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import orjson

from gatescope.app.runs.store import Store
from gatescope.app.server import create_app
from gatescope.app.settings import Settings
from tests.bench.measure import Result
from tests.service import serve

VIEWERS, BATCHES, PER_SECOND = 300, 60, 4
WARM_UP = 8  # batches in which everybody has come and the memory has grown to its size
HISTOGRAM = list(range(1000, 1016))
SIGNALS = {name: {"mean": 0.5123456789, "low": 0.123, "high": 0.456, "histogram": HISTOGRAM} for name in "figoch"}
NORMS = {f"rnn.weight_{kind}_l{layer}": 0.123456789 for kind in ("ih", "hh") for layer in (0, 1)}
MODEL, TEXT = "shakespeare-lstm", ("To be, or not to be, that is the question:\n" * 12)[:500]
BOOK = ("It was the best of times, it was the worst of times, it was the age of wisdom. " * 400).encode()
TRACES, ROUNDS = 15, 3


async def viewer(address: str, run: str, delays: list[float]) -> None:
    """Watch a run to its end; the delays of its `progress` events, which say when they were logged."""
    place = urlsplit(address)
    reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=2**20)
    writer.write(f"GET /api/events?runs={run} HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode())
    while line := await reader.readline():
        if line.startswith(b"data: ") and b'"logged"' in line:
            delays.append(time.monotonic() - orjson.loads(line[6:])["logged"])
        elif line == b"event: end\n":
            break
    writer.close()


async def crowd(address: str, run: str, count: int) -> list[float]:
    """The delays of all events at all of so many viewers, who come one after the other within a second."""
    delays: list[float] = []
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(viewer(address, run, delays))
            await asyncio.sleep(1 / count)
    return delays


def logged(store: Store, run: str, step: int) -> None:
    """What a training tells in a quarter of a second."""
    told = {"step": step, "loss": 1.2345, "gradient_norms": NORMS, "logged": time.monotonic()}
    store.append(run, "progress", told, step)
    store.append(run, "gates", {"step": step, "layers": [SIGNALS, SIGNALS]}, step)


def resident() -> float:
    """Megabytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def fan_out() -> Iterator[Result]:
    """A server in this process, 300 viewers in another."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(data=Path(folder)))
        with serve(app.state.settings, app) as address:
            store = app.state.store
            run = store.create("bench", "Watched", "{}", b"text").id
            store.move(run, ["queued"], "running")
            command = [sys.executable, "-m", "tests.bench.viewers", address, run, str(VIEWERS)]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as others:
                while app.state.viewers.count < VIEWERS:
                    time.sleep(0.05)
                began, memory, used = time.monotonic(), 0.0, time.process_time()
                for step in range(1, BATCHES + 1):
                    logged(store, run, step)
                    time.sleep(max(0.0, began + step / PER_SECOND - time.monotonic()))
                    memory = resident() if step == WARM_UP else memory
                used, grown = time.process_time() - used, resident() / memory
                store.move(run, ["running"], "finished")
                delays = orjson.loads(others.stdout.read())
    if len(delays) != VIEWERS * BATCHES:
        raise RuntimeError(f"{len(delays)} events came of {VIEWERS * BATCHES}")
    middle, high = np.percentile(delays, [50, 99])
    detail = f"median {middle * 1000:.0f} ms, server busy {used / BATCHES * PER_SECOND:.0%} of a core"
    name = f"{VIEWERS} viewers at {PER_SECOND} batches a second: 99th percentile, seconds"
    yield Result(name, float(high), 1.0, detail)
    yield Result(f"{VIEWERS} viewers: memory at the end / soon after the start", grown, 1.05, f"{memory:.0f} MB then")


def while_training() -> Result:
    """The bench's trace while a run trains against the same while the run rests, in turn."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Settings(data=Path(folder), workers=1)) as address,
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        made = client.post("/api/runs", params={"steps": 1_000_000, "hidden": 64}, content=BOOK).json()
        path, owner = made["links"]["self"], {"Authorization": f"Bearer {made['owner_token']}"}
        seconds: dict[str, list[float]] = {"running": [], "paused": []}
        for _ in range(ROUNDS):
            for state, action in (("running", "resume"), ("paused", "pause")):
                client.post(f"{path}/{action}", headers=owner)
                step = (client.get(path).json()["progress"] or {"step": 0})["step"]
                while (now := client.get(path).json())["state"] != state or (
                    state == "running" and (now["progress"] or {"step": 0})["step"] <= step
                ):
                    time.sleep(0.1)
                for _ in range(TRACES):
                    began = time.perf_counter()
                    client.post("/api/trace.safetensors", json={"model": MODEL, "text": TEXT}).raise_for_status()
                    seconds[state].append(time.perf_counter() - began)
        client.delete(path, headers=owner).raise_for_status()
    busy, quiet = (float(np.median(seconds[state])) for state in ("running", "paused"))
    detail = f"{busy * 1000:.1f} ms against {quiet * 1000:.1f} ms"
    return Result("a trace of 500 characters while a run trains / while none does", busy / quiet, 1.5, detail)


def results() -> Iterator[Result]:
    """Every line of the table that is about runs and who watches them."""
    yield from fan_out()
    yield while_training()


if __name__ == "__main__":
    watched = asyncio.run(crowd(sys.argv[1], sys.argv[2], int(sys.argv[3])))
    sys.stdout.buffer.write(orjson.dumps(watched))
