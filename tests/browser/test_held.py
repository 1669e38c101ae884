"""A unit held at a value on the bench in a real Chromium: what changes, what is said of it, and letting go."""

import pytest
from playwright.sync_api import expect

from tests.browser import BENCH, TEXT, opened, shown, until, until_in_address
from tests.service import events_of


def test_a_held_unit_changes_the_guesses_and_letting_go_restores_them(browser, address, client):
    best = "gatescope.stage.timeline.top.map(guesses => guesses[0][0])"
    with opened(browser, address + BENCH + "&t=6&layer=1&unit=3") as page:
        before = page.evaluate(best)
        page.get_by_label("Signal", exact=True).select_option("h")
        page.get_by_role("button", name="Hold it").click()
        until(page, "stage.untouched && stage.timeline.done")
        page.get_by_label("What is held", exact=True).select_option("all")
        page.get_by_label("Value it is held at, as a number").fill("1")
        until(page, "stage.state.clamp[0]?.value === 1 && stage.state.clamp[0].units === 'all' && stage.timeline.done")
        held = page.evaluate(best)
        changed = [t for t, (now, then) in enumerate(zip(held, before, strict=True)) if now != then]
        assert changed and min(changed) >= 6
        assert (shown(page, "values(1, 'h')").reshape(-1, 8)[6:] == 1).all()
        intervention = {"layer": 1, "signal": "h", "units": "all", "value": 1, "from": 6}
        asked = {"model": "small-lstm", "text": TEXT, "interventions": [intervention]}
        loss = client.post("/api/trace.json", json=asked).json()["metadata"]["loss"]
        assert page.evaluate("gatescope.stage.timeline.summary.loss") == pytest.approx(loss)
        expect(page.locator(".effect")).to_contain_text(f"{len(changed)} of {len(TEXT)} guesses changed")
        expect(page.locator(".tiles .changed")).to_have_count(len(changed))
        until_in_address(page, clamp="1.h.all.1.6.end")
        copied = page.url
        page.get_by_role("button", name="Let go of what is held").click()
        until(page, "!stage.untouched && stage.timeline.done")
        assert page.evaluate(best) == before
        expect(page.locator(".held")).to_be_hidden()
        until_in_address(page, clamp=None)
    with opened(browser, copied) as page:
        until(page, "stage.untouched && stage.timeline.done")
        assert page.evaluate(best) == held
        page.get_by_role("tab", name="Write").click()
        page.get_by_label("characters", exact=True).fill("12")
        with page.expect_request("**/api/generate") as asked:
            page.get_by_role("button", name="Write", exact=True).click()
        assert asked.value.post_data_json["interventions"] == [intervention | {"to": None}]
        expect(page.get_by_role("button", name="Read on the bench")).to_be_enabled()
        plain = {name: value for name, value in asked.value.post_data_json.items() if name != "interventions"}
        alone = events_of(client.post("/api/generate", json=plain))[-1][1]["text"]
        expect(page.locator(".alone-too span")).to_have_text(alone[-12:])
        page.get_by_label("Network", exact=True).select_option("small-gru")
        until(page, "stage.timeline.cell.id === 'gru' && stage.timeline.done && stage.untouched")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("Escape")
        until(page, "!stage.untouched && stage.timeline.done && !stage.state.clamp.length")
