"""Text that somebody else wrote, full of controls, in every place where a page shows it: nothing is turned around."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
import torch
from playwright.sync_api import Page, expect
from safetensors.torch import save

from gatescope.app.settings import Settings
from gatescope.models.cells import cells
from gatescope.models.network.network import untrained
from gatescope.models.network.task import Task
from tests.browser import drawn, file, opened, pick, until, waited
from tests.browser.test_runs import until as comes_true
from tests.runs_over_http import QUICK, in_state, started
from tests.service import serve

TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"
UNSEEN = "\u0000\u0007\u001b\u0085\u00ad\u200b\u200c\u200d\u2028\u2029\u2060\ufeff"
HOSTILE = "x\u202eevil\u2066 \u05e9\u05dc\u05d5\u05dd\u200f\u061c\u200b <b>& 1"
MARKUP = "<img src=x onerror=alert(1)>\u202e</script>"
VOCABULARY = [*TURNING, *UNSEEN, *"\u05d0\u05d1\u0628 ", *"abc<&1"]
TEXT = "a\u202eb\u2067c\u05d0\u05d1 1\u200e\u200bc"
NUMBER = (-0.5, 0.25)
ID = "\u05e1\u05e4\u05e8 \u202ebook<b>"

# What of a page is raw: text of any element but scripts and fields, and every attribute, with its place.
RAW = r"""() => {
  const raw = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/;
  const found = [];
  const walk = document.createTreeWalker(document, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  while (walk.nextNode()) {
    const node = walk.currentNode;
    if (node.nodeType === Node.TEXT_NODE) {
      if (!node.parentElement.closest('script, style, textarea') && raw.test(node.data))
        found.push([node.parentElement.className || node.parentElement.tagName, JSON.stringify(node.data)]);
    } else for (const { name, value } of node.attributes)
      if (raw.test(value)) found.push([`${node.tagName} ${name}`, JSON.stringify(value)]);
  }
  return found;
}"""

# The page's own letters, which stand in the order in which they are written: [text, text] of neighbours that do not.
TURNED = r"""() => {
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let before = null;
  while (walk.nextNode()) {
    const node = walk.currentNode;
    const parent = node.parentElement;
    const others = 'bdi, .control, script, style, svg, option, .written, pre, .seen-start';
    if (!parent.checkVisibility() || parent.closest(others)) continue;
    const range = document.createRange();
    const block = parent.closest('p, div, h1, h2, h3, li') ?? document.body;
    for (let k = 0; k < node.data.length; k++) {
      if (!/[A-Za-z]/.test(node.data[k])) continue;
      range.setStart(node, k);
      range.setEnd(node, k + 1);
      const box = range.getBoundingClientRect();
      if (!box.width) continue;
      const here = { node, block, x: box.left, y: box.top };
      const same = before && before.block === block && (before.node === node || !block.closest('.track'));
      if (same && Math.abs(before.y - here.y) < 2 && here.x < before.x - 0.5)
        found.push([before.node.data, node.data]);
      before = here;
    }
  }
  return found;
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """A server whose networks were made by somebody who means harm."""
    folder = tmp_path_factory.mktemp("data")
    lstm, gru = cells()["lstm"], cells()["gru"]
    words = ["the", HOSTILE, "a\u202eb", "\u05e9\u05dc\u05d5\u05dd", MARKUP]
    labels = (HOSTILE, MARKUP, "\u202e")
    classes = Task("characters", "classes", "many-to-one", labels=labels)
    made = {
        ID: untrained(lstm, 2, 6, VOCABULARY, 4, title=HOSTILE),
        "words": untrained(gru, 1, 6, [word.replace(" ", "_") for word in words], 4, title=MARKUP, task=Task("words")),
        "classes": untrained(gru, 1, 6, VOCABULARY, 4, title=HOSTILE, task=classes, outputs=3),
    }
    for id, network in made.items():
        (folder / f"{id}.safetensors").write_bytes(network.to_bytes())
    with serve(Settings(data=folder)) as address:
        yield address


def is_in_order(page: Page) -> None:
    """Fails where a control is raw in the page, or the page's own words stand in another order than written."""
    drawn(page)
    assert page.evaluate(RAW) == []
    assert page.evaluate(TURNED) == []


def walked(page: Page) -> None:
    """Looks everywhere: at every step of both passes, under the pointer, at tabs and folds."""
    is_in_order(page)
    for key in ("Home", "ArrowRight", "ArrowRight", "End", "ArrowLeft"):
        page.keyboard.press(key)
        is_in_order(page)
    for track in page.locator(".track").all():
        box = track.bounding_box()
        for share in (0.3, 0.7):
            page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] * 0.6)
            is_in_order(page)


