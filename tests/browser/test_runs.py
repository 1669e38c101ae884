"""Runs in a real Chromium: a text becomes a run, the run is watched while it really trains, and afterwards the same."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from playwright.sync_api import Browser, Frame, Page, expect

from gatescope.app.settings import Settings
from tests.browser import becomes, drawn, file, opened, until_in_address, waited
from tests.runs import TEXT
from tests.runs_over_http import QUICK, in_state, started
from tests.service import serve

CONTROLS = re.compile("Pause|Resume|Stop$|Delete")
NOT_FOUND = "the server responded with a status of 404"
LOSSES = "gatescope.stage.runs[0].progress.map(({ loss }) => loss)"
STEP = "globalThis.gatescope?.stage.runs[0].step ?? 0"


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """A server of this file's own, where no run waits for another."""
    with serve(Settings(data=tmp_path_factory.mktemp("runs"), workers=3)) as address:
        yield address


@pytest.fixture(scope="module")
def client(address) -> Iterator[httpx.Client]:
    """A client of that server."""
    with httpx.Client(base_url=address, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def trained(client) -> list[dict]:
    """Two finished runs on one text."""
    made = [started(client, title=cell, **(QUICK | {"cell": cell})) for cell in ("gru", "elman")]
    for each in made:
        in_state(client, each, "finished")
    return made


@contextmanager
def training(browser: Browser, address: str, **options) -> Iterator[Page]:
    """The page /train; an error on its console fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, **options)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address + "/train")
    try:
        yield page
    finally:
        context.close()
    assert [line for line in said if NOT_FOUND not in line] == []


def choose(page: Page, **values: int) -> None:
    """Types into the fields behind “more”."""
    page.get_by_text("more", exact=True).click()
    for name, value in values.items():
        page.locator(f"#recipe input[name={name}]").fill(str(value))
        page.keyboard.press("Tab")


def until(page: Page | Frame, condition: str, seconds: float = 40) -> None:
    """Waits for a condition, which must come true."""
    assert waited(page, condition, seconds), condition


def test_a_text_becomes_a_run_that_is_watched_to_its_end(browser, address, client):
    with training(browser, address) as page:
        page.get_by_label("Paste a text").fill(TEXT)
        seen = page.locator("#seen")
        expect(seen).to_contain_text(f"{len(TEXT):,} characters in one line, read as UTF-8")
        expect(seen.locator("bdi")).to_have_text(["␣" if each == " " else each for each in sorted(set(TEXT))])
        expect(page.locator("#recipe .sentence")).to_contain_text("for about")
        weights = page.locator(".cost").text_content()
        page.get_by_label("Cell", exact=True).select_option("gru")
        page.get_by_label("Units", exact=True).fill("24")
        expect(page.locator(".cost")).not_to_have_text(weights)
        choose(page, steps=120, sequence_length=32, batch_size=8, title="Bottles")
        expect(page.locator(".cost")).to_contain_text("120 steps")
        page.get_by_role("button", name="Start").click()
        page.wait_for_url("**/runs/*")
        expect(page.get_by_role("heading", name="Bottles")).to_be_visible()
        state = page.locator(".run-state")
        expect(state).to_contain_text("finished", timeout=60_000)
        until(page, f"{LOSSES}.length > 10")  # a run that is over before its page is there tells it after its state
        losses = page.evaluate(LOSSES)
        assert losses[-1] < 0.7 * losses[0]
        expect(page.locator(".loss .readings")).to_contain_text("nats a character")
        written = page.locator(".sample pre").first.text_content()
        assert len(written) > 50
        until(page, "gatescope.stage.runs[0].model?.id")
        shown = "[...document.querySelectorAll('.training [role=img], .sample')].map(e => e.ariaLabel ?? e.textContent)"
        drawn(page)
        before, id = page.evaluate(shown), page.url.split("/")[-1]
        page.reload()
        until(page, "window.gatescope?.stage.runs[0].model?.id")
        becomes(page, shown, before)
        assert len(before) > 4
        run = client.get(f"/api/runs/{id}").json()
        assert (run["recipe"]["cell"], run["recipe"]["hidden"], run["recipe"]["steps"]) == ("gru", 24, 120)
        assert run["progress"]["loss"] == pytest.approx(losses[-1])
        page.get_by_role("tab", name="Write").click()
        page.get_by_label("characters", exact=True).fill("12")
        page.get_by_role("button", name="Write", exact=True).click()
        expect(page.locator(".written [data-k]")).to_have_count(12)
        expect(page.locator(".wrote .mean")).to_have_count(4)
        page.get_by_role("link", name="Open on the bench").click()
        until(page, f"window.gatescope?.stage.state.model === '{id}'")
        expect(page.locator("#sentence")).to_contain_text("The network Bottles")


def test_its_owner_pauses_resumes_and_deletes_and_nobody_else(browser, address, client):
    with training(browser, address) as page:
        page.get_by_role("button", name="counting").click()
        page.get_by_label("Units", exact=True).fill("16")
        choose(page, steps=200_000)
        expect(page.locator(".cost")).to_contain_text("200,000 steps")
        page.get_by_role("button", name="Start").click()
        page.wait_for_url("**/runs/*")
        until(page, f"({STEP}) > 0")
        state, copied = page.locator(".run-state"), page.url
        page.get_by_role("button", name="Pause").click()
        expect(state).to_contain_text("paused", timeout=20_000)
        stood = page.evaluate(STEP)
        page.reload()
        expect(state).to_contain_text("paused")
        page.get_by_role("button", name="Resume").click()
        until(page, f"({STEP}) > {stood}")
        with opened(browser, copied) as other:
            expect(other.locator(".run-state")).to_contain_text("training")
            assert other.get_by_role("button", name=CONTROLS).count() == 0
        page.get_by_role("button", name="Delete", exact=True).click()
        page.get_by_role("button", name="Delete for good").click()
        page.wait_for_url("**/train")
        assert client.get(f"/api/runs/{copied.split('/')[-1]}").status_code == 404
        page.goto(copied)
        expect(page.locator("#notice")).to_contain_text("no such run")


def test_a_text_that_cannot_be_trained_on_says_why(browser, address):
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(address + "/train")
        page.get_by_label("Paste a text").fill("aaaa")
        expect(page.locator("#notice")).to_contain_text("one character over and over")
        page.locator("#intake input[type=file]").set_input_files(file(b"\x89PNG\r\n\x1a\n" + bytes(99), "picture.txt"))
        expect(page.locator("#notice")).to_contain_text("a picture")
        expect(page.locator("#recipe")).to_be_hidden()


def test_a_text_dropped_on_the_bench_is_trained_on(browser, address):
    with opened(browser, address + "/?t=0") as page:
        page.locator("#open input[type=file]").set_input_files({**file(TEXT.encode(), "bottles.txt"), "mimeType": ""})
        page.get_by_role("button", name="Train on it").click()
        page.wait_for_url("**/train")
        expect(page.locator("#intake")).to_contain_text("bottles")
        expect(page.locator("#seen")).to_contain_text(f"{len(TEXT):,} characters")


def test_runs_lie_over_each_other_and_the_address_carries_it(browser, address, trained):
    ids = [each["id"] for each in trained]
    with opened(browser, f"{address}/runs/{','.join(ids)}") as page:
        until(page, "gatescope.stage.runs.every(run => run.over)")
        drawn(page)
        assert page.evaluate("gatescope.stage.runs.map(({ id }) => id)") == ids
        figure = page.locator("#track-loss [role=img]").get_attribute("aria-label")
        assert "gru from" in figure and "elman from" in figure
        expect(page.locator(".readings")).to_contain_text("② ")
        expect(page.locator(".sample")).to_have_count(2)


def test_the_slider_goes_back_to_what_was(browser, address, trained):
    with opened(browser, f"{address}/runs/{trained[0]['id']}") as page:
        until(page, "gatescope.stage.runs[0].over")
        steps = page.evaluate("gatescope.stage.runs[0].progress.map(({ step }) => step)")
        drawn(page)
        last = page.locator(".loss .readings").text_content()
        page.keyboard.press("ArrowLeft")
        assert page.evaluate("gatescope.stage.at") == steps[-2]
        page.keyboard.press("Home")
        expect(page.locator(".sample .age").first).to_contain_text("before the first step")
        until_in_address(page, step="0")
        page.keyboard.press("End")
        expect(page.locator(".loss .readings")).to_have_text(last)


def test_the_list_of_ones_own_runs(browser, address, client: httpx.Client, trained):
    with browser.new_context() as context:
        keep = "".join(f"localStorage.setItem('gatescope owner of run {each['id']}', 'x');" for each in trained)
        context.add_init_script(keep)
        page = context.new_page()
        page.goto(address + "/train")
        entries = page.locator(".owned li")
        expect(entries).to_have_count(2)
        expect(entries.first).to_contain_text("finished")
        until(page, "document.querySelectorAll('.owned polyline[points]:not([points=\"\"])').length === 2")
        for box in page.locator(".owned input").all():
            box.check()
        page.get_by_role("button", name="Lay these 2 over each other").click()
        page.wait_for_url("**/runs/*,*")


def test_one_screen_wide_and_one_column_narrow(browser, address, trained):
    with browser.new_context() as context:
        page = context.new_page()
        for path in ("/train", f"/runs/{trained[0]['id']}", f"/embed/run?run={trained[0]['id']}"):
            page.set_viewport_size({"width": 1440, "height": 900})
            page.goto(address + path)
            if path != "/train":
                drawn(page)
            assert page.evaluate("document.documentElement.scrollHeight <= innerHeight"), path
            page.set_viewport_size({"width": 390, "height": 844})
            page.wait_for_timeout(300)  # the views are told of their new size and are drawn once more
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
