"""The table itself: every row is there, what does not hold is told, and its quickest groups are tried."""

import pytest

from tests.faults.__main__ import ROWS, by_group, line
from tests.faults.table import GROUPS, MOST, Enough, Row, Trial, tried

MISSING = {35, 71}  # of features that are yet to come


def test_every_row_is_there():
    assert set(ROWS) == set(range(1, 76))
    assert {number for number, row in ROWS.items() if row.missing} == MISSING
    assert sorted(row.number for rows in by_group([]) for row in rows) == sorted(ROWS)
    assert set(GROUPS) <= {row.group for row in ROWS.values()}


def test_what_does_not_hold_is_told():
    def attempt(trial: Trial) -> None:
        trial.count("200", True)
        trial.count("500", False, "a body")

    found: list[Trial] = []
    tried([Row(0, "a fault", "an answer", "none", attempt)], found.append)
    (trial,) = found
    assert not trial.held and trial.tried == 2 and trial.came == {"200": 1, "500": 1}
    assert " NO " in line(trial) and "! a body: 500" in line(trial)


def test_a_row_that_tries_nothing_or_breaks_does_not_hold():
    def broken(trial: Trial) -> None:
        raise OSError("the connection broke")

    found: list[Trial] = []
    tried([Row(0, "", "", "none", lambda trial: None), Row(1, "", "", "none", broken)], found.append)
    assert not any(trial.held for trial in found)
    assert "the connection broke" in line(found[1])


def test_a_row_that_holds_badly_is_given_up():
    trial = Trial(Row(0, "", "", "none", lambda trial: None))
    with pytest.raises(Enough):
        for _ in range(MOST + 2):
            trial.count("500", False)
    assert trial.tried == MOST + 1


@pytest.mark.slow
@pytest.mark.fire
@pytest.mark.parametrize("group", ["parsing", "heads", "files", "jobs"])
def test_a_group_holds(group):
    found: list[Trial] = []
    tried([row for rows in by_group([]) for row in rows if row.group == group], found.append)
    assert {trial.row.number: trial.faults for trial in found if not trial.held} == {}