@pytest.mark.parametrize("model", [ID, "classes"])
def test_the_bench_is_not_turned_by_a_vocabulary_a_label_or_a_title(browser, address, model):
    url = f"{address}/?model={quote(model)}&text={quote(TEXT)}&t=0"
    with opened(browser, url) as page:
        until(page, "stage.timeline.done")
        assert page.evaluate("gatescope.stage.state.model") == model
        walked(page)
        tiles = page.locator("#track-text .tiles span:not([hidden])").all_text_contents()
        assert len(set(tiles)) == len(set(TEXT)) and "RLO" in tiles and "LRM" in tiles
        for name in ("Share", "Open", "Colours", "Keys", "First minute"):
            page.get_by_role("button", name=name, exact=True).click()
            is_in_order(page)
        page.evaluate("gatescope.stage.choose({ fold: '1' })")
        walked(page)
        tab = page.get_by_role("tab", name="Write")
        if model == "classes":
            expect(tab).to_be_hidden()  # it writes nothing
        else:
            tab.click()
            page.get_by_role("button", name="Write", exact=True).click()
            assert waited(page, "!document.querySelector('.generate .main').disabled")
            is_in_order(page)
        assert "model" in page.evaluate("document.querySelector('#share-link').value")


def test_words_stand_by_themselves(browser, address):
    with opened(browser, f"{address}/?model=words&t=0") as page:
        until(page, "stage.timeline.done")
        walked(page)


def test_every_view_alone_shows_symbols(browser, address):
    for view in ("unfold", "text", "gates", "gradients", "cell", "generate"):
        url = f"{address}/embed/{view}?model={quote(ID)}&text={quote(TEXT)}&t=3"
        with opened(browser, url, viewport={"width": 640, "height": 360}) as page:
            until(page, "stage.timeline.done")
            is_in_order(page)


def hostile_cell() -> dict:
    """A cell's description in which every text that may be anything is hostile."""
    signals = [{"id": "g", "role": "gate", "title": HOSTILE, "equation": MARKUP + HOSTILE, "range": [0, 1]}]
    signals += [{"id": "s", "role": "state", "title": HOSTILE, "equation": HOSTILE, "road": True}]
    graph = [
        {"op": "input", "reads": [], "name": "x"},
        {"op": "state", "reads": [], "name": "s"},
        {"op": "map", "reads": [0]},
        {"op": "odd", "reads": [2], "signal": "g"},
        {"op": "constant", "reads": [], "name": HOSTILE},
        {"op": "mul", "reads": [3, 4]},
        {"op": "add", "reads": [5, 1], "signal": "s"},
    ]
    kinds = {"input": "leaf", "state": "leaf", "constant": "leaf", "map": "map", "odd": "activation"}
    kinds |= {"mul": "arithmetic", "add": "arithmetic"}
    arity = {"input": 0, "state": 0, "constant": 0, "map": 1, "odd": 1, "mul": 2, "add": 2}
    operations = {
        name: {"arity": arity[name], "symbol": HOSTILE if name in ("odd", "mul", "add") else None, "kind": kind}
        for name, kind in kinds.items()
    }
    cell = {"id": "mine", "title": HOSTILE, "states": ["s"], "signals": signals, "graph": graph}
    return cell | {"operations": operations}


def test_a_trace_file_turns_nothing(browser, address):
    tensors = {f"layer0.{name}": torch.rand(4, 5) for name in ("g", "s")} | {"logits": torch.rand(4, 3)}
    tensors |= {HOSTILE: torch.rand(2), "grad.layer0.s": torch.rand(4, 5), f"norm.layer0.{HOSTILE}": torch.rand(4)}
    about = {"cell": json.dumps(hostile_cell()), "tokens": "[0, 1, 2, 1]", "model": HOSTILE}
    about |= {"vocabulary": json.dumps(["\u202e", HOSTILE, "\u05d0"])}
    content = save({name: tensor.contiguous() for name, tensor in tensors.items()}, about)
    with opened(browser, f"{address}/?t=0") as page:
        pick(page, file(content, f"{HOSTILE.replace('/', '')}.safetensors"))
        until(page, "stage.state.trace === 'file' && stage.timeline.done")
        expect(page.locator("#sentence .notice")).to_contain_text("Left aside: “x[RLO]evil")
        walked(page)
        page.get_by_role("button", name="weights").click()
        is_in_order(page)
        pick(page, file(content[:60], f"{HOSTILE}.safetensors"))
        expect(page.locator("#sentence .notice")).to_contain_text("is no whole safetensors file")
        is_in_order(page)


def test_a_run_turns_nothing(browser, address):
    text = (TEXT + HOSTILE) * 60
    with httpx.Client(base_url=address, timeout=60) as client:
        made = started(client, text, title=HOSTILE, **QUICK)
        in_state(client, made, "finished")
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{address}/runs/{made['id']}")
        comes_true(page, "window.gatescope?.stage.runs[0].over && gatescope.stage.runs[0].samples.length > 0")
        is_in_order(page)
        assert "x[RLO]evil[LRI]" in page.title() and page.locator(".sample pre").first.text_content()
        page.goto(f"{address}/runs/{made['id']},{made['id'][::-1]}")
        page.goto(f"{address}/embed/run?run={made['id']}")
        comes_true(page, "window.gatescope?.stage.runs[0].over")
        is_in_order(page)
        page.goto(f"{address}/train")
        page.get_by_label("Paste a text").fill(text)
        expect(page.locator("#seen bdi")).to_have_count(len(set(text)))
        tiles = page.locator("#seen bdi").all_text_contents()
        assert len(set(tiles)) == len(tiles)
        assert page.evaluate(RAW) == [] and page.evaluate(TURNED) == []
