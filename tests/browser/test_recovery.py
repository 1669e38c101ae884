"""A run's page in a real Chromium, when what stands between it and the run fails: it says so and goes on by itself.

Its pauses are four times shorter here; what is under fire has the real ones.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from gatescope.app.settings import Settings
from tests.browser.test_runs import STEP, until
from tests.proxy import Proxy, proxy
from tests.runs_over_http import ENDLESS, in_state, owned, started
from tests.service import serve

ALONE = "delete globalThis.SharedWorker"
SOONER = 4


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """A server of this file's own."""
    with serve(Settings(data=tmp_path_factory.mktemp("runs"))) as address:
        yield address


@pytest.fixture(scope="module")
def endless(address) -> Iterator[dict]:
    """A run that goes on while it is watched."""
    with httpx.Client(base_url=address, timeout=60) as client:
        made = started(client, **ENDLESS)
        in_state(client, made, "running")
        yield made
        client.delete(made["links"]["self"], headers=owned(made))


@contextmanager
def watching(browser: Browser, between: Proxy, run: dict, alone: bool = False) -> Iterator[Page]:
    """The page of a run behind a proxy; whatever it throws and does not catch fails the test.

    alone: it has no worker to share.
    """
    with browser.new_context() as context:
        if alone:
            context.add_init_script(ALONE)
        page, thrown = context.new_page(), []
        page.on("pageerror", lambda error: thrown.append(str(error)))
        page.goto(f"{between.address}/runs/{run['id']}")
        yield page
        assert thrown == []


def moves_on(page: Page, seconds: float = 40) -> None:
    """Waits until the run has come further than it is shown now."""
    stood = page.evaluate(STEP)
    until(page, f"({STEP}) > {stood}", seconds)


def keeps_up(page: Page, address: str, run: dict, seconds: float) -> None:
    """For so long, whatever the service knows is soon on the page."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        step = httpx.get(f"{address}/api/runs/{run['id']}").json()["progress"]["step"]
        until(page, f"({STEP}) >= {step}", 20)
        page.wait_for_timeout(500)


def of_the_log(between: Proxy) -> list[tuple[float, str]]:
    """When the log itself was asked for, and how; what else the page loads may come late."""
    asked = zip(between.times, between.asked, strict=True)
    return [(when, path) for when, path in asked if path.startswith("/api/events") or "/events.json" in path]


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("sooner", [SOONER, pytest.param(1, marks=pytest.mark.fire)])
def test_behind_a_proxy_that_holds_streams_back_the_page_moves_every_two_seconds(
    browser, address, endless, alone, sooner
):
    with (
        proxy(address, holds=True, sooner=sooner) as between,
        watching(browser, between, endless, alone) as page,
    ):
        until(page, f"({STEP}) > 0")
        keeps_up(page, address, endless, 16 / sooner)
        asked = of_the_log(between)
        pulls = [when for when, path in asked if "/events.json" in path]
        gaps = [later - earlier for earlier, later in zip(pulls, pulls[1:], strict=False)]
        assert len(pulls) >= 5 and sorted(gaps)[len(gaps) // 2] < 4 and max(gaps) < 20, gaps
        assert sum(path.startswith("/api/events") for _, path in asked) == 2
        expect(page.locator("#notice")).to_be_hidden()


def test_a_proxy_that_cuts_streams_is_not_noticed(browser, address, endless):
    with (
        proxy(address, cuts=2.0, sooner=SOONER) as between,
        watching(browser, between, endless) as page,
    ):
        until(page, f"({STEP}) > 0")
        end = time.monotonic() + 40
        while sum(path.startswith("/api/events") for path in between.asked) < 3:
            assert time.monotonic() < end, between.asked
            keeps_up(page, address, endless, 0.1)
        keeps_up(page, address, endless, 1)
        expect(page.locator("#notice")).to_be_hidden()


@pytest.mark.parametrize("alone", [False, True])
def test_pages_of_the_log_that_break_off_are_asked_for_again(browser, address, endless, alone):
    with (
        proxy(address, breaks=5, sooner=SOONER) as between,
        watching(browser, between, endless, alone) as page,
    ):
        notice = page.locator("#notice")
        expect(notice).to_contain_text(
            "The answer of the server broke off. It is tried again by itself", timeout=20_000
        )
        expect(notice).to_contain_text("It is live again.", timeout=30_000)
        moves_on(page)
        expect(notice).to_be_hidden(timeout=15_000)


NONSENSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>Please log in</html>"
BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 2\r\n"
    b'Connection: close\r\n\r\n{"title": "Not now", "status": 503, "detail": "All places are taken", "errors": []}'
)


@pytest.mark.parametrize(
    ("answer", "words"), [(NONSENSE, "no answer of this service"), (BUSY, "All places are taken. It is tried again")]
)
def test_another_answer_than_the_log_is_said_and_waited_out(browser, address, endless, answer, words):
    with (
        proxy(address, answers=answer, sooner=SOONER) as between,
        watching(browser, between, endless) as page,
    ):
        notice = page.locator("#notice")
        expect(notice).to_contain_text(words, timeout=20_000)
        asked = len(of_the_log(between))
        page.wait_for_timeout(1500)
        assert len(of_the_log(between)) - asked <= 8
        between.answers = b""
        expect(notice).to_contain_text("It is live again.", timeout=30_000)
        moves_on(page)


def test_a_page_that_is_opened_while_the_server_is_down_comes_up_by_itself(browser, address, endless):
    with proxy(address) as between, browser.new_context() as context:
        page = context.new_page()
        busy = {"status": 503, "content_type": "application/problem+json", "body": '{"detail": "The log is locked"}'}
        page.route("**/api/runs/*", lambda route: route.fulfill(**busy))
        page.goto(f"{between.address}/runs/{endless['id']}")
        expect(page.locator("#notice")).to_contain_text("The log is locked. It is tried again by itself")
        page.unroute("**/api/runs/*")
        until(page, f"({STEP}) > 0")
        expect(page.locator("#notice")).to_be_hidden()


def test_a_server_that_is_restarted_is_waited_for(browser, address, endless):
    with proxy(address) as between, watching(browser, between, endless) as page:
        until(page, f"({STEP}) > 0")
        between.down = True
        notice = page.locator("#notice")
        expect(notice).to_contain_text("The server does not answer. Is it still running?", timeout=30_000)
        # it asks less and less often, and would now for long not ask again
        expect(notice).to_contain_text(re.compile("tried again by itself in ([6-9]|10) s"), timeout=40_000)
        assert len(of_the_log(between)) < 20
        seen = page.evaluate("gatescope.stage.runs[0].progress.length")
        between.down = False
        page.evaluate("dispatchEvent(new Event('online'))")  # the machine is back on its network
        expect(notice).to_contain_text("It is live again.", timeout=4000)
        until(page, f"gatescope.stage.runs[0].progress.length > {seen}")
        steps = page.evaluate("gatescope.stage.runs[0].progress.map(({ step }) => step)")
        assert steps == sorted(set(steps))
