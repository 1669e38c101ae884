"""Requests that would take the machine's memory or its processors: what they may take, and what becomes of the others.

The servers here may hold three gigabytes, so that a request without a price is answered 500, and no machine suffers.
"""

import json
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import numpy as np
import pytest
from safetensors.numpy import save

from tests.faults.server import Server, a_quick_server, comes_true
from tests.faults.sockets import connected, head, reset

pytestmark = [pytest.mark.slow, pytest.mark.fire]

ALLOWED = 3 * 2**30
BOUND = 1500.0  # megabytes that a server may hold whatever it is asked
BYTES = {"Content-Type": "application/octet-stream"}
LONG = ("To be, or not to be, that is the question:\n" * 500)[:20_000]
LARGE = "shakespeare-lstm-2x256"


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that may hold three gigabytes."""
    with a_quick_server(limits={resource.RLIMIT_DATA: (ALLOWED, ALLOWED)}) as server:
        yield server


def small_but_wide(**facts: str) -> bytes:
    """A file of half a megabyte: 65,536 tokens or classes around one unit."""
    table = np.ones((65_536, 1), np.float32)
    weights = {"rnn.weight_ih_l0": np.ones((1, 1), np.float32), "rnn.weight_hh_l0": np.ones((1, 1), np.float32)}
    if "pattern" in facts:
        weights["rnn.weight_ih_l0"] = np.ones((1, 3), np.float32)
        return save(weights | {"fc.weight": table}, {"vocabulary": '["a", "b", "c"]', **facts})
    return save(weights | {"embedding.weight": table, "fc.weight": table}, facts)


def small_but_deep() -> bytes:
    """A file whose table of tokens × blocks would take four gigabytes: 65,536 tokens, 4,096 units projected to one."""
    weights = {
        "embedding.weight": np.ones((65_536, 1), np.float32),
        "rnn.weight_ih_l0": np.ones((16_384, 1), np.float32),
    }
    weights |= {
        "rnn.weight_hh_l0": np.ones((16_384, 1), np.float32),
        "rnn.weight_hr_l0": np.ones((1, 4096), np.float32),
    }
    return save(weights | {"fc.weight": np.ones((4, 1), np.float32)}, {"gives": "classes"})


def uploaded(server: Server, content: bytes) -> str:
    answer = server.client.post("/api/models", content=content, headers=BYTES)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def peaks(server: Server, answer: httpx.Response) -> None:
    """Served or refused in words, and never with more memory than a server may hold."""
    answer.read()
    assert answer.status_code in (200, 422, 503), answer.text[:300]
    if answer.status_code != 200:
        assert answer.headers["content-type"] == "application/problem+json" and len(answer.json()["detail"]) > 20
    assert server.peak() < BOUND, f"{server.peak():.0f} MB, {answer.status_code}"


@pytest.mark.parametrize("path", ["trace.json", "trace.safetensors", "trace", "verification", "arithmetic"])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_long_text_takes_no_gigabytes(server, path, precision):
    body = {"model": LARGE, "text": LONG}
    if path.startswith("trace"):
        body |= {"precision": precision}
    elif precision == "float32":
        body |= {"text": LONG[:10_000]}
    with server.client.stream("POST", f"/api/{path}", json=body) as answer:
        peaks(server, answer)


@pytest.mark.parametrize("path", ["trace.json", "trace.safetensors", "verification", "influence"])
def test_six_pictures_of_one_page_take_no_gigabytes(server, path):
    params = {"model": LARGE, "text": LONG[:2000]} | ({"precision": "float64"} if "trace" in path else {})
    statuses = []

    def ask() -> None:
        answer = httpx.get(f"{server.address}/api/{path}", params=params, timeout=120)
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(150)
    assert len(statuses) == 6 and set(statuses) <= {200, 422, 503}, statuses
    assert server.peak() < BOUND, f"{server.peak():.0f} MB"


@pytest.mark.parametrize(
    ("path", "steps"), [("trace", 20_000), ("trace.safetensors", 4_000), ("trace.json", 4_000), ("trace", 2)]
)
def test_a_small_file_with_many_tokens_takes_no_gigabytes(server, path, steps):
    body = {"model": uploaded(server, small_but_wide()), "tokens": [1] * steps}
    with server.client.stream("POST", f"/api/{path}", json=body) as answer:
        peaks(server, answer)


@pytest.mark.parametrize("path", ["/api/trace", "/api/trace.json", "/?", "/embed/unfold?", "/api/generate"])
def test_a_small_file_whose_table_would_be_gigabytes_takes_none(server, path):
    model = uploaded(server, small_but_deep())
    if path.startswith("/api"):
        body = {"model": model, "prompt": "a"} if "generate" in path else {"model": model, "tokens": [1, 2]}
        answer = server.client.post(path, json=body)
    else:
        answer = server.client.get(f"{path}model={model}&text=1%202")
    peaks(server, answer)


@pytest.mark.parametrize("path", ["/?model={}", "/embed/unfold?model={}&text=a", "/api/trace?model={}&text=a"])
def test_one_character_and_ten_thousand_steps_take_no_gigabytes(server, path):
    content = small_but_wide(pattern="one-to-many", gives="classes", steps="10000")
    with server.client.stream("GET", path.format(uploaded(server, content))) as answer:
        peaks(server, answer)


LESSONS = {
    "characters": '{"lessons": {"reads": "characters", "gives": "next"}}\n' + '{"input":"ab"}\n' * 5000
    + json.dumps({"input": "ab" * 25_000}),
    "words": '{"lessons": {"reads": "words", "gives": "next"}}\n' + '{"input":"a b"}\n' * 5000
    + json.dumps({"input": "a b " * 20_000}),
    "numbers": '{"lessons": {"reads": "values", "gives": "next"}}\n' + '{"input":[1,2]}\n' * 5000
    + json.dumps({"input": [1] * 40_000}),
    "classes": '{"lessons": {"reads": "characters", "gives": "classes", "pattern": "many-to-one"}}\n'
    + "".join(f'{{"input":"ab","target":"{n}"}}\n' for n in range(4000))
    + json.dumps({"input": "ab" * 30_000, "target": "x"}),
}  # fmt: skip


@pytest.mark.parametrize("kind", LESSONS)
def test_lessons_of_very_different_lengths_are_not_laid_side_by_side(server, kind):
    before, began = server.megabytes(), time.monotonic()
    answer = server.client.post("/api/runs?dry_run=true", content=LESSONS[kind])
    assert answer.status_code in (200, 422), answer.text
    assert server.peak() - before < 300, f"{server.peak() - before:.0f} MB for {len(LESSONS[kind])} bytes"
    assert time.monotonic() - began < 30


DEAR = {
    "influence": {"model": "shakespeare-lstm", "text": LONG[:1000]},
    "verification": {"model": LARGE, "text": LONG[:12_000]},
    "generate": {"model": LARGE, "prompt": LONG[:9000], "length": 2000},
    "trace.safetensors": {"model": LARGE, "text": LONG[:5000]},
}


@pytest.mark.parametrize("path", DEAR)
def test_forty_five_dear_requests_keep_nobody_waiting_and_end_with_their_clients(server, path):
    body = json.dumps(DEAR[path])
    with ExitStack() as stack:
        for _ in range(45):
            connection = stack.enter_context(connected(server.port))
            request = head("POST", f"/api/{path}", "Content-Type: application/json", f"Content-Length: {len(body)}")
            connection.sendall(request + body.encode())
        slowest, began = 0.0, time.monotonic()
        while time.monotonic() - began < 6:
            at = time.monotonic()
            assert server.answers(20)
            assert httpx.get(f"{server.address}/train", timeout=20).status_code == 200
            slowest = max(slowest, time.monotonic() - at)
            time.sleep(0.1)
    assert slowest < 4, f"a page and /healthz took {slowest:.1f} s"
    assert comes_true(lambda: idle(server), 20, 0), "it goes on computing for nobody"


@pytest.mark.parametrize("path", DEAR)
def test_forty_who_hang_up_at_once_leave_nothing_behind(server, path):
    body = json.dumps(DEAR[path]).encode()
    for _ in range(40):
        with connected(server.port) as connection:
            line = f"Content-Length: {len(body)}"
            connection.sendall(head("POST", f"/api/{path}", "Content-Type: application/json", line) + body)
            reset(connection)
    assert server.answers(5)
    assert comes_true(lambda: idle(server), 15, 0), "it goes on computing for nobody"


def idle(server: Server) -> bool:
    """Whether it uses little of a core for a second."""
    used = server.cpu_seconds()
    time.sleep(1)
    return server.cpu_seconds() - used < 0.25


@pytest.mark.parametrize(
    "path",
    [
        f"/api/trace.safetensors?model={LARGE}&text={'a' * 2000}",
        f"/api/trace?model={LARGE}&text={'a' * 2000}",
        f"/api/trace.json?model=shakespeare-lstm&text={'a' * 2000}",
    ],
)
def test_readers_that_stop_reading_hold_no_memory(server, path):
    server.client.get(path)
    before = server.megabytes()
    with ExitStack() as stack:
        for _ in range(4):
            connection = stack.enter_context(connected(server.port, receive=4096))
            connection.sendall(head("GET", path))
            connection.recv(100)
        time.sleep(3)
        assert server.megabytes() < before + 400
        assert comes_true(lambda: server.megabytes() < before + 150, 45, 0.5), (
            f"{before:.0f} → {server.megabytes():.0f}"
        )


def test_uploads_that_stall_before_their_end_hold_little_memory(server):
    before, size = server.megabytes(), 50_000_000
    header = json.dumps({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    start = len(header).to_bytes(8, "little") + header
    with ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(connected(server.port, 5))
            lines = ("Content-Type: application/octet-stream", f"Content-Length: {len(start) + size}")
            try:
                connection.sendall(head("POST", "/api/models", *lines) + start + bytes(size - 1000))
            except OSError:
                pass  # there was no room for it
        assert server.megabytes() < before + 900, f"{before:.0f} → {server.megabytes():.0f} MB"
        assert server.answers(5)
    assert comes_true(lambda: server.megabytes() < before + 200, 30, 0.5), f"{before:.0f} → {server.megabytes():.0f} MB"


@pytest.mark.parametrize("size", [2000, 1000])
def test_networks_that_were_deleted_are_let_go_of(server, size):
    count = 4 if size == 2000 else 8
    before, made = server.megabytes(), []
    for n in range(count):
        draw = np.random.default_rng(n)
        weights = {"rnn.weight_ih_l0": (size, 3), "rnn.weight_hh_l0": (size, size)}
        content = save({name: draw.random(shape, np.float32) * 0.01 for name, shape in weights.items()})
        answer = server.client.post("/api/models", content=content, headers=BYTES)
        made.append(answer.json())
        asked = {"model": made[-1]["id"], "tokens": [0, 1, 2]}
        assert server.client.post("/api/trace.json", json=asked).status_code in (200, 503)
    for each in made:
        owner = {"Authorization": f"Bearer {each['owner_token']}"}
        assert server.client.delete(f"/api/models/{each['id']}", headers=owner).status_code == 204
        assert server.client.get(f"/api/models/{each['id']}").status_code == 404
    server.client.get("/api/trace.json?model=reber-lstm&text=BTX")
    assert comes_true(lambda: server.megabytes() < before + 120, 20, 0.5), f"{before:.0f} → {server.megabytes():.0f} MB"
