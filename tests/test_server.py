import gc
import shutil
import socket
import subprocess
import sys
import textwrap
import time

import httpx
import pytest
from fastapi.routing import APIRoute

from gatescope.app.server import create_app
from gatescope.app.settings import Settings
from gatescope.models.inspection.recorder import Recorder
from tests.service import errors_of, serve

JSON = {"Content-Type": "application/json"}


def test_health(client):
    assert client.get("/healthz").json() == {"status": "ok"}


def test_every_get_route_has_the_house_headers(data, tmp_path):
    shutil.copy(data / "small-lstm.safetensors", tmp_path)
    app = create_app(Settings(data=tmp_path))
    routes = [route for route in walked(app) if "GET" in route.methods]
    assert len(routes) > 15
    with serve(app.state.settings, app) as address, httpx.Client(base_url=address) as client:
        run = app.state.store.create("somebody", "A run", "{}", b"a text").id
        app.state.store.move(run, ["queued"], "stopped")
        asked = {"model": "small-lstm", "text": "ab", "runs": run}
        for route in routes:
            fields = app.openapi()["paths"].get(route.path, {}).get("get", {}).get("parameters", [])
            params = {field["name"]: asked[field["name"]] for field in fields if field["name"] in asked}
            id = run if "runs" in route.path else "small-lstm"
            response = client.get(route.path.format(id=id, ids=run, view="text", page="start"), params=params)
            policy = response.headers["content-security-policy"]
            assert response.status_code == 200, route.path
            assert response.headers["x-content-type-options"] == "nosniff"
            assert response.headers["cache-control"]
            assert "script-src 'self'" in policy
            assert ("frame-ancestors 'none'" in policy) is ("embed" not in route.path)


def walked(app) -> list[APIRoute]:
    found = []
    for route in app.routes:
        included = getattr(route, "original_router", None)
        found += included.routes if included else [route] * isinstance(route, APIRoute)
    return found


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b'{"model": "small-lstm", "text": "\\ud800"}', JSON, 422),
        (b'{"model": "small-lstm", "\\ud800": 1, "text": "a"}', JSON, 422),
        (b'{"model": "small-lstm", "text": "\xff"}', JSON, 400),
        (b"[" * 100_000, JSON, 400),
        (b'{"tokens": [' + b"9" * 5000 + b"]}", JSON, 400),
        (b"{", JSON, 422),
        (b"[]", JSON, 422),
        (b"", JSON, 422),
        (b'{"model": "small-lstm", "text": "a"}', {"Content-Type": "text/plain"}, 422),
        (b'{"model": "small-lstm", "text": "a"}', {}, 422),
        (b" " * 1_048_577, JSON, 413),
    ],
)
def test_unreadable_bodies_are_problems(client, content, headers, status):
    for path in ("/api/trace", "/api/generate"):
        response = client.post(path, content=content, headers=headers)
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "\\ud800" not in response.text or "\\\\ud800" in response.text


def test_a_body_without_a_length_is_bounded_too(client):
    response = client.post("/api/trace", content=(b" " * 65536 for _ in range(32)), headers=JSON)
    errors_of(response, 413)


def test_the_input_is_never_echoed(client):
    response = client.get("/api/trace", params={"model": "secret-model", "text": "secret", "loss": "secret"})
    assert "secret" not in response.text


OTHER_METHODS = [("POST", "/api/cells"), ("DELETE", "/"), ("TRACE", "/"), ("PUT", "/api/trace")]


@pytest.mark.parametrize(("method", "path"), OTHER_METHODS)
def test_other_methods_are_refused(client, method, path):
    response = client.request(method, path)
    assert response.status_code == 405 and response.headers["allow"]
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", ""])
def test_on_loopback_only_loopback_names_are_answered(client, host):
    errors_of(client.get("/healthz", headers={"Host": host}), 400)
    for loopback in ("localhost:8000", "127.0.0.1", "[::1]:8000"):
        assert client.get("/healthz", headers={"Host": loopback}).status_code == 200


def test_settings_open_hosts_and_close_frames(tmp_path):
    settings = Settings(data=tmp_path, allowed_hosts="lab.example", frame_ancestors="https://lab.example 'self'")
    with serve(settings) as address:
        response = httpx.get(f"{address}/embed/text", headers={"Host": "lab.example"})
        assert response.headers["content-security-policy"].endswith("frame-ancestors https://lab.example 'self'")


def test_what_is_written_by_hand_is_compressed_and_what_is_recorded_is_not(client):
    assert client.get("/static/style.css").headers["content-encoding"] == "gzip"
    assert "content-encoding" not in client.get("/").headers


@pytest.mark.slow
def test_a_reader_that_leaves_stops_nothing(client, address):
    host, port = address.removeprefix("http://").split(":")
    query, before = f"model=small-lstm&text={'ab' * 900}", readings()
    for _ in range(5):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(f"GET /api/trace?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            connection.recv(1000)
    end = time.monotonic() + 60
    while readings() > before:
        assert time.monotonic() < end, "what was read for those who left is still held"
        time.sleep(0.05)
    assert client.get("/healthz").status_code == 200


def readings() -> int:
    """How many readings of a network this process, which is the server's too, still holds."""
    gc.collect()
    return sum(type(each) is Recorder for each in gc.get_objects())


@pytest.mark.slow
def test_torch_is_never_imported_to_serve(data, tmp_path):
    shutil.copy(data / "small-lstm.safetensors", tmp_path)
    program = """
        import sys
        import httpx
        from gatescope.app.settings import Settings
        from tests.service import serve
        with serve(Settings()) as address:
            for path in ("/", "/api/trace?model=small-lstm&text=ab", "/api/cells"):
                assert httpx.get(address + path).status_code == 200
        assert "torch" not in sys.modules
    """
    environment = {"GATESCOPE_DATA": str(tmp_path), "PATH": ""}
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60, env=environment)
