"""A few of the kills and faults of `python -m tests.fire.nemesis`, over live runs with viewers."""

import pytest

from tests.fire.nemesis import tried


@pytest.mark.slow
def test_killed_stopped_and_failing_it_loses_nothing():
    rows = dict(tried(kills=3, faults=3, seed=11, steps=120))
    assert rows["runs acknowledged"] == rows["runs finished"] > 0
    assert rows["viewers with every id once"] == 2 * rows["runs finished"] and rows["weights as undisturbed"] > 0
