"""What hands do on the bench: Enter, Esc, Back, sliders by their keys, reaching for a button; and keys in a deck."""

import pytest
from playwright.sync_api import Page, expect

from gatescope.models.pretrained import load_pretrained, shipped
from tests.browser import PAUSED, TEXT, in_address, opened, state, until, until_in_address, waited
from tests.browser.test_events import deck

KINDS = {"safetensors": "tensors", "JSON": "lists"}


def choose(page: Page, network: str) -> None:
    """Chooses a network in the list, and waits for its picture."""
    page.get_by_label("Network", exact=True).select_option(network)
    until(page, f"stage.timeline.model === '{network}' && stage.timeline.done")


@pytest.mark.parametrize("network", sorted(shipped()))
def test_every_network_opens_with_something_to_see(browser, address, network):
    with opened(browser, f"{address}/?model={network}") as page:
        until(page, "stage.timeline.done")
        steps, loss = page.evaluate("[gatescope.stage.timeline.steps, gatescope.stage.timeline.summary.loss]")
        assert steps >= 8 and loss > 1e-5
        norms = page.evaluate("[...gatescope.stage.timeline.gradientNorm(gatescope.stage.firstLayer, 'h')]")
        assert sum(norm > 0 for norm in norms) > 0.9 * (steps - 1)
        expect(page.get_by_role("button", name="its example")).to_be_hidden()


def test_on_the_first_picture_the_gradient_fades_along_short_term_memory_and_lasts_on_the_road(browser, address):
    with opened(browser, address) as page:
        until(page, "stage.timeline.done")
        short, road = (
            page.evaluate(f"[...gatescope.stage.timeline.gradientNorm(0, '{state}')]") for state in ("h", "c")
        )
        assert short[0] < 0.1 * max(short)
        assert road[0] / max(road) > 2 * short[0] / max(short)


def test_a_network_takes_along_what_says_something_to_it_and_else_opens_its_example(browser, address):
    with opened(browser, f"{address}/?model=shakespeare-lstm&text=To sleep, perchance to dream&t=0") as page:
        choose(page, "shakespeare-gru")
        assert state(page)["text"] == "To sleep, perchance to dream"
        choose(page, "reber-lstm")
        assert (state(page)["text"], state(page)["loss"]) == ("BPBTXSEP", "last")
        choose(page, "adding-lstm")
        assert state(page)["target"] == load_pretrained("adding-lstm").task.example_target
        choose(page, "gestures")
        assert page.evaluate("gatescope.stage.timeline.steps") == 32
        choose(page, "shakespeare-elman")
        assert state(page)["text"] == "To sleep, perchance to dream"
        assert page.locator("optgroup").count() >= 5


def test_back_goes_back_to_what_was_read(browser, address):
    with opened(browser, address + PAUSED) as page:
        page.mouse.click(700, 20)  # an untouched page leaves its address alone
        choose(page, "small-gru")
        until_in_address(page, model="small-gru")
        field = page.get_by_label("Text to read")
        field.click()
        field.fill("not")
        until(page, "stage.state.text === 'not'")
        field.fill("not to be")
        until(page, "stage.state.text === 'not to be' && stage.timeline.done")
        until_in_address(page, text="not to be")
        page.go_back()
        until(page, f"stage.state.text === '{TEXT}' && stage.timeline.model === 'small-gru'")
        page.go_back()
        until(page, f"stage.timeline.model === 'small-lstm' && stage.state.text === '{TEXT}'")
        page.go_forward()
        until(page, "stage.timeline.model === 'small-gru' && stage.timeline.done")
        until_in_address(page, model="small-gru")
        page.go_forward()
        until(page, "stage.state.text === 'not to be'")
        assert in_address(page)["text"] == "not to be"


def test_enter_reads_and_with_shift_it_is_a_line_end(browser, address):
    with opened(browser, address + PAUSED) as page:
        field = page.get_by_label("Text to read")
        field.click()
        field.press("End")
        field.press_sequentially("!")
        field.press("Enter")
        until(page, f"stage.state.text === '{TEXT}!'")
        expect(field).not_to_be_focused()
        field.click()
        field.press("End")
        field.press("Shift+Enter")
        until(page, f"stage.state.text === '{TEXT}!\\n'")


def test_esc_closes_what_is_open_and_lets_go_of_what_is_held_afterwards(browser, address):
    with opened(browser, address + PAUSED + "&clamp=0.h.1.0.5.0.end") as page:
        until(page, "stage.state.clamp.length === 1")
        for name in ("Open", "Share", "Keys"):
            button = page.get_by_role("button", name=name, exact=True)
            button.click()
            expect(button).to_have_attribute("aria-expanded", "true")
            page.keyboard.press("Escape")
            expect(button).to_have_attribute("aria-expanded", "false")
            expect(button).to_be_focused()
            assert len(state(page)["clamp"]) == 1
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("Escape")
        until(page, "stage.state.clamp.length === 0")


def test_the_numbers_of_the_picture_are_a_button_away(browser, address, client):
    with opened(browser, address + PAUSED + "&loss=last") as page:
        page.get_by_role("button", name="Share", exact=True).click()
        for kind in ("safetensors", "JSON"):
            page.get_by_label("Copy", exact=True).select_option(label=f"all its numbers, as {KINDS[kind]} ({kind})")
            link = page.get_by_label("What to copy").input_value()
            assert "loss=last" in link and "unit=" not in link
            assert client.get(link.removeprefix(address)).status_code == 200
            with page.expect_download() as download:
                page.get_by_role("link", name="Download").click()
            assert download.value.path().stat().st_size > 10_000
        page.get_by_label("Copy", exact=True).select_option("")
        expect(page.get_by_role("link", name="Download")).to_be_hidden()
    with opened(browser, address + PAUSED + "&clamp=0.h.1.0.5.0.end") as page:
        page.get_by_role("button", name="Share", exact=True).click()
        page.get_by_label("Copy", exact=True).select_option("/api/trace.json")
        expect(page.locator("#share")).to_contain_text("Something is held")
        expect(page.get_by_role("link", name="Download")).to_be_hidden()


