"""What every answer says beside its content: every route, by every status that it can be made to answer with."""

import itertools
import shutil
import sqlite3

import httpx
import pytest
from fastapi import FastAPI

from gatescope.app.http.headers import house_headers
from gatescope.app.pages import pages
from gatescope.app.server import create_app
from gatescope.app.settings import Settings
from tests.service import serve

METHODS = ("GET", "HEAD", "POST", "DELETE", "PUT", "OPTIONS", "TRACE")
CROSS = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
NOBODY = "0" * 32


def paths(app: FastAPI, run: str) -> list[str]:
    """Every path there is, its names filled in once with what is there and once with what is not."""
    known = {"id": run, "ids": run, "view": "text", "page": "start"}
    other = {"id": NOBODY, "ids": NOBODY, "view": "nothing", "page": "nothing"}
    every = [*app.openapi()["paths"], *(route.path for route in pages.router.routes)]
    files = ["/static/style.css", "/static/nothing", "/static", "/static/../app/server.py", "/nothing", "/openapi.json"]
    return [*files, *dict.fromkeys(path.format(**names) for path in every for names in (known, other))]


def requests(path: str) -> list[dict]:
    """Ways to ask for a path: well, with what is not understood, and as strangers."""
    read = {"model": "small-lstm", "text": "ab"}
    ways = [{"method": method} for method in METHODS]
    ways += [{"method": "GET", "params": each} for each in (read, read | {"more": "x"}, {"runs": NOBODY}, {"ids": "x"})]
    ways += [
        {"method": "POST", "json": read},
        {"method": "POST", "json": {"a": "\x00"}},
        {"method": "POST", "content": b"{"},
    ]
    ways += [{"method": "POST", "content": b" " * 2_000}, {"method": "GET", "headers": {"If-None-Match": "*"}}]
    heads = [
        CROSS,
        {"Host": "evil.example"},
        {"Origin": "null"},
        {"Authorization": "Basic x"},
        {"Range": "bytes=9999999-"},
    ]
    asking = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    ways += [{"method": "GET", "headers": each} for each in heads]
    ways += [{"method": "OPTIONS", "headers": asking | {"Origin": each}} for each in ("null", "https://evil.example")]
    return [way | {"url": path} for way in ways]


@pytest.mark.slow
def test_every_answer_of_every_route_has_the_house_headers(data, tmp_path):
    shutil.copy(data / "small-lstm.safetensors", tmp_path)
    settings = Settings(data=tmp_path, body_limit=1_000, run_text_limit=1_000, upload_limit=1_000)
    app, seen = create_app(settings), set()
    with serve(settings, app) as address, httpx.Client(base_url=address, timeout=60) as client:
        run = app.state.store.create("somebody", "A run", "{}", b"a text").id
        app.state.store.move(run, ["queued"], "stopped")
        for way in itertools.chain(*map(requests, paths(app, run))):
            response = client.request(**way)
            seen.add(response.status_code)
            check(response, way)
        stylesheet = client.get("/static/style.css")
        unchanged = client.get("/static/style.css", headers={"If-None-Match": stylesheet.headers["etag"]})
        check(unchanged, {"url": "/static/style.css"})
    assert unchanged.status_code == 304
    assert {200, 400, 403, 404, 405, 413, 415, 422} <= seen and not {each for each in seen if each >= 500}


def check(response: httpx.Response, way: dict) -> None:
    """What the browser is told beside the content."""
    headers, path = response.headers, response.url.path
    ours = {name: value for name, value in house_headers(path, "*").items() if name != "Cache-Control"}
    for name, value in ours.items():
        assert headers.get_list(name) == [value], (way, response.status_code)
    assert headers["cache-control"] and "set-cookie" not in headers, way
    assert len(headers["x-request-id"]) == 16 and headers.get("access-control-allow-credentials") is None, way
    is_page = (
        path.startswith("/runs/") and response.status_code == 404
    )  # which says in its own words that there is none
    if response.status_code >= 400 and way["method"] != "HEAD" and not is_page:
        assert headers["content-type"] == "application/problem+json", (way, response.status_code)


@pytest.mark.parametrize(
    ("path", "framed", "resources", "opener"),
    [
        ("/", "'none'", "same-origin", None),
        ("/train", "'none'", "same-origin", "same-origin"),
        ("/embed/text", "https://lab.example", "cross-origin", None),
        ("/embed", "'none'", "same-origin", "same-origin"),
        ("/static/style.css", "'none'", "cross-origin", "same-origin"),
        ("/api/models", "'none'", "same-origin", "same-origin"),
    ],
)
def test_only_embeds_and_their_files_are_for_other_sites(path, framed, resources, opener):
    headers = house_headers(path, "https://lab.example")
    assert headers["Content-Security-Policy"].endswith(f"frame-ancestors {framed}")
    assert headers["Cross-Origin-Resource-Policy"] == resources
    assert headers.get("Cross-Origin-Opener-Policy") == opener
    assert "script-src 'self';" in headers["Content-Security-Policy"]


def test_an_answer_of_a_store_that_does_not_answer_has_them_too(tmp_path):
    with serve(Settings(data=tmp_path)) as address, sqlite3.connect(tmp_path / "runs.sqlite") as beside:
        beside.execute("ALTER TABLE run RENAME TO elsewhere")
        beside.commit()
        response = httpx.get(f"{address}/api/runs")
        check(response, {"method": "GET"})
        assert response.status_code == 503 and response.headers["retry-after"]
        beside.execute("ALTER TABLE elsewhere RENAME TO run")
        beside.commit()
    beside.close()
