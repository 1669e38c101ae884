"""The first minute: six stops on the picture at hand, each with something to do; skippable, reachable, addressable."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser import PAUSED, opened, state, until, until_in_address

TOUR, TODO = ".tour", ".tour-do"


def done(page: Page) -> None:
    """Waits until what is to be done here was."""
    expect(page.locator(TODO)).to_have_class("tour-do is-done")


def go_on(page: Page, name: str) -> None:
    """On to the next stop, which has this name."""
    page.locator(f"{TOUR} .is-next").click()
    expect(page.locator(f"{TOUR} h2")).to_contain_text(f"A first minute: {name}")
    expect(page.locator(".is-toured")).to_have_count(1)


def test_six_stops_and_what_is_done_at_each(browser, address):
    with opened(browser, f"{address}/?t=1") as page:
        expect(page.locator(TOUR)).to_be_hidden()  # nobody is led who did not ask for it
        page.get_by_role("button", name="First minute").click()
        expect(page.locator(TOUR)).to_contain_text("What the network expects next")
        until_in_address(page, tour="1")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("ArrowRight")
        done(page)  # after “Wha” comes t, as it thought
        go_on(page, "memory")
        tiles = page.locator("#track-unfold").bounding_box()
        page.mouse.click(tiles["x"] + page.evaluate("gatescope.stage.axis.x(1)"), tiles["y"] + 90)
        done(page)
        go_on(page, "gate")
        page.locator(".cell-box[data-signal=i]").click()
        done(page)
        go_on(page, "road")
        page.get_by_role("button", name="Shut it and write").click()
        done(page)
        assert page.evaluate(
            "gatescope.stage.state.clamp.map(({ signal, units, value }) => [signal, units, value])"
        ) == [["f", "all", 0]]
        expect(page.locator(".written [data-k='3']")).to_be_visible()
        go_on(page, "loss")
        page.locator(".tour-try").click()
        until(page, "stage.state.clamp.length === 0 && stage.timeline.done")
        page.get_by_label("Where the loss is taken").select_option("every")
        until(page, "stage.state.loss === 'every' && stage.timeline.done")
        done(page)
        go_on(page, "way back")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("End")
        done(page)
        page.locator(f"{TOUR} .is-next").click()
        expect(page.locator(TOUR)).to_be_hidden()
        until_in_address(page, tour=None)


@pytest.mark.parametrize("model", ["small-gru", "small-elman", "small-peephole"])
def test_every_cell_has_its_own_stops(browser, address, model):
    with opened(browser, f"{address}/?model={model}&text=To be, or not&t=2&tour=1") as page:
        expect(page.locator(TOUR)).to_be_visible()
        gates = page.evaluate("gatescope.stage.description.signals.filter(({ role }) => role === 'gate').length")
        stops = {0: 4}.get(gates, 6)
        expect(page.locator(f"{TOUR} h2")).to_contain_text(f", 1 of {stops}")
        for _ in range(stops - 1):
            page.locator(f"{TOUR} .is-next").click()
            expect(page.locator(".is-toured")).to_have_count(1)
        expect(page.locator(f"{TOUR} h2")).to_contain_text("way back")


def test_it_is_left_by_esc_and_by_its_cross_and_found_again(browser, address):
    with opened(browser, address + PAUSED + "&tour=3") as page:
        expect(page.locator(f"{TOUR} h2")).to_contain_text("3 of 6")
        page.locator(f"{TOUR} .is-next").focus()
        page.keyboard.press("Escape")
        expect(page.locator(TOUR)).to_be_hidden()
        assert page.locator(".is-toured").count() == 0
        button = page.get_by_role("button", name="First minute")
        expect(button).to_be_focused()
        button.click()
        expect(page.locator(TOUR)).to_be_visible()
        page.get_by_role("button", name="End the tour").click()
        expect(page.locator(TOUR)).to_be_hidden()
        assert state(page)["text"] == "To be, or not to be"


def test_it_fits_a_phone(browser, address):
    with opened(browser, f"{address}{PAUSED}&tour=4", viewport={"width": 390, "height": 844}) as page:
        box = page.locator(TOUR).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["y"] + box["height"] <= 844
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
