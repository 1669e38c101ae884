"""One browser for every test of a page; each test opens contexts of its own."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The browser. Not for the whole session: while Playwright runs in a thread, nothing else there can use asyncio."""
    with chromium() as browser:
        yield browser
