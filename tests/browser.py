"""The real Chromium that the tests and the speed figures use."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking"]


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
