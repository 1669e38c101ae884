"""The real Chromium that the tests and the speed figures use."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking"]

TEXT = "To be, or not to be"
BENCH = f"/?model=small-lstm&text={TEXT}"
PAUSED = f"{BENCH}&t=0"
REFUSED = "the server responded with a status of 422"  # what Chromium itself writes about an answer the page expects
STATE = """() => { const { timeline, state, clock } = gatescope.stage;
  return { ...state, ...clock.position, playing: clock.playing, steps: timeline.steps, cell: timeline.cell.id,
           layers: timeline.layers.length, done: timeline.done }; }"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The Chromium on the PATH, the browser the project promises to test with, for the length of a `with` block."""
    path = next((path for path in map(shutil.which, NAMES) if path), None)
    assert path, "no Chromium on the PATH; `make test` installs one"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def waited(page: Page, condition: str, seconds: float = 20) -> bool:
    """Waits for a condition by asking again and again: the page's own policy forbids Playwright's eval inside it."""
    end = time.monotonic() + seconds
    while not (holds := page.evaluate(condition)) and time.monotonic() < end:
        page.wait_for_timeout(20)
    return holds


def pick(page: Page, file: Path | dict) -> None:
    """Chooses a file with the page's own picker."""
    page.locator("#open input[type=file]").set_input_files(file)


def file(content: bytes, name: str = "mine.safetensors") -> dict:
    """A file as the picker takes it."""
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def shown(page: Page, expression: str) -> np.ndarray:
    """Numbers that the page holds; NaN travels as null."""
    values = page.evaluate(f"Array.from(gatescope.stage.timeline.{expression}, v => Number.isFinite(v) ? v : null)")
    return np.array([np.nan if value is None else value for value in values], dtype=float)


@contextmanager
def opened(browser: Browser, address: str, *, refusals: int = 0, **options) -> Iterator[Page]:
    """A page in a context of its own; whatever its console complains about beyond `refusals` fails the test."""
    context = browser.new_context(**({"viewport": {"width": 1440, "height": 900}} | options))
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    assert waited(page, "window.gatescope?.stage.last.drawn > 0"), f"the page never drew: {said}"
    try:
        yield page
    finally:
        context.close()
    assert [line for line in said if REFUSED not in line] == []
    assert len(said) == refusals


def state(page: Page) -> dict:
    """What is chosen and where the clock stands."""
    return page.evaluate(STATE)


def in_address(page: Page) -> dict[str, str]:
    """The address bar's query."""
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def until(page: Page, condition: str) -> None:
    """Waits for a condition on `stage`, which must come true."""
    assert waited(page, f"() => {{ const {{ stage }} = gatescope; return {condition}; }}"), condition


def becomes(page: Page, expression: str, wanted: object) -> None:
    """Waits until something on the page has a value."""
    end = time.monotonic() + 20
    while (found := page.evaluate(expression)) != wanted:
        assert time.monotonic() < end, found
        page.wait_for_timeout(20)


def drawn(page: Page) -> None:
    """Waits until everything that has changed is drawn."""
    assert waited(page, "window.gatescope?.stage.last.drawn > 0 && gatescope.stage.last.turn === null")


def until_in_address(page: Page, **wanted: str | None) -> None:
    """Waits until the address bar says this; None stands for a parameter that is not there."""
    end = time.monotonic() + 20
    while (found := {name: in_address(page).get(name) for name in wanted}) != wanted:
        assert time.monotonic() < end, found
        page.wait_for_timeout(20)
