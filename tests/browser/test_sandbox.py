"""Embeds in a frame that may run scripts and nothing else: no origin, no storage, no shared worker, no forms."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Frame, Page, expect

from tests.browser import waited
from tests.browser.test_events import deck

TEXT = "To%20be"
VIEWS = ("unfold", "text", "gates", "gradients", "cell", "generate")
SANDBOX = 'sandbox="allow-scripts"'


@contextmanager
def framed(browser: Browser, folder: Path, url: str, sandbox: str = SANDBOX) -> Iterator[tuple[Page, Frame]]:
    """Somebody else's page with one frame; what the frame throws and does not catch fails the test."""
    frame = f'<iframe {sandbox} src="{url}" width="640" height="360"></iframe>'
    with deck(folder, frame) as outside, browser.new_context() as context:
        page, thrown = context.new_page(), []
        page.on("pageerror", lambda error: thrown.append(str(error)))
        page.goto(outside)
        inner = page.frames[1]
        assert waited(inner, "window.gatescope?.stage.last.drawn > 0"), thrown
        assert inner.evaluate("self.origin") == ("null" if sandbox == SANDBOX else url.split("/embed")[0])
        yield page, inner
        assert thrown == []


@pytest.fixture(scope="module")
def answered(address) -> Iterator[bool]:
    """Whether the service lets a page without an origin ask for what is computed by POST."""
    asks = {"Origin": "null", "Access-Control-Request-Method": "POST"}
    asks["Access-Control-Request-Headers"] = "content-type"
    answer = httpx.options(f"{address}/api/generate", headers=asks)
    yield answer.status_code < 300 and answer.headers.get("access-control-allow-origin") in ("*", "null")


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_drawn_and_played_there(browser, address, tmp_path, view):
    url = f"{address}/embed/{view}?model=shakespeare-lstm&text={TEXT}&theme=dark&play=0"
    with framed(browser, tmp_path, url) as (page, inner):
        assert waited(inner, "gatescope.stage.timeline.done")
        assert inner.evaluate("document.documentElement.dataset.theme") == "dark"
        if view == "generate":
            return
        inner.evaluate("gatescope.stage.clock.step(3)")
        assert waited(inner, "gatescope.stage.last.turn === null")
        page.mouse.move(300, 150)
        page.mouse.click(320, 160)
        assert waited(inner, "gatescope.stage.views.every(({ shown }) => shown)")


def test_write_works_there(browser, address, tmp_path, answered):
    if not answered:
        pytest.skip("this service lets no page without an origin ask by POST")
    url = f"{address}/embed/generate?model=shakespeare-lstm&text={TEXT}&play=0"
    with framed(browser, tmp_path, url) as (_, inner):
        inner.get_by_role("button", name="Write", exact=True).click()
        expect(inner.locator(".written [data-k]").nth(20)).to_be_visible(timeout=30_000)
        expect(inner.locator(".generate .notice")).to_be_hidden()
        inner.get_by_role("button", name="Stop").click()
        inner.get_by_role("button", name="Read on the bench").click()
        expect(inner.locator(".generate .notice")).to_contain_text("may not open the bench")


def test_a_unit_is_held_and_added_up_there(browser, address, tmp_path, answered):
    if not answered:
        pytest.skip("this service lets no page without an origin ask by POST")
    url = f"{address}/embed/cell?model=shakespeare-lstm&text={TEXT}&play=0&clamp=0.f.1.0.0.end"
    with framed(browser, tmp_path, url) as (_, inner):
        assert waited(inner, "gatescope.stage.untouched && gatescope.stage.timeline.done")
        assert waited(inner, "gatescope.stage.arithmetic !== null")


def test_what_the_service_does_not_let_it_ask_is_said_in_words(browser, address, tmp_path):
    url = f"{address}/embed/generate?model=shakespeare-lstm&text={TEXT}&play=0"
    with framed(browser, tmp_path, url) as (page, inner):
        page.route("**/api/generate", lambda route: route.abort())
        inner.get_by_role("button", name="Write", exact=True).click()
        notice = inner.locator(".generate .notice")
        expect(notice).to_contain_text("does not let a frame without an origin (sandbox) ask this")
        assert inner.locator(".generate textarea").input_value() == "To be"
        expect(inner.get_by_role("button", name="Write", exact=True)).to_be_enabled()


def test_write_works_where_the_frame_has_its_origin(browser, address, tmp_path):
    url = f"{address}/embed/generate?model=shakespeare-lstm&text={TEXT}&play=0"
    with framed(browser, tmp_path, url, 'sandbox="allow-scripts allow-same-origin"') as (_, inner):
        inner.get_by_role("button", name="Write", exact=True).press("Enter")
        expect(inner.locator(".written [data-k]").nth(7)).to_be_visible(timeout=30_000)
