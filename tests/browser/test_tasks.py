"""Networks of every form on the bench in a real Chromium: drawn without a complaint, with the API's own numbers."""

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser import drawn, file, opened, pick, shown, state, until, until_in_address
from tests.tasks import KINDS, WORDS

TASKS = ["both-ways", "words", "values", "classes", "one-to-many", "projected"]
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


def traced(page, client, task: str) -> dict:
    """What the API says of what the page shows."""
    wanted = page.evaluate("({ ...gatescope.stage.reader.request, loss: gatescope.stage.state.loss })")
    return client.post("/api/trace.json", json=wanted).json() | {"asked": wanted}


@pytest.mark.parametrize("task", TASKS)
def test_every_form_is_drawn_with_the_numbers_of_the_api(browser, address, client, task):
    with opened(browser, f"{address}/?model=small-{task}&t=0", viewport=WIDE) as page:
        until(page, "stage.timeline.done")
        there = traced(page, client, task)
        layer_specs = there["metadata"]["parts"]
        assert [spec["name"] for spec in layer_specs] == page.evaluate(
            "gatescope.stage.timeline.layers.map(layer => layer.name)"
        )
        for layer, spec in enumerate(layer_specs):
            for signal in page.evaluate(f"gatescope.stage.timeline.layers[{layer}].cell.signals.map(each => each.id)"):
                expected = np.array(there["tensors"][f"{spec['name']}.{signal}"])
                assert page.evaluate(f"gatescope.stage.timeline.width({layer}, '{signal}')") == expected.shape[1]
                values = shown(page, f"values({layer}, '{signal}')").reshape(expected.shape)
                np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-4)
                if (name := f"grad.{spec['name']}.{signal}") in there["tensors"]:
                    sizes = np.linalg.norm(there["tensors"][name], axis=1)
                    np.testing.assert_allclose(shown(page, f"gradientNorm({layer}, '{signal}')"), sizes, rtol=1e-3)
        outputs = page.evaluate("gatescope.stage.timeline.outputs")
        if outputs:
            np.testing.assert_allclose(outputs, there["tensors"]["logits"], rtol=2e-3, atol=1e-4)
        for key in ("ArrowRight", "ArrowRight", "End", "ArrowLeft", "Home", "f", "ArrowRight", "f"):
            page.keyboard.press(key)
        assert state(page)["t"] == 1
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        count = page.locator("#track-text .tiles span:not([hidden])").count()
        assert count == min(state(page)["steps"], page.evaluate("gatescope.stage.axis.count"))


@pytest.mark.parametrize("task", TASKS)
def test_every_form_fits_a_narrow_window(browser, address, task):
    with opened(browser, f"{address}/?model=small-{task}", viewport=NARROW) as page:
        for scheme, key in (("light", "Home"), ("dark", "End")):
            page.emulate_media(color_scheme=scheme)
            page.keyboard.press(key)
            drawn(page)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("task", TASKS)
def test_a_unit_is_held_and_a_downloaded_trace_opens_in_every_form(browser, address, client, task):
    with opened(browser, f"{address}/?model=small-{task}&t=0&layer=0&signal=h", viewport=WIDE) as page:
        until(page, "stage.timeline.done")
        page.get_by_role("button", name="Hold it").click()
        until(page, "stage.untouched && stage.timeline.done")
        page.get_by_label("Value it is held at, as a number").fill("0.75")
        until(page, "stage.state.clamp[0]?.value === 0.75 && stage.timeline.done")
        unit, width = page.evaluate("[gatescope.stage.state.unit, gatescope.stage.timeline.width(0, 'h')]")
        held = shown(page, "values(0, 'h')")
        assert (held.reshape(-1, width)[:, unit] == 0.75).all()
        expect(page.locator(".effect")).to_contain_text("changed")
        counted = "[stage.timeline.steps, stage.timeline.top.length, stage.timeline.outputs.length]"
        is_regression = page.evaluate(f"(({{ stage }}) => {counted})(gatescope)")
        asked = page.evaluate("gatescope.stage.reader.request")
        pick(page, file(client.post("/api/trace.safetensors", json=asked).content))
        until(page, "stage.state.trace === 'file'")
        np.testing.assert_allclose(shown(page, "values(0, 'h')"), held, rtol=1e-3, atol=1e-4)
        assert page.evaluate(f"(({{ stage }}) => {counted})(gatescope)") == is_regression
        for key in ("End", "ArrowLeft", "f"):
            page.keyboard.press(key)


def test_a_layer_that_reads_from_the_end_is_chosen_and_drawn_the_other_way(browser, address):
    with opened(browser, f"{address}/?model=small-both-ways&text=to be&t=1", viewport=WIDE) as page:
        page.get_by_label("Layer", exact=True).select_option(label="layer 1 ←")
        until(page, "stage.arithmetic?.layer === 1")
        assert state(page)["layer"] == 1
        expect(page.locator("#panel-cell")).to_contain_text("t+1")
        # what is added up gives the gate, so the sums are this direction's
        sums = page.evaluate(
            "gatescope.stage.arithmetic.terms[gatescope.stage.state.signal].map(({ values }) => values)"
        )
        unit, signal = page.evaluate("gatescope.stage.state.unit"), page.evaluate("gatescope.stage.state.signal")
        gate = shown(page, f"values(1, '{signal}')").reshape(5, 8)[:, unit]
        np.testing.assert_allclose(1 / (1 + np.exp(-np.sum(sums, axis=0))), gate, rtol=1e-3)
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("End")
        expect(page.locator("#track-gradients")).to_contain_text("from the first step to the last")


