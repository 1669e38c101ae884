"""The log of a run in frames of somebody else's page: one connection for all of them, and what there is without one."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from gatescope.app.settings import Settings
from tests.browser.test_runs import CONTROLS, STEP, until
from tests.runs_over_http import ENDLESS, in_state, owned, started
from tests.service import serve


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """A server of this file's own, whose viewers can be counted."""
    with serve(Settings(data=tmp_path_factory.mktemp("runs"))) as address:
        yield address


@pytest.fixture(scope="module")
def client(address) -> Iterator[httpx.Client]:
    """A client of that server."""
    with httpx.Client(base_url=address, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def endless(client) -> Iterator[dict]:
    """A run that goes on while it is watched."""
    made = started(client, **ENDLESS)
    in_state(client, made, "running")
    yield made
    client.delete(made["links"]["self"], headers=owned(made))


@contextmanager
def deck(folder: Path, body: str) -> Iterator[str]:
    """Somebody else's page, from a server of its own."""
    (folder / "deck.html").write_text(f"<!doctype html><title>Deck</title>{body}")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *said: object) -> None:
            """Nothing is said."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/deck.html"
    finally:
        server.shutdown()
        server.server_close()


def comes_true(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether a condition holds within so many seconds."""
    end = time.monotonic() + seconds
    while not (holds := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return holds


def test_twelve_frames_of_one_run_are_all_live_and_the_page_goes_on(browser, address, client, endless, tmp_path):
    frame = f'<iframe src="{address}/embed/run?run={endless["id"]}" width="400" height="240"></iframe>'
    with deck(tmp_path, frame * 12) as url, browser.new_context() as context:
        page = context.new_page()
        page.goto(url)
        frames = page.frames[1:]
        assert len(frames) == 12
        for each in frames:
            until(each, f"({STEP}) > 0")
            assert each.get_by_role("button", name=CONTROLS).count() == 0
        stood = [each.evaluate(STEP) for each in frames]
        for each, step in zip(frames, stood, strict=True):
            until(each, f"({STEP}) > {step}")
        assert comes_true(lambda: "gatescope_viewers 1.0" in client.get("/metrics").text)  # one for all of them
        other = context.new_page()
        other.goto(address + "/train", timeout=10_000)
        expect(other.get_by_label("Paste a text")).to_be_visible()
        page.goto(address + "/", timeout=10_000)
        until(page, "window.gatescope?.stage.timeline.done")


def test_a_frame_without_an_origin_is_live_too(browser, address, endless, tmp_path):
    frame = f'<iframe sandbox="allow-scripts" src="{address}/embed/run?run={endless["id"]}"></iframe>'
    with deck(tmp_path, frame) as url, browser.new_context() as context:
        page = context.new_page()
        said = []
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(url)
        inner = page.frames[1]
        until(inner, f"({STEP}) > 0")
        stood = inner.evaluate(STEP)
        until(inner, f"({STEP}) > {stood}")
        assert inner.evaluate("self.origin") == "null" and said == []


def test_without_a_stream_the_log_is_asked_for_again_and_again(browser, address, endless):
    with browser.new_context() as context:
        context.add_init_script("delete globalThis.SharedWorker")
        page = context.new_page()
        page.route("**/api/events?*", lambda route: route.abort())
        page.goto(f"{address}/runs/{endless['id']}")
        until(page, f"({STEP}) > 0")
        stood = page.evaluate(STEP)
        until(page, f"({STEP}) > {stood}")
