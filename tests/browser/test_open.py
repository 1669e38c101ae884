"""Traces made elsewhere, opened on the bench in a real Chromium: the same numbers, or one sentence why not."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from safetensors.torch import save, save_file

from tests.browser import PAUSED, TEXT, file, opened, pick, shown, state, until, until_in_address

READ = "See me"


def written_by_torch(path: Path) -> dict[str, torch.Tensor]:
    """A trace of an LSTM cell as somebody would write it in their own loop; gives the tensors."""
    torch.manual_seed(1)
    cell, readout = torch.nn.LSTMCell(20, 7), torch.nn.Linear(7, 20)
    tokens, state, kept = torch.randint(20, (6,)), (torch.zeros(7), torch.zeros(7)), []
    for x in torch.nn.functional.one_hot(tokens, 20).float():
        i, f, g, o = (cell.weight_ih @ x + cell.bias_ih + cell.weight_hh @ state[0] + cell.bias_hh).chunk(4)
        f, i, g, o = f.sigmoid(), i.sigmoid(), g.tanh(), o.sigmoid()
        c = f * state[1] + i * g
        state = o * c.tanh(), c
        kept.append({"f": f, "i": i, "g": g, "o": o, "c": c, "h": state[0]})
        [signal.retain_grad() for signal in kept[-1].values()]
    logits = readout(torch.stack([step["h"] for step in kept]))
    loss = torch.nn.functional.cross_entropy(logits[:-1], tokens[1:], reduction="none")
    loss.sum().backward()
    tensors = {f"layer0.{name}": torch.stack([step[name] for step in kept]) for name in kept[0]}
    tensors |= {f"grad.layer0.{name}": torch.stack([step[name].grad for step in kept[:-1]]) for name in kept[0]}
    tensors |= {"logits": logits, "loss": loss, "norm.layer0.weight_hh": torch.rand(6)}
    for name in kept[0]:  # nothing after the last step reads it
        tensors[f"grad.layer0.{name}"] = torch.cat([tensors[f"grad.layer0.{name}"], torch.zeros(1, 7)])
    tensors = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    save_file(tensors, path, {"cell": "lstm", "tokens": json.dumps(tokens.tolist()), "text": READ})
    return tensors


def bytes_of(tensors: dict[str, torch.Tensor], **metadata: str) -> bytes:
    """A trace file in memory."""
    return save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata)


def test_a_trace_written_by_plain_torch_shows_the_same_numbers(browser, address, tmp_path):
    tensors = written_by_torch(tmp_path / "mine.safetensors")
    with opened(browser, address + PAUSED) as page:
        sent = []
        page.on("request", lambda request: sent.append(request))
        pick(page, tmp_path / "mine.safetensors")
        until(page, "stage.state.trace === 'file' && stage.timeline.done")
        assert not [request for request in sent if request.method != "GET"]
        sent.clear()
        for name, tensor in tensors.items():
            kind, _, signal = name.removeprefix("grad.").partition(".")
            if kind == "layer0":
                table = "gradients" if name.startswith("grad.") else "values"
                np.testing.assert_array_equal(shown(page, f"{table}(0, '{signal}')"), tensor.double().flatten())
        np.testing.assert_array_equal(shown(page, "losses")[:-1], tensors["loss"].double())
        np.testing.assert_array_equal(shown(page, "norms(0, 'weight_hh')"), tensors["norm.layer0.weight_hh"].double())
        norms = tensors["grad.layer0.c"].double().norm(dim=1)
        np.testing.assert_allclose(shown(page, "gradientNorm(0, 'c')"), norms, rtol=1e-6)
        best = tensors["logits"].softmax(1).topk(5)
        top = np.array(page.evaluate("gatescope.stage.timeline.top"))
        np.testing.assert_array_equal(top[..., 0], best.indices)
        np.testing.assert_allclose(top[..., 1], best.values, rtol=1e-5)
        expect(page.locator("#track-text .tiles span:not([hidden])")).to_have_text(list("See␣me"))
        expect(page.locator("#sentence .notice")).to_contain_text("sent nowhere")
        for key in ("Home", "ArrowRight", "End"):
            page.keyboard.press(key)
        page.wait_for_timeout(900)  # the page rests: it would ask for the verification now
        assert sent == []
        until_in_address(page, trace="file", model=None, text=None)
        copied = page.url
        page.get_by_role("button", name="Share").click()
        expect(page.locator("#share")).to_contain_text("a file of yours")
        page.get_by_label("Text to read").fill("no more")
        until(page, "!stage.state.trace && stage.state.text === 'no more' && stage.timeline.done")
        until_in_address(page, trace=None, model="small-lstm")
    with opened(browser, copied) as page:
        expect(page.locator("#sentence .notice")).to_contain_text("drop the file here")


def test_a_downloaded_trace_opens_and_choosing_a_network_leaves_it(browser, address, client):
    asked = {"model": "small-gru", "text": TEXT, "precision": "float64"}
    content = client.get("/api/trace.safetensors", params=asked).content
    with opened(browser, address + PAUSED) as page:
        pick(page, file(content))
        until(page, "stage.state.trace === 'file' && stage.description.id === 'gru'")
        assert page.evaluate("gatescope.stage.text") == TEXT and state(page)["layers"] == 2
        page.get_by_label("Network", exact=True).select_option("small-lstm")
        until(page, "!stage.state.trace && stage.timeline.cell.id === 'lstm' && stage.timeline.done")
        assert state(page)["text"] == TEXT


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_what_a_trace_lacks_stays_empty(browser, address, dtype):
    values = torch.rand(4, 3).to(dtype)
    with opened(browser, address + PAUSED) as page:
        pick(page, file(bytes_of({"layer1.o": values, "extra": values.clone()}, cell="lstm")))
        until(page, "stage.state.trace === 'file'")
        expect(page.locator("#sentence .notice")).to_contain_text("Left aside: “extra”")
        np.testing.assert_array_equal(shown(page, "values(1, 'o')"), values.float().flatten())
        assert (state(page)["layer"], state(page)["signal"]) == (1, "o")
        assert np.isnan(shown(page, "values(0, 'f')")).all() and np.isnan(shown(page, "losses")).all()
        for key in ("Home", "ArrowRight", "End", "ArrowLeft"):
            page.keyboard.press(key)
        page.get_by_role("tab", name="Write").click()
        page.get_by_role("button", name="Write", exact=True).click()
        expect(page.locator("#panel-write .notice")).to_contain_text("no network behind it")
        expect(page.locator(".transport .status")).to_contain_text("holds no gradient")


def header(declared: dict, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file whose header says what it is told to."""
    text = json.dumps(declared).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


