"""Who may ask what, whose code runs, what a connection leaves behind, what is logged."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from gatescope.models.cells import cells
from gatescope.models.network.network import untrained
from tests.faults.server import Server, a_quick_server, comes_true, in_state
from tests.faults.sockets import asked, connected, head, reset
from tests.faults.streams import viewers
from tests.foreign import Theirs
from tests.house import HOUSE, installed, seeing
from tests.runs import TEXT
from tests.runs_over_http import ENDLESS, QUICK, posted, started

pytestmark = pytest.mark.fire
BYTES = {"Content-Type": "application/octet-stream"}


def private(data: Path) -> None:
    network = untrained(cells()["lstm"], 1, 8, list("abc"), title="My diary")
    (data / "diary.safetensors").write_bytes(network.to_bytes())


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with a private network; its log must be without a traceback."""
    with a_quick_server(prepare=private, runs_per_owner=100) as server:
        yield server
        assert server.complaints() == []


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:9999", "null", "http://localhost:8000"])
@pytest.mark.parametrize("path", ["", "/diary", "/diary/weights", "?x="])
def test_no_other_site_reads_the_networks_of_this_machine(server, origin, path):
    answer = server.client.get(f"/api/models{path}", headers={"Origin": origin})
    told = "access-control-allow-origin" in answer.headers and answer.status_code < 400
    assert not told, dict(answer.headers)


