"""What strangers may ask for: prices over HTTP, turns, who leaves, and what is written while it is sent."""

import gc
import json
import shutil
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import numpy as np
import pytest
from safetensors.numpy import load, save

from gatescope.app.http.encoding import json_pieces, safetensors_header, safetensors_pieces
from gatescope.app.http.places import Places
from gatescope.app.server import create_app
from gatescope.app.settings import Settings
from gatescope.models.inspection.recorder import Recorder
from tests.service import errors_of, serve

TEXT = "To be, or not to be. "
DEAR = {"model": "shakespeare-lstm-2x256", "text": (TEXT * 60)[:1000]}


@pytest.fixture(scope="module")
def app(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("priced")
    for name in ("small-lstm", "small-tdnn"):
        shutil.copy(data / f"{name}.safetensors", folder)
    settings = Settings(
        data=folder, computations=2, computation_memory=24 << 20, computation_work=2 * 10**12, computation_wait=1.0
    )
    return create_app(settings)


@pytest.fixture(scope="module")
def here(app) -> Iterator[httpx.Client]:
    with serve(app.state.settings, app) as address, httpx.Client(base_url=address, timeout=120) as client:
        yield client


LONG = {"model": "small-lstm", "text": (TEXT * 1000)[:20_000]}


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/api/trace", {}),
        ("/api/trace.json", {}),
        ("/api/trace.safetensors", {"precision": "float64"}),
        ("/api/verification", {}),
        ("/api/influence", {"model": "small-tdnn", "text": (TEXT * 50)[:1000]}),
    ],
)
def test_what_is_too_dear_is_refused_with_the_figure_and_what_would_fit(here, path, more):
    asked = LONG | more
    errors = errors_of(here.post(path, json=asked))
    assert "MiB of memory, and at most 24.0 MiB are given" in errors["text"]
    fitting = int(errors["text"].rpartition("; ")[2].split()[0].replace(",", ""))
    assert 10 < fitting < len(asked["text"])
    assert here.post(path, json=asked | {"text": asked["text"][:fitting]}).status_code == 200


def test_less_is_asked_of_a_trace_of_one_signal(here):
    errors = errors_of(here.post("/api/trace.safetensors", json=LONG))
    asked = LONG | {"signals": ["f"], "backward": False, "text": LONG["text"][: 2 * fits(errors)]}
    assert here.post("/api/trace.safetensors", json=asked).status_code == 200


def fits(errors: dict[str, str]) -> int:
    return int(errors["text"].rpartition("; ")[2].split()[0].replace(",", ""))


def test_writing_and_a_page_have_a_price_too(tmp_path):
    settings = Settings(data=tmp_path, computation_work=5 * 10**8)
    with serve(settings) as address, httpx.Client(base_url=address) as client:
        asked = {"model": DEAR["model"], "prompt": "To be", "length": 2000}
        assert "steps would fit" in errors_of(client.post("/api/generate", json=asked))["length"]
        page = client.get("/", params={"model": "shakespeare-lstm", "text": DEAR["text"]})
        assert page.status_code == 200 and "multiply-adds" in page.text


def test_a_page_that_asks_for_too_much_gives_the_example_and_says_why(here):
    page = here.get("/", params={"model": "shakespeare-lstm-2x256", "text": (TEXT * 200)[:2000]})
    assert page.status_code == 200
    assert "This is the example, because the address has a wrong “text”: this would hold" in page.text


@pytest.mark.slow
def test_health_and_pages_do_not_wait_behind_computations(data, tmp_path):
    settings = Settings(data=tmp_path, computations=2, computation_wait=0.5)
    with serve(settings) as address, httpx.Client(base_url=address, timeout=120) as client:
        with ThreadPoolExecutor(24) as crowd:
            asked = [crowd.submit(httpx.post, f"{address}/api/influence", json=DEAR, timeout=300) for _ in range(24)]
            time.sleep(0.3)
            waited = {path: [] for path in ("/healthz", "/", "/static/style.css", "/api/cells")}
            while not all(each.done() for each in asked):
                for path, seconds in waited.items():
                    began = time.monotonic()
                    assert client.get(path).status_code == 200
                    seconds.append(time.monotonic() - began)
            answers = [each.result() for each in asked]
    refused = [each for each in answers if each.status_code == 503]
    assert {each.status_code for each in answers} == {200, 503}
    assert all(1 <= int(each.headers["retry-after"]) <= 10 for each in refused)
    assert "busy" in errors_of(refused[0], 503)["service"]
    assert len(waited["/healthz"]) > 3 and float(np.median(waited["/healthz"])) < 0.5


