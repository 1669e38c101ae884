"""What is pointed at explains itself: each thing in words of its own and with this step's number; and the colours."""

import itertools
import json

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from gatescope.models.cells import cells
from gatescope.models.graph.description import PURPOSES, describe
from tests.browser import PAUSED, becomes, drawn, opened, state, until, until_in_address

COLOURS = """() => { const { colour, description } = gatescope.stage, { low, high } = colour.diverging;
  const named = { gradient: colour.gradient, right: colour.right, low: colour.diverging.css(low),
                  high: colour.diverging.css(high) };
  for (const { id, role } of description.signals) if (role === "gate") named[id] = colour.hue(id);
  return Object.fromEntries(Object.entries(named).map(([name, css]) => [name, css.match(/\\d+/g).map(Number)])); }"""


def card(page: Page) -> str:
    """What the card says."""
    expect(page.locator("#explained")).to_be_visible()
    return page.locator("#explained").text_content().replace("\u2068", "").replace("\u2069", "")


def test_from_the_first_page_to_what_the_forget_gate_does_now_by_one_hover(browser, address):
    with opened(browser, address) as page:
        page.locator(".unfold .figure-label", has_text="forget").hover()
        said = card(page)
        assert "How much each unit keeps of what it remembers" in said and "At step" in said and "%" in said
        page.mouse.click(700, 20)
        page.locator(".cell-box[data-signal=f]").click()  # its value for one unit, and its gradient
        expect(page.locator(".opened")).to_contain_text("forget gate")
        page.get_by_role("button", name="gradient", exact=True).click()
        expect(page.locator(".figure-range")).to_contain_text("∂L/∂f")


@pytest.mark.parametrize(("model", "signals"), [("small-lstm", "figoch"), ("small-gru", "rznh")])
def test_each_signal_says_what_it_is_for_and_what_it_comes_to(browser, address, model, signals):
    with opened(browser, f"{address}/?model={model}&text=To be&t=2") as page:
        said = {}
        for signal in signals:
            page.locator(f".chips [data-signal={signal}]").hover()
            said[signal] = card(page)
            value = page.evaluate(f"gatescope.stage.timeline.valueAt(0, '{signal}', 2, gatescope.stage.state.unit)")
            written = f"{round(100 * value)}%" if signal in "fiorz" else f"{abs(value):.2f}"
            assert f"At step 3 unit {state(page)['unit']} is at" in said[signal] and written in said[signal]
        assert len({words.split(" At step")[0] for words in said.values()}) == len(signals)
        page.keyboard.press("ArrowRight")
        assert "At step 4" in card(page)
        page.keyboard.press("Escape")
        expect(page.locator("#explained")).to_be_hidden()


def test_guesses_input_loss_and_units_explain_themselves_and_an_arrow_says_its_norm(browser, address):
    with opened(browser, address + PAUSED) as page:
        page.locator(".unfold .figure-label.is-guesses").hover()
        assert "What the network expects next" in card(page)
        page.locator("#sentence [data-explain=loss]").hover()
        assert "in nats" in card(page)
        page.locator("#sentence [data-explain=unit]").hover()
        assert "Nobody" in card(page) or "nobody" in card(page)
        page.keyboard.press("End")
        box = page.locator("#track-unfold").bounding_box()
        page.mouse.move(box["x"] + page.evaluate("gatescope.stage.axis.x(5)"), box["y"] + 90)
        expect(page.locator(".unfold .figure-card")).to_contain_text("How much the loss would change")


def test_a_gate_is_explained_and_opened_by_keyboard_alone(browser, address):
    with opened(browser, address + PAUSED) as page:
        page.evaluate("document.querySelector('#tab-cell').focus()")
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.dataset?.signal") == "i":
                break
        focused = page.evaluate("({ ...document.activeElement.dataset })")
        assert focused["signal"] == "i" and page.evaluate("document.activeElement.role") == "button"
        assert page.evaluate("document.activeElement.getAttribute('aria-describedby')") == "explained"
        assert "lets into its long-term memory" in card(page)
        page.keyboard.press("Enter")
        expect(page.locator(".opened")).to_contain_text("input gate")
        assert page.evaluate("document.querySelector('.cell-drawing svg').closest('[aria-hidden=true]')") is None


def test_a_frame_explains_too(browser, address):
    with opened(browser, f"{address}/embed/unfold?model=small-gru&text=To be&t=1") as page:
        page.locator(".figure-label", has_text="reset").first.hover()
        assert "looks at when it thinks of something new" in card(page)


def test_a_cell_that_says_nothing_is_explained_by_its_graph():
    for cell in cells().values():
        bare = type("Bare", (cell,), {"purposes": {}, "__doc__": cell.__doc__})
        said = {signal["id"]: signal["purpose"] for signal in describe(bare)["signals"]}
        assert set(said.values()) <= set(PURPOSES.values())
    lstm = {
        signal["id"]: signal["purpose"]
        for signal in describe(type("Bare", (cells()["lstm"],), {"purposes": {}}))["signals"]
    }
    assert (lstm["f"], lstm["g"], lstm["c"], lstm["h"]) == tuple(
        PURPOSES[k] for k in ("gate", "candidate", "road", "state")
    )


def test_the_colours_are_listed_and_names_are_the_textbooks_or_the_course_s(browser, address):
    with opened(browser, address + PAUSED) as page:
        page.mouse.click(700, 20)
        page.get_by_role("button", name="Colours", exact=True).click()
        fold = page.locator("#colours")
        for signal in page.evaluate("gatescope.stage.description.signals"):
            expect(fold).to_contain_text(signal["title"])
        expect(fold).to_contain_text("the gradient")
        page.get_by_role("button", name="the course’s names").click()
        expect(page.locator(".unfold .figure-labels")).to_contain_text("use")
        expect(fold).to_contain_text("learn gate (ignore)")
        until_in_address(page, names="course")
        copied = page.url
        page.get_by_role("button", name="the textbooks’ names").click()
        expect(page.locator(".unfold .figure-labels")).to_contain_text("output")
        until_in_address(page, names=None)
    with opened(browser, copied) as page:
        expect(page.locator(".unfold .figure-labels")).to_contain_text("use")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("model", ["small-lstm", "small-gru"])
def test_gradient_rightness_and_gates_have_colours_of_their_own(browser, address, theme, model):
    with opened(browser, f"{address}/?model={model}&text=To be&t=0&theme={theme}") as page:
        drawn(page)
        found = {name: np.array(rgb) for name, rgb in page.evaluate(COLOURS).items()}
        near = [
            (one, other)
            for one, other in itertools.combinations(found, 2)
            if {one, other} & {"gradient", "right"} and np.linalg.norm(found[one] - found[other]) < 60
        ]
        assert near == [], json.dumps({name: rgb.tolist() for name, rgb in found.items()})


def test_forced_colours_leave_the_data_theirs(browser, address):
    with opened(browser, address + PAUSED, forced_colors="active") as page:
        until(page, "stage.timeline.done")
        drawn(page)
        rgb = page.evaluate(COLOURS)
        assert len({tuple(each) for each in rgb.values()}) == len(rgb)
        fills = (
            "new Set([...document.querySelectorAll('.cell-box rect')].map(rect => getComputedStyle(rect).fill)).size"
        )
        assert page.evaluate(fills) > 8
        becomes(page, "getComputedStyle(document.querySelector('.tiles span')).forcedColorAdjust", "none")
