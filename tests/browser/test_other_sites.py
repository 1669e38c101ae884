"""Pages of other sites in a real browser: what they can read of a service on this machine, and what they can show."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import waited
from tests.browser.test_events import deck

TRACE = "/api/trace?model={}&text=ab"
# What a page learns of an address: the status of a readable answer, else that there is none.
ASKED = "([path, options]) => fetch(path, options).then((answer) => answer.status, () => 'unreadable')"
LOADED = """([kind, path]) => new Promise((told) => {
  const element = document.createElement(kind);
  Object.assign(element, { onload: () => told("loaded"), onerror: () => told("refused") });
  element[kind === "link" ? "href" : "src"] = path;
  if (kind === "link") element.rel = "stylesheet";
  document.body.append(element);
})"""
DRAWN = "window.gatescope?.stage.last.drawn > 0"
WRITE = {"method": "POST", "headers": {"Content-Type": "application/json"}}
PROMPT = '{"model": "%s", "prompt": "ab", "length": 2}'


@pytest.fixture(scope="module", params=["localhost", "127.0.0.1"], ids=["another site", "another port"])
def elsewhere(
    request: pytest.FixtureRequest, browser: Browser, address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    """A page of another origin, which frames an embed twice, once without an origin, and a page of ours."""
    embed = f'src="{address}/embed/text?model=shakespeare-lstm&text=ab"'
    frames = f'<iframe name="plain" {embed}></iframe><iframe name="bare" sandbox="allow-scripts" {embed}></iframe>'
    frames += f'<iframe name="ours" src="{address}/train"></iframe><a href="{address}/train" target="_blank">link</a>'
    frames += '<iframe name="hostile" sandbox="allow-scripts" srcdoc="<body>"></iframe>'
    with deck(tmp_path_factory.mktemp("deck"), frames) as url, browser.new_context() as context:
        page = context.new_page()
        page.goto(url.replace("127.0.0.1", request.param))
        yield page


def test_another_sites_page_reads_nothing_and_its_elements_load_nothing(elsewhere, address):
    paths = [
        "/api/models",
        "/api/runs",
        "/api/cells",
        "/api/models/small-lstm/weights",
        TRACE.format("small-lstm"),
        "/",
    ]
    for path in paths:
        assert elsewhere.evaluate(ASKED, [address + path, {}]) == "unreadable", path
    form = {"method": "POST", "mode": "no-cors", "body": "a"}
    assert elsewhere.evaluate(ASKED, [f"{address}/api/runs?steps=1", form]) == "unreadable"
    assert elsewhere.evaluate(ASKED, [f"{address}/api/generate", WRITE | {"body": "{}"}]) == "unreadable"
    for kind, path in (("img", "/api/trace.json?model=small-lstm&text=b"), ("script", "/train"), ("link", "/docs")):
        assert elsewhere.evaluate(LOADED, [kind, address + path]) == "refused"


def test_embeds_work_in_frames_and_other_pages_are_shown_in_none(elsewhere, address):
    for name in ("plain", "bare"):
        frame = elsewhere.frame(name)
        assert waited(frame, DRAWN), name
        written = frame.evaluate(ASKED, ["/api/generate", WRITE | {"body": PROMPT % "shakespeare-lstm"}])
        assert written == 200
        assert frame.evaluate(ASKED, [TRACE.format("shakespeare-lstm"), {}]) == 200
    assert elsewhere.frame("bare").evaluate("self.origin") == "null"
    assert elsewhere.frame("plain").evaluate("self.origin") == address
    assert elsewhere.frame("ours").evaluate("window.gatescope === undefined")


def test_any_site_can_make_a_frame_without_an_origin_and_reads_there_what_strangers_may(elsewhere, address):
    frame = elsewhere.frame("hostile")
    assert frame.evaluate("self.origin") == "null"

    def asked(path: str, **options: object) -> object:
        return frame.evaluate(ASKED, [address + path, options])

    assert asked(TRACE.format("shakespeare-lstm")) == 200
    assert asked("/api/generate", **WRITE, body=PROMPT % "shakespeare-lstm") == 200
    assert asked(TRACE.format("small-lstm")) == asked("/api/models/small-lstm") == 403
    assert asked("/api/generate", **WRITE, body=PROMPT % "small-lstm") == 403
    private = [
        "/api/models",
        "/api/runs",
        "/api/models/small-lstm/weights",
        "/embed/text?model=small-lstm",
        "/",
        "/metrics",
    ]
    assert {path: asked(path) for path in private} == dict.fromkeys(private, "unreadable")
    with_cookies = {"credentials": "include"}
    assert asked(TRACE.format("shakespeare-lstm"), **with_cookies) == "unreadable"


def test_a_link_of_another_site_opens_a_page(elsewhere):
    with elsewhere.context.expect_page() as other:
        elsewhere.get_by_role("link", name="link").click()
    other.value.wait_for_url("**/train")
    assert waited(other.value, "document.querySelector('textarea') !== null")
    other.value.close()