@pytest.mark.parametrize(
    "path", ["trace", "trace.json", "trace.safetensors", "arithmetic", "influence", "verification"]
)
def test_no_other_site_has_a_private_network_computed(server, path):
    for params in ({"model": "diary", "text": "abc"}, {"model": "reber-lstm", "text": "BTX"}):
        image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
        assert server.client.get(f"/api/{path}", params=params, headers=image).status_code == 403
        answer = server.client.get(f"/api/{path}", params=params, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in answer.headers
    sandboxed = server.client.get(f"/api/{path}", params={"model": "diary", "text": "abc"}, headers={"Origin": "null"})
    assert "access-control-allow-origin" not in sandboxed.headers or sandboxed.status_code >= 400


@pytest.mark.parametrize("path", ["/api/generate", "/api/trace", "/api/arithmetic"])
def test_a_sandboxed_frame_may_have_shipped_networks_computed(server, path):
    asks = {"Origin": "null", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    preflight = server.client.request("OPTIONS", path, headers=asks)
    assert preflight.status_code in (200, 204) and preflight.headers["access-control-allow-origin"] == "null"
    body = {"model": "reber-lstm"} | ({"prompt": "B"} if "generate" in path else {"text": "BTX"})
    answer = server.client.post(path, json=body, headers={"Origin": "null"})
    assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == "null"
    assert "access-control-allow-credentials" not in answer.headers


def test_a_script_without_any_such_headers_is_served(server):
    for path in ("/api/models", "/api/models/diary/weights", "/api/trace.json?model=diary&text=abc", "/api/runs"):
        assert server.client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["events", "trace", "generate"])
@pytest.mark.parametrize("read", [False, True])
def test_places_of_viewers_come_back_whatever_viewers_do(path, read):
    with a_quick_server(viewer_limit=40, workers=1) as server:
        made = started(server.client, TEXT, **ENDLESS)
        in_state(server.client, made, "running")
        body = json.dumps({"model": "reber-lstm", "prompt": "B", "length": 200}).encode()
        requests = {
            "events": head("GET", made["links"]["events"]),
            "trace": head("GET", f"/api/trace?model=shakespeare-lstm&text={'a' * 500}"),
            "generate": head("POST", "/api/generate", "Content-Type: application/json", f"Content-Length: {len(body)}")
            + body,
        }
        for _ in range(150):
            with connected(server.port) as connection:
                connection.sendall(requests[path])
                if read:
                    connection.recv(1)
                reset(connection)
        assert comes_true(lambda: viewers(server) == 0, 30), viewers(server)
        with server.client.stream("GET", made["links"]["events"]) as answer:
            assert answer.status_code == 200
        assert server.client.get("/api/trace?model=reber-lstm&text=BTX").status_code == 200
        assert server.complaints() == []


CUT = [
    ("/api/models", "application/octet-stream", 5_000_000),
    ("/api/runs", "text/plain", 500_000),
    ("/api/trace", "application/json", 5_000),
    ("/api/generate", "application/json", 5_000),
]


@pytest.mark.parametrize(("path", "kind", "length"), CUT)
@pytest.mark.parametrize("way", ["reset", "closed", "half"])
def test_a_body_cut_off_by_its_sender_is_no_traceback(server, path, kind, length, way):
    place = server.log_size()
    for _ in range(5):
        with connected(server.port) as connection:
            start = (300).to_bytes(8, "little") + b"{" if "models" in path else b'{"'
            connection.sendall(
                head("POST", path, f"Content-Type: {kind}", f"Content-Length: {length}") + start + b" " * 900
            )
            time.sleep(0.02)
            if way == "reset":
                reset(connection)
            elif way == "half":
                connection.shutdown(1)
                time.sleep(0.05)
    time.sleep(0.3)
    assert server.answers() and server.complaints(place) == []
    assert server.log_size() - place < 3000


@pytest.mark.parametrize(
    "path", ["/", "/train", "/docs", "/embed/unfold", "/api/models", "/api/cells", "/healthz", "/static/style.css"]
)
def test_head_is_answered_alike_everywhere(server, path):
    got, only = server.client.get(path), server.client.head(path)
    assert only.status_code in (200, 405) and only.content == b""
    assert only.status_code == server.client.head("/static/style.css").status_code
    assert only.status_code == 405 or only.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize("ways", [{"cwd": True}, {"cwd": True, "PYTHONPATH": "."}, {"cwd": True, "editable": True}])
def test_somebody_s_app_and_models_are_not_run(tmp_path, ways):
    there = installed(HOUSE, tmp_path / "installed")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for name in ("app.py", "models.py", "static.py", "templates.py"):
        (theirs / name).write_text("raise SystemExit('somebody else was run')\n")
    if "editable" in ways:
        (theirs / "models").mkdir()
        (theirs / "models/__init__.py").write_text("raise SystemExit('somebody else was run')\n")
    paths = [there, theirs] if "PYTHONPATH" in ways else [there]
    command = [sys.executable, "-m", "gatescope", "models"]
    environment = seeing(*paths, GATESCOPE_DATA=tmp_path / "data")
    ended = subprocess.run(command, cwd=theirs, capture_output=True, text=True, timeout=120, env=environment)
    assert ended.returncode == 0 and "shakespeare-lstm" in ended.stdout, ended.stderr


def test_a_worker_runs_nothing_of_the_directory_it_was_started_in():
    with a_quick_server(workers=1) as server:
        server.end()
        for name in ("app.py", "models.py", "numpy.py", "torch.py", "orjson.py"):
            (server.folder / name).write_text("raise SystemExit('somebody else was run')\n")
        server.variables["PYTHONSAFEPATH"] = "1"
        server.start()
        made = started(server.client, TEXT, **QUICK)
        assert in_state(server.client, made, "finished", "failed")["state"] == "finished"


@pytest.mark.parametrize(
    "headers", [{"X-Forwarded-For": "1.2.3.{}"}, {"Forwarded": "for=1.2.3.{}"}, {"X-Real-IP": "1.2.3.{}"}]
)
def test_an_address_that_is_only_claimed_passes_no_limit(headers):
    with a_quick_server(runs_per_minute=4, workers=1) as server:
        asks = [{name: value.format(n) for name, value in headers.items()} for n in range(10)]
        statuses = [posted(server.client, headers=each, **QUICK).status_code for each in asks]
        assert statuses == [202] * 4 + [429] * 6


@pytest.mark.parametrize("kind", ["lines", "ansi", "direction"])
def test_nobody_writes_a_line_of_their_own_into_the_log(kind):
    odd = {"lines": "x\nall is well", "ansi": "\x1b[2J\x1b[31m", "direction": "\u202e\u2066x"}[kind]

    def prepare(data: Path) -> None:
        (data / f"{odd}.safetensors").write_bytes(b"nothing at all")

    with a_quick_server(prepare=prepare) as server:
        for _ in range(3):
            server.client.get("/api/models")
        server.client.post("/api/models", content=Theirs("gru").saved(title=odd)[:-5], headers=BYTES)
        text = server.log.read_text()
        assert server.complaints() == [] and "\nall is well" not in text


def test_a_log_has_times_and_no_flood():
    with a_quick_server(prepare=private) as server:
        for _ in range(20):
            server.client.get("/api/models")
        lines = server.log.read_text().splitlines()
        assert len(lines) < 30 and any(":" in line and any(c.isdigit() for c in line) for line in lines)


def test_many_first_askers_at_once_all_get_their_picture():
    for _ in range(3):
        with a_quick_server() as server, ThreadPoolExecutor(12) as pool:
            models = ("shakespeare-lstm", "shakespeare-gru") * 6
            paths = [f"{server.address}/embed/unfold?model={model}&text=ab" for model in models]
            pages = list(pool.map(lambda path: httpx.get(path, timeout=60).text, paths))
            assert all('"forward"' in page for page in pages)


def test_a_second_server_and_a_folder_in_the_database_s_place_are_sentences(tmp_path):
    (tmp_path / "runs.sqlite").mkdir()
    command = [sys.executable, "-m", "gatescope", "serve", "--port", "1"]
    environment = {**os.environ, "GATESCOPE_DATA": str(tmp_path)}
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=environment, cwd=os.fspath(tmp_path)
    )
    assert ended.returncode == 2 and ended.stderr.startswith("gatescope: ") and "Traceback" not in ended.stderr


def test_what_is_no_request_is_refused_as_a_problem(server):
    for request in (b"nonsense\r\n\r\n", head("GET", "/", "Content-Length: -1"), head("GET", "/", host=None)):
        answer = asked(server.port, request, closing=1)
        assert answer.status == 400 and answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-content-type-options"] == "nosniff"
