"""The pages in a real Chromium over a real server: what people do with them, and not one error on the console."""

import pytest
from playwright.sync_api import expect

from gatescope.app.pages.pages import views
from tests.browser import BENCH, PAUSED, TEXT, becomes, drawn, opened, state, until, until_in_address


def test_the_first_picture_needs_no_request_and_moves_until_touched(browser, address):
    with opened(browser, address + BENCH) as page:
        asked = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
        assert not [url for url in asked if "/api/trace" in url]
        until(page, "stage.clock.s > 1")
        assert page.url.endswith("be")  # an untouched page leaves its address alone
        page.mouse.click(700, 20)
        stopped = state(page)
        page.wait_for_timeout(300)  # longer than one step of the clock
        assert state(page)["s"] == stopped["s"] and not state(page)["playing"]


def test_less_motion_means_standing_still(browser, address):
    with opened(browser, address + BENCH, reduced_motion="reduce") as page:
        page.wait_for_timeout(300)  # longer than one step of the clock
        assert state(page)["s"] == 0 and not state(page)["playing"]


def test_typing_reads_the_new_text(browser, address):
    with opened(browser, address + PAUSED) as page:
        field = page.get_by_label("Text to read")
        field.click()
        field.press("End")
        field.press_sequentially(": that")
        until(page, f"stage.timeline.steps === {len(TEXT) + 6} && stage.timeline.done")
        assert state(page)["text"] == TEXT + ": that"
        expect(page.locator("#track-text .tiles span:not([hidden])")).to_have_count(len(TEXT) + 6)
        until_in_address(page, text=TEXT + ": that")


FITS = "(({ scrollWidth, scrollHeight }) => scrollWidth <= innerWidth && scrollHeight <= innerHeight)"
FITS += "(document.documentElement)"
LABELS = "[...document.querySelectorAll('[role=img]')].map(figure => figure.ariaLabel)"
UNCOVERED = """(line) => {
  const { left, width, top, bottom } = line.getBoundingClientRect(), across = (top + bottom) / 2;
  return [0.1, 0.4, 0.9].every((part) => line.contains(document.elementFromPoint(left + part * width, across)));
}"""


def test_what_the_network_never_saw_is_left_out_and_said_and_nothing_else_leaves_the_picture(browser, address):
    with opened(browser, address + PAUSED, refusals=1) as page:
        field, notice = page.get_by_label("Text to read"), page.locator("#sentence .notice")
        field.fill("né nô")
        expect(notice).to_contain_text("never saw it: “é”, “ô”")
        assert state(page)["text"] == "n n"
        field.fill("éô")
        expect(notice).to_contain_text("still shows the last text")
        assert notice.evaluate(UNCOVERED), "the open field hides what is wrong"
        page.set_viewport_size({"width": 390, "height": 844})
        assert notice.evaluate(UNCOVERED) and 0 <= field.bounding_box()["x"] <= 390 - field.bounding_box()["width"]
        assert state(page)["text"] == "n n"
        field.fill("")
        expect(notice).to_contain_text("empty")
        field.fill("no")
        until(page, "stage.state.text === 'no'")
        expect(notice).to_be_hidden()


def test_a_wrong_address_says_so_and_shows_the_example(browser, address):
    with opened(browser, f"{address}/?model=none&t=-3") as page:
        expect(page.locator("#sentence .notice")).not_to_be_empty()
        assert state(page)["steps"] > 1


def test_play_pause_step_and_keys(browser, address):
    with opened(browser, address + PAUSED + "&speed=50") as page:
        page.get_by_role("button", name="Play").click()
        until(page, "stage.clock.s > 3")
        page.get_by_role("button", name="Pause").click()
        at = state(page)["s"]
        page.get_by_role("button", name="One step back").click()
        assert state(page)["s"] == at - 1
        page.get_by_role("button", name="One step on").click()
        assert state(page)["s"] == at
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("End")
        assert (state(page)["pass"], state(page)["t"]) == ("backward", 0)
        page.keyboard.press("ArrowLeft")
        assert (state(page)["pass"], state(page)["t"]) == ("backward", 1)
        page.keyboard.press("Home")
        assert (state(page)["pass"], state(page)["t"]) == ("forward", 0)
        page.keyboard.press(" ")
        assert state(page)["playing"]
        page.keyboard.press(" ")
        assert not state(page)["playing"]


