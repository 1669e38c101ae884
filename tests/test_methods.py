"""HEAD is answered as GET is, by its head alone."""

import time

import httpx
import pytest

from gatescope.app.server import create_app
from tests.raw_http import answered, connected, one_answer, sent
from tests.test_server import walked

NOT_OF_THE_ADDRESS = ("date", "content-length", "content-encoding")  # what may differ between two GETs too
VARYING = ("/metrics", "/", "/embed/text")  # by the second


def test_head_says_of_every_address_what_get_says(client, settings, data):
    routes = [route for route in walked(create_app(settings)) if "GET" in route.methods]
    query = {"model": "small-lstm", "text": "ab", "runs": "0" * 32}
    paths = [route.path.format(id="small-lstm", ids="0" * 32, view="text", page="start") for route in routes]
    paths += ["/static/style.css", "/openapi.json", "/nothing", "/api/models/nothing"]
    assert len(paths) > 25
    for path in paths:
        asked = [client.request(method, path, params=query) for method in ("GET", "HEAD")]
        if asked[0].status_code == 422:  # it takes other fields
            asked = [client.request(method, path) for method in ("GET", "HEAD")]
        get, head = asked
        assert (head.status_code, head.content) == (get.status_code, b""), path
        for name in {*get.headers, *head.headers} - {*NOT_OF_THE_ADDRESS, "x-request-id"}:
            assert head.headers.get(name) == get.headers.get(name), (path, name)
        if "content-length" in head.headers and path not in VARYING:
            assert head.headers["content-length"] == get.headers.get("content-length"), path


@pytest.mark.parametrize("path", ["/api/runs/x/pause", "/api/runs/x/stop", "/api/generate"])
def test_what_only_post_may_ask_head_may_not(client, path):
    response = client.head(path)
    assert response.status_code == 405 and response.headers["allow"] == "POST"


def test_a_stream_without_end_has_a_head_that_ends(client, address):
    run = client.post("/api/runs", params={"steps": 1_000_000}, content=b"to be or not to be " * 200).json()
    try:
        began = time.monotonic()
        for _ in range(3):
            head = client.head("/api/events", params={"runs": run["id"]})
            assert head.status_code == 200 and head.headers["content-type"].startswith("text/event-stream")
        assert time.monotonic() - began < 20
        end = time.monotonic() + 20
        while "gatescope_viewers 0.0" not in client.get("/metrics").text:
            assert time.monotonic() < end, "a viewer of nothing is still counted"
            time.sleep(0.05)
    finally:
        client.delete(f"/api/runs/{run['id']}", headers={"Authorization": f"Bearer {run['owner_token']}"})


def test_head_passes_over_ranges(client):
    for ranges in ("bytes=0-9", "bytes=9-0", "bytes=" + ",".join(f"{at}-{at}" for at in range(200)), "lines=1"):
        response = client.head("/static/style.css", headers={"Range": ranges})
        assert response.status_code == 200 and "content-range" not in response.headers


def test_a_connection_goes_on_after_head(address):
    with connected(address) as connection:
        for path, status in ((b"/healthz", 200), (b"/nothing", 404), (b"/api/cells", 200)):
            connection.sendall(b"HEAD " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            came = b""
            while b"\r\n\r\n" not in came:
                came += connection.recv(1000)
            found, _, content = answered(came)
            assert (found, content) == (status, b"")
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answered(one_answer(connection))[2] == b'{"status":"ok"}'


def test_the_head_of_a_stream_is_all_there_is(address):
    query = b"model=small-lstm&text=" + b"ab" * 900
    head = b"HEAD /api/trace?" + query + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    status, headers, content = answered(sent(address, head))
    assert (status, content) == (200, b"") and headers["content-type"].startswith("text/event-stream")
    assert httpx.get(f"{address}/healthz").status_code == 200
