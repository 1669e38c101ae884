"""Pages whose log is held back, breaks off, or whose server goes away: they go on by themselves and say what is so."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium, waited
from tests.faults.browsing import DRAWN, STEP, UNSEEN, holding_proxy, moves_on, passed_on, served, watched_page
from tests.faults.server import Server, a_quick_server, in_state
from tests.foreign import CHARACTERS, Theirs
from tests.runs import TEXT
from tests.runs_over_http import ENDLESS, started

pytestmark = [pytest.mark.slow, pytest.mark.fire]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for this file."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def watched() -> Iterator[tuple[Server, dict]]:
    """A server and a run that goes on while it is watched."""
    with a_quick_server(workers=1) as server:
        made = started(server.client, TEXT, **ENDLESS)
        in_state(server.client, made, "running")
        yield server, made


def broken(port: int, every: int, what: str) -> type[BaseHTTPRequestHandler]:
    """A proxy without streams, of whose pages of the log each `every`-th breaks off, is HTML, or is 503."""
    count = 0

    class Proxy(holding_proxy(port)):  # type: ignore[misc]
        def do_GET(self) -> None:
            nonlocal count
            if self.path.startswith("/api/events"):
                self.send_error(502)
                return
            if "events.json" not in self.path:
                super().do_GET()
                return
            count += 1
            if count % every:
                super().do_GET()
            elif what == "breaks off":
                _, _, content = passed_on(port, self.path)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content) + 10))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
            else:
                content = b"<!doctype html><h1>Bad gateway</h1>"
                self.send_response(200 if what == "HTML" else 503)
                self.send_header("Content-Type", "text/html")
                self.send_header("Retry-After", "1")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

    return Proxy


@pytest.mark.parametrize("what", ["breaks off", "HTML", "503"])
@pytest.mark.parametrize("shared", [True, False])
def test_a_page_outlives_a_log_that_fails_now_and_then(browser, watched, what, shared):
    server, made = watched
    with served(broken(server.port, 2, what)) as port, watched_page(browser) as (page, wrong):
        if not shared:
            page.context.add_init_script("delete globalThis.SharedWorker")
        page.goto(f"http://127.0.0.1:{port}/runs/{made['id']}")
        assert waited(page, f"({STEP}) > 0", 60)
        for _ in range(3):
            assert moves_on(page, 40)
        assert wrong == []


def test_behind_a_proxy_that_holds_streams_back_a_page_moves_every_few_seconds(browser, watched):
    server, made = watched
    with served(holding_proxy(server.port)) as port, watched_page(browser) as (page, wrong):
        page.goto(f"http://127.0.0.1:{port}/runs/{made['id']}")
        assert waited(page, f"({STEP}) > 0", 60)
        page.wait_for_timeout(9000)
        for _ in range(4):
            assert moves_on(page, 8)
        assert wrong == []


@pytest.mark.parametrize("down", [0.2, 4, 15])
def test_a_page_outlives_its_server(browser, watched, down):
    server, made = watched
    with watched_page(browser) as (page, wrong):
        page.goto(f"{server.address}/runs/{made['id']}")
        assert waited(page, f"({STEP}) > 0", 60)
        server.end(9)
        page.wait_for_timeout(1000 * down)
        server.start()
        assert moves_on(page, 60) and wrong == []


@pytest.mark.parametrize("control", ["\u202e", "\u2066", "\u200f", "\x1b", "\u2028", "\ufeff"])
def test_nothing_turns_a_page_around(browser, control):
    entries = [control, *CHARACTERS[1:]]
    facts = {"title": f"a{control}b", "vocabulary": json.dumps(entries)}
    with a_quick_server() as server, watched_page(browser) as (page, wrong):
        content = Theirs("gru").saved(**facts)
        kind = {"Content-Type": "application/octet-stream"}
        made = server.client.post("/api/models", content=content, headers=kind).json()
        for path in ("/", "/embed/unfold", "/embed/text", "/embed/cell"):
            page.goto(f"{server.address}{path}?model={made['id']}&text=b{'%' + control.encode().hex('%')}c")
            assert waited(page, DRAWN)
            page.wait_for_timeout(300)
            assert page.evaluate(UNSEEN) == [], path
        assert wrong == []


@pytest.mark.parametrize("id", ["My Book", "книга", "日本 語", "a.b-c_d"])
def test_own_networks_of_any_name_open_by_their_address(browser, id):
    def prepare(data) -> None:
        (data / f"{id}.safetensors").write_bytes(own)

    with a_quick_server() as made:
        theirs = made.client.post(
            "/api/models",
            content=Theirs("gru").saved(title="Mine"),
            headers={"Content-Type": "application/octet-stream"},
        ).json()
        own = made.client.get(f"/api/models/{theirs['id']}/weights").content
    with a_quick_server(prepare=prepare) as server, watched_page(browser) as (page, wrong):
        for path in ("/", "/embed/unfold"):
            page.goto(f"{server.address}{path}?model={id}&text=abc")
            assert waited(page, f"{DRAWN} && gatescope.stage.state.model === {json.dumps(id)}"), path
        assert wrong == []