def test_pointing_previews_and_a_click_stays(browser, address):
    with opened(browser, address + PAUSED) as page:
        track = page.locator("#track-text").bounding_box()
        x = page.evaluate("gatescope.stage.axis.x(5)")
        page.mouse.move(track["x"] + x, track["y"] + 15)
        until(page, "stage.position.t === 5 && stage.clock.position.t === 0")
        page.mouse.move(track["x"] + x, 20)
        until(page, "stage.position.t === 0")
        page.mouse.click(track["x"] + x, track["y"] + 15)
        assert state(page)["t"] == 5


@pytest.mark.parametrize("cell", ["elman", "gru", "peephole"])
def test_every_network_is_one_choice_away(browser, address, cell):
    with opened(browser, address + PAUSED) as page:
        page.get_by_label("Network", exact=True).select_option(f"small-{cell}")
        until(page, f"stage.timeline.cell.id === '{cell}' && stage.timeline.done")
        signals = [signal["id"] for signal in page.evaluate("gatescope.stage.description.signals")]
        assert state(page)["signal"] in signals and state(page)["text"] == TEXT


def test_a_copied_address_shows_the_same_picture(browser, address):
    with opened(browser, address + PAUSED) as page:
        page.get_by_label("Network", exact=True).select_option("small-gru")
        until(page, "stage.timeline.model === 'small-gru'")
        page.get_by_label("Layer", exact=True).select_option(label="layer 2")
        page.get_by_label("Unit", exact=True).fill("3")
        page.get_by_label("Signal", exact=True).select_option(index=1)
        page.get_by_label("Where the loss is taken").select_option("last")
        until(page, "stage.state.loss === 'last'")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("End")
        page.keyboard.press("ArrowLeft")
        chosen = state(page)
        until_in_address(page, layer="1", unit="3", loss="last", **{"pass": "backward", "t": str(chosen["t"])})
        copied = page.url
        drawn(page)
        figures = page.evaluate(LABELS)
        assert (chosen["layer"], chosen["unit"], chosen["loss"], chosen["pass"]) == (1, 3, "last", "backward")
    with opened(browser, copied) as page:
        assert state(page) == chosen
        becomes(page, LABELS, figures)


def test_the_network_writes_and_the_bench_reads_it(browser, address):
    with opened(browser, address + PAUSED) as page:
        page.get_by_role("tab", name="Write").click()
        written = []
        for _ in range(2):
            page.get_by_label("characters", exact=True).fill("12")
            page.get_by_role("button", name="Write", exact=True).click()
            expect(page.get_by_role("button", name="Read on the bench")).to_be_enabled()
            written.append(page.locator(".written").text_content())
        assert written[0] == written[1] and len(written[0]) == len(TEXT) + 12
        page.get_by_role("button", name="Read on the bench").click()
        until(page, f"stage.timeline.steps === {len(TEXT) + 12}")
        page.get_by_label("characters", exact=True).fill("2000")
        page.get_by_role("button", name="Write", exact=True).click()
        expect(page.locator(".written [data-k='3']")).to_be_visible()
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_role("button", name="Write", exact=True)).to_be_enabled()
        length = len(page.locator(".written").text_content())
        page.wait_for_timeout(200)
        assert len(page.locator(".written").text_content()) == length < 2000


@pytest.mark.parametrize("view", views())
def test_every_view_stands_alone(browser, address, view):
    query = f"?model=small-lstm&text={TEXT}&t=4&pass=backward&layer=1&unit=2"
    small, large = {"width": 320, "height": 180}, {"width": 1280, "height": 720}
    with opened(browser, f"{address}/embed/{view}{query}", viewport=small) as page:
        for size in (small, large):
            page.set_viewport_size(size)
            drawn(page)
            expect(page.locator("#view > *").first).to_be_visible()
            becomes(page, FITS, True)
        assert state(page)["t"] == 4


