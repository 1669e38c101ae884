"""A network of one's own brought to the bench in a real Chromium: what is recognised, read, refused and deleted."""

import torch
from playwright.sync_api import expect
from safetensors.torch import save

from tests.browser import PAUSED, TEXT, file, opened, pick, state, until, until_in_address
from tests.foreign import Theirs


def test_a_network_is_recognised_before_it_is_kept_and_can_be_deleted(browser, address, client):
    with opened(browser, address + PAUSED) as page:
        fold = page.locator("#open")
        pick(page, file(Theirs("lstm", 2).saved(), "theirs.safetensors"))
        expect(fold).to_contain_text("torch.nn.LSTM), 2 layers of 6 units")
        expect(fold).to_contain_text("through an embedding of 5 and knows their names")
        page.get_by_role("button", name="No", exact=True).click()
        expect(page.locator(".offer")).to_be_hidden()
        pick(page, file(Theirs("gru", 1, embedding=False, bias=False).saved(), "theirs.safetensors"))
        expect(fold).to_contain_text("1 layer of 6 units without biases")
        expect(fold).to_contain_text("one-hot")
        assert state(page)["model"] == "small-lstm"
        page.get_by_role("button", name="Bring it in").press("Enter")
        until(page, "stage.network.origin === 'upload' && stage.timeline.done && stage.timeline.cell.id === 'gru'")
        assert state(page)["text"] == " be    be"  # what it knows of the text
        expect(page.locator("#sentence")).to_contain_text("The network Theirs")
        id = page.evaluate("gatescope.stage.state.model")
        until_in_address(page, model=id)
        copied = page.url
        expect(page.locator(".cell-verified")).to_contain_text("verified against finite differences")
        with browser.new_context() as context:
            other = context.new_page()
            other.goto(copied)
            until(other, "stage.network.origin === 'upload' && stage.timeline.done")
            expect(other.locator(".offer")).to_be_hidden()  # whoever has the address is not its owner
        page.get_by_role("button", name="Delete it again").click()
        until(page, "stage.network.origin !== 'upload' && stage.timeline.done")
        assert client.get(f"/api/models/{id}").status_code == 404
        expect(page.locator("#open")).to_contain_text("“Theirs” is deleted")
        assert (state(page)["model"], state(page)["text"]) == ("small-lstm", TEXT)


def test_what_it_reads_and_gives_is_said_before_it_is_kept(browser, address):
    with opened(browser, address + PAUSED) as page:
        fold = page.locator("#open")
        both = Theirs("lstm", 2, both_ways=True, projection=3, channels=2, outputs=3)
        pick(page, file(both.saved(labels='["calm", "wave", "spike"]'), "kinds.safetensors"))
        expect(fold).to_contain_text("2 layers of 6 units in both directions, projected to 3, float64.")
        expect(fold).to_contain_text("It reads 2 numbers a step.")
        expect(fold).to_contain_text("It tells one of 3 classes (calm, wave, spike) at the last step.")
        pick(page, file(Theirs("gru", outputs=1).saved(pattern="many-to-many"), "one.safetensors"))
        expect(fold).to_contain_text("It gives 1 number at every step.")


def test_a_network_without_a_vocabulary_reads_token_numbers(browser, address):
    content = save(Theirs("relu", readout=False).state_dict(), {"nonlinearity": "relu"})
    with opened(browser, address + PAUSED) as page:
        pick(page, file(content))
        expect(page.locator("#open")).to_contain_text("with nonlinearity relu")
        expect(page.locator("#open")).to_contain_text("reads token numbers, no text")
        expect(page.locator("#open")).to_contain_text("no readout")
        page.get_by_role("button", name="Bring it in").click()
        until(page, "stage.network.numbered && stage.timeline.done")
        field, notice = page.get_by_label("Text to read"), page.locator("#sentence .notice")
        expect(page.locator("#sentence")).to_contain_text("reads token numbers")
        field.fill("3, 1 10")
        until(page, "stage.timeline.tokens.join() === '3,1,10' && stage.timeline.done")
        field.fill("3 11")
        expect(notice).to_contain_text("token numbers from 0 to 10")
        field.fill("be")
        expect(notice).to_contain_text("token numbers from 0 to 10")
        field.fill("3 1 1")
        until(page, "stage.timeline.tokens.join() === '3,1,1'")
        until_in_address(page, text="3 1 1")
        copied = page.url
        page.get_by_label("Network", exact=True).select_option("small-gru")
        until(page, "stage.timeline.cell.id === 'gru' && stage.timeline.done")
        assert state(page)["text"] == TEXT
    with opened(browser, copied) as page:
        until(page, "stage.network.numbered && stage.timeline.tokens.join() === '3,1,1' && stage.timeline.done")


def test_what_is_no_network_either_is_refused_in_words(browser, address):
    with opened(browser, address + PAUSED, refusals=1) as page:
        pick(page, file(save({"a.weight": torch.rand(3, 3)})))
        expect(page.locator("#open")).to_contain_text("It is not taken: no weights of an nn.RNN")
        assert state(page)["model"] == "small-lstm"
