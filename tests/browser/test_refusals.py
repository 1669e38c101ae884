"""What the service refuses, said on the page where it was asked, with all that was typed still there.

A proxy before the real server gives the refusals, so that each comes when it is wanted.
"""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import TEXT, file, pick, waited
from tests.foreign import Theirs
from tests.proxy import Proxy, proxy
from tests.runs import TEXT as BOTTLES

AGAIN = "It is tried again by itself in"
PRICE = "this would take 7.7 GB of memory, of which 640 MB are there; 1,200 characters would fit"


def refusal(status: int, detail: str, field: str | None = None, after: int | None = None) -> bytes:
    """A whole HTTP answer as the service refuses."""
    errors = [{"field": field, "detail": detail}] if field else []
    body = {"title": "No", "status": status, "detail": f"{field}: {detail}" if field else detail, "errors": errors}
    content = json.dumps(body).encode()
    head = [f"HTTP/1.1 {status} No", "Content-Type: application/problem+json", "Connection: close"]
    head += [f"Content-Length: {len(content)}"] + ([f"Retry-After: {after}"] if after else [])
    return "\r\n".join([*head, "", ""]).encode() + content


FULL = refusal(503, "All places for readings are taken", after=1)
OTHERS = [
    (403, "This is not allowed from here"),
    (404, "There is no such network"),
    (408, "The request took too long"),
    (413, "must have at most 1,048,576 bytes"),
    (429, "Too many requests"),
    (507, "The disk is full"),
]


@pytest.fixture
def between(address) -> Iterator[Proxy]:
    """The proxy."""
    with proxy(address) as made:
        yield made


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page; whatever it throws and does not catch fails the test."""
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        page, thrown = context.new_page(), []
        page.on("pageerror", lambda error: thrown.append(str(error)))
        yield page
        assert thrown == []


def bench(page: Page, between: Proxy) -> None:
    """The bench with the usual text."""
    page.goto(f"{between.address}/?model=small-lstm&text={TEXT}&t=0")
    assert waited(page, "window.gatescope?.stage.last.drawn > 0")


def test_a_place_for_a_trace_is_waited_for(page, between):
    bench(page, between)
    between.refuses["/api/trace"] = [FULL, FULL]
    page.get_by_label("Text to read").fill("waits for it")
    notice = page.locator("#sentence .notice")
    expect(notice).to_contain_text(f"All places for readings are taken. {AGAIN}")
    assert waited(page, "gatescope.stage.timeline.done && gatescope.stage.state.text === 'waits for it'")
    expect(notice).to_be_hidden()


def test_a_price_is_said_beneath_the_text_and_the_text_stays(page, between):
    bench(page, between)
    field, notice = page.get_by_label("Text to read"), page.locator("#sentence .notice")
    between.refuses["/api/trace"] = [refusal(422, PRICE, "text")]
    field.fill("far too long")
    expect(notice).to_contain_text(PRICE, ignore_case=True)
    assert field.input_value() == "far too long"
    assert page.get_by_role("button", name="Ask again").count() == 0
    for status, words in OTHERS:
        between.refuses["/api/trace"] = [refusal(status, words)]
        field.fill(f"refused {words.lower()[:9]}")
        expect(notice).to_contain_text(words, ignore_case=True)
        expect(notice).to_contain_text("still shows the last text")
        assert field.input_value() == f"refused {words.lower()[:9]}"
    page.get_by_role("button", name="Ask again").click()
    assert waited(page, "gatescope.stage.timeline.done && gatescope.stage.state.text === 'refused the disk '")


def test_a_trace_that_breaks_off_is_said_and_can_be_asked_for_again(page, between):
    bench(page, between)
    begun = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\nretry: 1000\n\n"
    html = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>"
    for answer, text in ((begun, "it broke off"), (html, "it was another")):
        between.refuses["/api/trace"] = [answer]
        page.get_by_label("Text to read").fill(text)
        notice = page.locator("#sentence .notice")
        expect(notice).to_contain_text("broke off" if answer is begun else "no answer of this service")
        page.get_by_role("button", name="Ask again").click()
        assert waited(page, f"gatescope.stage.timeline.done && gatescope.stage.state.text === '{text}'")
        expect(notice).to_be_hidden()


def test_writing_waits_and_says_its_price(page, between):
    bench(page, between)
    page.get_by_role("tab", name="Write").click()
    prompt, write = page.get_by_label("Text to go on from"), page.get_by_role("button", name="Write", exact=True)
    notice = page.locator(".generate .notice")
    prompt.fill("To be")
    between.refuses["/api/generate"] = [refusal(422, PRICE, "length")]
    write.click()
    expect(notice).to_contain_text(PRICE, ignore_case=True)
    for status, words in OTHERS:
        between.refuses["/api/generate"] = [refusal(status, words)]
        write.click()
        expect(notice).to_contain_text(words, ignore_case=True)
    between.refuses["/api/generate"] = [FULL]
    write.click()
    expect(notice).to_contain_text(AGAIN)
    expect(page.locator(".written [data-k]").nth(10)).to_be_visible(timeout=20_000)
    expect(notice).to_be_hidden()
    assert prompt.input_value() == "To be"


def test_gradients_that_are_too_dear_to_verify_have_no_mark_and_a_reason(page, between):
    between.refuses["/api/verification"] = [refusal(422, PRICE, "text")]
    bench(page, between)
    expect(page.locator(".cell-verified")).to_contain_text(f"Not verified. Text: {PRICE}.", timeout=20_000)


def test_a_file_is_looked_into_again_without_being_chosen_again(page, between):
    bench(page, between)
    fold = page.locator("#open")
    between.refuses["/api/models"] = [FULL, refusal(507, "The disk is full")]
    pick(page, file(Theirs("gru").saved(), "theirs.safetensors"))
    expect(fold).to_contain_text(f"All places for readings are taken. {AGAIN}")
    expect(fold).to_contain_text("It is not taken: The disk is full.")
    page.get_by_role("button", name="Try again").click()
    expect(fold).to_contain_text("holds a network")
    between.refuses["/api/models"] = [refusal(413, "must have at most 64 bytes", "body")]
    page.get_by_role("button", name="Bring it in").click()
    expect(fold).to_contain_text("It is not taken: must have at most 64 bytes.")
    expect(page.get_by_role("button", name="Bring it in")).to_be_visible()


def test_a_training_loses_nothing_that_was_chosen(page, between):
    page.goto(f"{between.address}/train")
    between.refuses["/api/runs?"] = [FULL]
    page.get_by_label("Paste a text").fill(BOTTLES)
    notice, start = page.locator("#notice"), page.get_by_role("button", name="Start")
    expect(notice).to_contain_text(AGAIN)
    expect(start).to_be_enabled(timeout=10_000)
    expect(notice).to_be_hidden()
    cost = page.locator(".cost").text_content()
    page.get_by_label("Units", exact=True).fill("17")
    expect(page.locator(".cost")).not_to_have_text(cost)
    expect(start).to_be_enabled()
    for status, words in [(422, PRICE), *OTHERS]:
        between.refuses["/api/runs?"] = [refusal(status, words)]
        start.click()
        expect(notice).to_contain_text(words, ignore_case=True)
        expect(start).to_be_enabled()
        assert page.get_by_label("Units", exact=True).input_value() == "17"
        assert page.get_by_label("Paste a text").input_value() == BOTTLES