def test_words_are_read_and_written(browser, address):
    with opened(browser, f"{address}/?model=small-words&text=the wolf sleeps extraordinarily&t=0") as page:
        tiles = page.locator("#track-text .tiles span:not([hidden])")
        expect(tiles).to_have_text(["the", "wolf", "sleeps", "extraordinarily"])
        assert tiles.nth(3).get_attribute("title") == "extraordinarily"
        page.get_by_label("Text to read").fill("a dog runs")
        until(page, "stage.timeline.steps === 3 && stage.timeline.done")
        page.get_by_role("tab", name="Write").click()
        page.get_by_label("characters", exact=True).fill("4")
        page.get_by_role("button", name="Write", exact=True).click()
        expect(page.get_by_role("button", name="Read on the bench")).to_be_enabled()
        written = page.locator(".written").text_content().split(" ")
        assert written[:3] == ["a", "dog", "runs"] and len(written) == 7 and set(written) <= set(WORDS)
        page.get_by_role("button", name="Read on the bench").click()
        until(page, "stage.timeline.steps === 7")


def test_numbers_are_typed_pasted_and_refused(browser, address):
    with opened(browser, f"{address}/?model=small-values&t=0", refusals=0) as page:
        assert page.locator("#track-text svg polyline").count() == 2
        field, notice = page.get_by_label("Text to read"), page.locator("#sentence .notice")
        field.click()
        field.fill("0.5, 0.25 -1e-1\n3")
        until(page, "stage.timeline.steps === 4 && stage.timeline.done")
        assert page.evaluate("gatescope.stage.timeline.inputValues") == [[0.5], [0.25], [-0.1], [3]]
        field.fill("0.5; many")
        expect(notice).to_contain_text("one number a step")
        field.fill("1;2")
        until(page, "stage.timeline.steps === 2 && stage.timeline.done")
        until_in_address(page, values="1;2", text=None)
        copied = page.url
        expect(page.get_by_role("tab", name="Write")).to_be_hidden()
    with opened(browser, copied) as page:
        until(page, "stage.timeline.done")
        assert page.evaluate("gatescope.stage.timeline.inputValues") == [[1], [2]]


def test_a_frame_that_cannot_write_says_why(browser, address):
    with opened(browser, f"{address}/embed/generate?model=small-values&play=0") as page:
        page.get_by_role("button", name="Write", exact=True).click()
        expect(page.locator(".generate .notice")).to_contain_text("gives numbers")


def test_a_class_is_asked_for(browser, address):
    with opened(browser, f"{address}/?model=small-classes&t=15") as page:
        assert page.evaluate("gatescope.stage.timeline.layers.map(layer => layer.title)") == ["convolution", "layer 1"]
        assert state(page)["layer"] == 1  # the network's own cell comes first to the eye
        until(page, "stage.timeline.targets?.length === 1")
        for target, name in enumerate(KINDS):
            page.get_by_role("combobox", name="What should come out").select_option(name)
            until(page, f"stage.timeline.targets?.[0] === {target} && stage.timeline.done")
            assert page.evaluate("gatescope.stage.task.wanted(15)") == target
        page.mouse.click(700, 20)
        until_in_address(page, target=KINDS[2])
        copied, loss = page.url, page.evaluate("gatescope.stage.timeline.summary.loss")
        page.get_by_label("Layer", exact=True).select_option(label="convolution")
        until(page, "stage.arithmetic?.layer === 0")
        expect(page.locator("#panel-cell")).to_contain_text("2 steps before")
    with opened(browser, copied) as page:
        until(page, "stage.timeline.done")
        assert page.evaluate("gatescope.stage.timeline.summary.loss") == pytest.approx(loss)


def test_one_input_and_what_should_follow(browser, address):
    with opened(browser, f"{address}/?model=small-one-to-many&t=1") as page:
        expect(page.locator("#track-text .tiles .nothing")).to_have_count(11)
        expect(page.locator("#track-gradients")).to_contain_text("without a target there is no loss")
        page.get_by_role("textbox", name="What should come out").fill("0.5,1; 0,1; 0.5,0")
        until(page, "stage.timeline.steps === 3 && stage.timeline.backwardFrom === 0")
        expect(page.locator("#track-text .came")).to_contain_text("wanted (0.500, 0)")
        expect(page.locator(".cell-verified")).to_contain_text("verified against finite differences")


def test_a_unit_that_a_signal_has_not_is_said_to_be_another(browser, address):
    with opened(browser, f"{address}/?model=small-projected&t=3&unit=7") as page:
        page.get_by_label("Signal", exact=True).select_option("h")
        assert state(page)["unit"] == 2
        expect(page.locator("#sentence .notice")).to_contain_text("h has 3 units in layer 1")