def held(places: Places) -> int:
    """The bytes that computations hold now."""
    return sum(share.capacity - share.free for share in (places.memory, places.little))


def computing() -> int:
    """How many networks are being read in this process, which is the server's too."""
    gc.collect()
    return sum(type(each) is Recorder for each in gc.get_objects())


@pytest.mark.slow
@pytest.mark.parametrize("path", ["influence", "verification", "trace.json", "trace"])
def test_who_hangs_up_stops_the_computation(data, tmp_path, path):
    app = create_app(Settings(data=tmp_path, computation_wait=30))
    with serve(app.state.settings, app) as address:
        host, port = address.removeprefix("http://").split(":")
        body = json.dumps(DEAR).encode()
        head = f"POST /api/{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        for _ in range(20):
            with closing(socket.create_connection((host, int(port)))) as connection:
                connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                time.sleep(0.02)
        began, places = time.monotonic(), app.state.places
        while held(places) or app.state.streams.count:
            assert time.monotonic() < began + 20, "what nobody waits for is still computed"
            time.sleep(0.05)
        end = time.monotonic() + 20
        while computing():
            assert time.monotonic() < end, "what was computed for those who left is still held"
            time.sleep(0.1)
        answer = httpx.post(f"{address}/api/{path}", json=DEAR | {"text": TEXT}, timeout=60)
        assert answer.status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("path", ["events?runs=RUN", "trace?model=shakespeare-lstm&text=To+be"])
def test_a_thousand_that_connect_and_close_take_no_place(tmp_path, path):
    app = create_app(Settings(data=tmp_path, viewer_limit=20))
    with serve(app.state.settings, app) as address, httpx.Client(base_url=address, timeout=60) as client:
        run = app.state.store.create("somebody", "A run", "{}", b"a text").id
        host, port = address.removeprefix("http://").split(":")
        ask = f"GET /api/{path.replace('RUN', run)} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        for number in range(1000):
            connection = socket.create_connection((host, int(port)))
            connection.sendall(ask)
            if number % 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            connection.close()
        end = time.monotonic() + 60
        while app.state.streams.count or app.state.viewers.count:
            assert time.monotonic() < end, app.state.streams.count
            time.sleep(0.1)
        assert client.get("/api/trace", params={"model": "shakespeare-lstm", "text": "To be"}).status_code == 200
        assert not held(app.state.places)


def test_pieces_are_the_file_that_the_library_writes():
    random = np.random.default_rng(0)
    tensors = {
        "layer0.f": random.normal(size=(4000, 7, 30))[:, 3].astype(np.float32),
        "loss": np.array([1.5, np.nan], np.float32),
        "empty": np.empty((0, 5), np.float32),
        "wide": random.normal(size=(3, 400_000)).astype(np.float32),
    }
    metadata = {"model": "Книга", "tokens": [1, 2], "cell": {"id": "lstm"}}
    pieces = list(safetensors_pieces(tensors, metadata))
    content = b"".join(pieces)
    assert len(content) == len(safetensors_header(tensors, metadata)) + sum(each.nbytes for each in tensors.values())
    texts = {"model": "Книга", "tokens": "[1,2]", "cell": '{"id":"lstm"}'}
    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    assert {name: array.tobytes() for name, array in load(content).items()} == {
        name: array.tobytes() for name, array in load(save(contiguous, texts)).items()
    }
    assert max(map(len, pieces)) <= 2 * 2**20
    lists = json.loads(b"".join(json_pieces(tensors, metadata)))
    assert lists["metadata"]["model"] == "Книга" and lists["tensors"]["empty"] == []
    assert lists["tensors"]["loss"] == [1.5, None]
    assert np.array_equal(np.float32(lists["tensors"]["layer0.f"]), tensors["layer0.f"])