def test_a_slider_moves_by_its_keys_and_the_cursor_stays(browser, address):
    with opened(browser, address + PAUSED + "&clamp=0.h.1.0.5.0.end") as page:
        until(page, "stage.state.clamp.length === 1 && stage.timeline.done")
        slider = page.get_by_label("Value it is held at", exact=True)
        slider.focus()
        for _ in range(10):
            page.keyboard.press("ArrowRight")
        until(page, "Math.abs(stage.state.clamp[0].value - 0.6) < 1e-9")
        assert state(page)["t"] == 0
        page.get_by_label("Position in the two passes").focus()
        page.keyboard.press("ArrowRight")
        assert state(page)["t"] == 1


def test_reaching_for_a_button_leaves_the_picture_where_it_is(browser, address):
    with opened(browser, address + PAUSED) as page:
        for bar in page.locator(".figure-bar").all():
            box = bar.bounding_box()
            for share in (0.1, 0.5, 0.9):
                page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
                assert page.evaluate("gatescope.stage.position.t") == 0


def test_what_is_held_is_not_called_a_sum(browser, address):
    with opened(browser, address + PAUSED + "&signal=f&unit=1&layer=0&clamp=0.f.1.0.0.3.end") as page:
        until(page, "stage.state.clamp.length === 1 && stage.timeline.done && stage.arithmetic")
        last = page.locator(".opened-symbol.is-result")
        expect(last).to_have_text("σ(sum)")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        expect(last).to_have_text("held at")


def test_a_frame_in_a_deck_steps_by_itself_and_hands_on_the_deck_s_keys(browser, address, tmp_path):
    frame = f'<iframe src="{address}/embed/unfold?model=small-lstm&text=To%20be&t=0" width="640" height="360"></iframe>'
    listening = "<script>said = []; addEventListener('message', ({ data }) => said.push(JSON.parse(data)));</script>"
    with deck(tmp_path, frame + listening) as outside, browser.new_context() as context:
        page = context.new_page()
        page.goto(outside)
        inner = page.frames[1]
        assert waited(inner, "window.gatescope?.stage.last.drawn > 0")
        page.mouse.click(320, 150)
        begun = inner.evaluate("gatescope.stage.clock.s")
        page.keyboard.press("ArrowRight")
        assert inner.evaluate("gatescope.stage.clock.s") == begun + 1
        for key, code in (("PageDown", 34), ("Escape", 27), ("n", 78)):
            page.keyboard.press(key)
            page.wait_for_function(f"said.some(({{ method, args }}) => method === 'triggerKey' && args[0] === {code})")
        assert page.evaluate("said.length") == 3


def test_a_figure_begins_when_it_is_seen(browser, address, tmp_path):
    frame = f'<iframe src="{address}/embed/unfold?model=small-lstm&text=To%20be&speed=50" width="640" height="360">'
    with deck(tmp_path, f'<div style="height:3000px"></div>{frame}</iframe>') as outside:
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(outside)
            inner = page.frames[1]
            assert waited(inner, "window.gatescope?.stage.last.drawn > 0")
            page.wait_for_timeout(300)
            assert inner.evaluate("gatescope.stage.clock.s") == 0
            page.evaluate("scrollTo(0, 3000)")
            assert waited(inner, "gatescope.stage.clock.s > 1")


def test_writing_is_offered_where_it_can_write(browser, address):
    with opened(browser, f"{address}/?model=shakespeare-lstm&text=To be&t=0") as page:
        tab = page.get_by_role("tab", name="Write")
        tab.click()
        choose(page, "forest")
        expect(tab).to_be_hidden()
        expect(page.get_by_role("tab", name="Cell")).to_have_attribute("aria-selected", "true")
        choose(page, "shakespeare-gru")
        expect(tab).to_be_visible()


def test_space_plays_after_something_was_clicked_and_presses_what_was_reached_by_keys(browser, address):
    with opened(browser, address + PAUSED) as page:
        page.locator(".chips [data-signal=i]").click()
        page.keyboard.press(" ")
        assert state(page)["playing"] and state(page)["signal"] == "i"
        page.keyboard.press(" ")
        assert not state(page)["playing"]
        page.keyboard.press("Tab")
        reached = page.evaluate("document.activeElement.dataset.signal")
        page.keyboard.press(" ")
        until(page, f"stage.state.signal === '{reached}'")
        assert not state(page)["playing"] and reached != "i"


def test_a_unit_that_there_is_not_is_not_taken_for_another(browser, address):
    with opened(browser, address + PAUSED + "&unit=3") as page:
        page.get_by_label("Unit", exact=True).fill("500")
        assert not page.get_by_label("Unit", exact=True).evaluate("field => field.checkValidity()")
        assert state(page)["unit"] == 3


def test_of_one_character_no_gradient_is_called_verified(browser, address):
    with opened(browser, f"{address}/?model=small-lstm&text=T&t=0") as page:
        page.wait_for_timeout(1500)  # longer than the rest before it is asked
        expect(page.locator(".cell-verified")).to_be_empty()
