"""The page: script time of one cursor step with every view of the bench mounted, in a real Chromium."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from gatescope.app.settings import Settings
from tests.bench.measure import Result
from tests.browser import chromium, waited
from tests.service import serve

FRAME = 1000 / 60
TEXT = "What light through yonder window breaks? It is the east, and"


def results() -> Iterator[Result]:
    """The median and the 95th percentile against one frame of a 60 Hz screen, at 60 characters and 128 units."""
    with tempfile.TemporaryDirectory() as folder, serve(Settings(data=Path(folder))) as address, chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{address}/?model=shakespeare-lstm&text={TEXT}&play=0")
        assert waited(page, "Boolean(window.gatescope?.measureSteps)")
        page.wait_for_timeout(1500)
        took = page.evaluate("window.gatescope.measureSteps(240)")
    for part in ("median", "p95"):
        yield Result(f"script of one cursor step, {part} / one frame", took[part] / FRAME, 1.0, f"{took[part]:.2f} ms")