SMALL = torch.rand(4, 3)
CELL = {"cell": "gru"}
PLACED = {"dtype": "F32", "shape": [4, 3], "data_offsets": [0, 48]}
LONGER = torch.rand(5, 3)
BAD = {
    "too short": (b"abc", "only 3 bytes"),
    "longer header": (header({}, length=9999), "header should have 9,999 bytes"),
    "no json": ((5).to_bytes(8, "little") + b"{nope", "not JSON"),
    "outside": (header({"layer0.h": PLACED, "__metadata__": CELL}), "“layer0.h” should lie at bytes 0 to 48"),
    "wrong size": (header({"layer0.h": PLACED | {"shape": [4, 4]}}, bytes(48)), "“layer0.h” of shape (4, 4) needs 64"),
    "integers": (bytes_of({"layer0.h": SMALL.long()}, **CELL), "“layer0.h” is stored as I64"),
    "lengths": (bytes_of({"layer0.h": SMALL, "layer0.r": LONGER}, **CELL), "“layer0.r” has the shape (5, 3)"),
    "a batch": (bytes_of({"layer0.h": torch.rand(4, 1, 3)}, **CELL), "“layer0.h” has the shape (4, 1, 3)"),
    "logits": (bytes_of({"layer0.h": SMALL, "logits": torch.rand(9)}, **CELL), "“logits” has the shape (9)"),
    "losses": (bytes_of({"layer0.h": SMALL, "loss": torch.rand(4)}, **CELL), "“loss” has the shape (4), but 4 steps"),
    "another cell's": (bytes_of({"layer0.o": SMALL}, **CELL), "No tensor is a signal of the cell “gru”"),
    "gradients only": (bytes_of({"grad.layer0.h": SMALL}, **CELL), "No tensor is a signal"),
    "no cell": (bytes_of({"layer0.h": SMALL}), "does not say which cell"),
    "unknown cell": (bytes_of({"layer0.h": SMALL}, cell="mine"), "not a cell this page knows"),
    "half a description": (bytes_of({"layer0.h": SMALL}, cell='{"id":"mine"}'), "it lacks “signals”"),
    "tokens": (bytes_of({"layer0.h": SMALL}, tokens="[1,2]", **CELL), "“tokens” has 2 entries"),
    "words": (bytes_of({"layer0.h": SMALL}, tokens='["a"]', **CELL), "“tokens” takes a JSON list"),
    "text": (bytes_of({"layer0.h": SMALL}, text="ab", **CELL), "“text” has 2 characters"),
    "vocabulary": (bytes_of({"layer0.h": SMALL}, tokens="[0,1,2,3]", vocabulary='["a"]', **CELL), "“tokens” has 3,"),
    "numbers": (
        bytes_of({"layer0.h": SMALL}, values="[[1],[2,3],[1],[1]]", **CELL),
        "“values” takes a JSON list of steps",
    ),
    "few numbers": (bytes_of({"layer0.h": SMALL}, values="[[1],[2]]", **CELL), "“values” has 2 entries, but"),
    "parts": (bytes_of({"layer0.h": SMALL}, parts='[{"name":"other"}]', **CELL), "“parts” takes a list of layers"),
    "gradient": (
        bytes_of({"layer0.h": SMALL, "grad.layer0.h": torch.rand(4, 2)}, **CELL),
        "“grad.layer0.h” has the shape",
    ),
    "labels": (bytes_of({"layer0.h": SMALL}, labels="[1]", **CELL), "“labels” takes a JSON list of names"),
    "pickle": (b"PK\x03\x04" + bytes(40), "gatescope convert model.pt"),
    "older pickle": (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9" + bytes(40), "gatescope convert model.pt"),
}


def test_a_file_that_does_not_fit_says_why_in_one_sentence(browser, address):
    with opened(browser, address + PAUSED) as page:
        notice = page.locator("#sentence .notice")
        for name, (content, sentence) in BAD.items():
            pick(page, file(content, f"{name}.safetensors"))
            expect(notice).to_contain_text(sentence)
        assert state(page)["text"] == TEXT and page.evaluate("gatescope.stage.state.trace ?? null") is None


def test_a_file_is_dropped_where_the_zone_shows_itself(browser, address):
    content = list(bytes_of({"layer0.h": SMALL}, **CELL))
    dragged = """([name, bytes]) => {
        const carried = new DataTransfer();
        carried.items.add(new File([new Uint8Array(bytes)], 'mine.safetensors'));
        document.body.dispatchEvent(new DragEvent(name, {dataTransfer: carried, bubbles: true, cancelable: true})); }"""
    with opened(browser, address + PAUSED) as page:
        zone = page.locator(".drop")
        expect(zone).to_be_hidden()
        page.evaluate(dragged, ["dragover", content])
        expect(zone).to_be_visible()
        expect(zone).to_be_hidden()  # the file went away again
        page.evaluate(dragged, ["drop", content])
        until(page, "stage.state.trace === 'file' && stage.description.id === 'gru'")


def test_the_picker_is_within_reach_of_the_keyboard(browser, address):
    with opened(browser, address + PAUSED) as page:
        page.get_by_role("button", name="Open", exact=True).press("Enter")
        with page.expect_file_chooser():
            page.get_by_role("button", name="choose one").press("Enter")