def test_a_view_can_stand_bare(browser, address):
    with opened(browser, f"{address}/embed/gates?model=small-gru&text={TEXT}&hide=transport&theme=dark") as page:
        assert page.locator(".transport").count() == 0
        assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_one_screen_wide_and_one_column_narrow(browser, address, scheme):
    with opened(browser, address + BENCH, color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        lefts = "[...document.querySelectorAll('.track')].map(track => track.getBoundingClientRect().left)"
        assert len(set(page.evaluate(lefts))) == 1
    with opened(browser, address + BENCH, color_scheme=scheme, viewport={"width": 390, "height": 844}) as page:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_step_moves_every_view_without_building_one_anew(browser, address):
    with opened(browser, address + PAUSED) as page:
        page.evaluate("""() => { const { stage } = gatescope; stage.rebuilt = 0;
            for (const { handle } of stage.views) {
              const { draw } = handle;
              handle.draw = () => { stage.rebuilt += 1; draw(); };
            } }""")
        measured = page.evaluate("gatescope.measureSteps(100)")
        assert measured["views"] == 5 and 0 <= measured["median"] <= measured["p95"]
        page.keyboard.press(" ")
        until(page, "stage.clock.s > 3")
        assert page.evaluate("gatescope.stage.rebuilt") == 0


def test_the_gradients_are_verified_once_the_page_rests(browser, address):
    with opened(browser, address + PAUSED + "&play=1") as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url) if "/api/verification" in request.url else None)
        page.wait_for_timeout(900)  # longer than the rest before it is asked
        assert asked == []
        page.get_by_role("button", name="Pause").click()
        expect(page.locator(".cell-verified")).to_contain_text("verified against finite differences")
        page.get_by_label("Text to read").fill("not so")
        until(page, "stage.state.text === 'not so'")
        expect(page.locator(".cell-verified")).to_be_empty()
        expect(page.locator(".cell-verified")).to_contain_text("verified against finite differences")
        assert len(asked) == 2


@pytest.mark.parametrize("answer", [{"verified": False, "relative_error": 0.25}, None])
def test_gradients_that_are_not_verified_are_not_called_so(browser, address, answer):
    with browser.new_context() as context:
        page = context.new_page()
        page.route("**/api/verification*", lambda route: route.fulfill(json=answer) if answer else route.abort())
        with page.expect_request("**/api/verification*"):
            page.goto(address + PAUSED)
        line = page.locator(".cell-verified")
        expect(line).to_contain_text("do not trust them") if answer else expect(line).to_be_empty()


def test_a_gradient_is_followed_to_where_half_precision_ends(browser, address):
    with opened(browser, f"{address}/?model=small-elman&text={TEXT * 2}&loss=last&t=0") as page:
        norms = page.evaluate("[...gatescope.stage.timeline.gradientNorm(0, gatescope.stage.description.states[0])]")
        assert 0 < norms[0] < 1e-7


def test_the_network_folds_into_one_cell_and_unfolds_again(browser, address):
    with opened(browser, address + BENCH + "&speed=50") as page:
        cell, flat = page.locator(".unfold-folded"), page.locator(".unfold-forward")
        page.keyboard.press("f")
        expect(cell).to_contain_text("same weights at every step")
        expect(page.locator(".unfold-deck")).to_have_count(0)
        expect(flat).to_be_hidden()
        until(page, "stage.clock.playing && stage.clock.s > 20")
        page.keyboard.press(" ")
        until(page, "new URLSearchParams(location.search).get('fold') === '1'")
        copied = page.url
        page.get_by_role("button", name="Fold the network").click()
        expect(page.locator(".unfold-deck")).to_have_count(0)
        expect(flat).to_be_visible()
        expect(cell).to_be_hidden()
    with opened(browser, copied, reduced_motion="reduce") as page:
        expect(page.locator(".unfold-folded canvas")).to_be_visible()
        page.keyboard.press("F")
        assert page.locator(".unfold-deck").count() == 0
        expect(page.locator(".unfold-forward")).to_be_visible()
