"""The search for the dearest requests that are still accepted, `tests.fire.peaks`."""

import pytest

from tests.fire.peaks import KINDS, Kind, addressed, measured, text


@pytest.mark.fire
def test_the_largest_size_that_is_accepted_is_found_and_what_it_takes():
    found = measured(Kind("a limit that is known", 4000, addressed("/api/trace?signals=h&backward=false&")))
    assert 2000 / 1.03 <= found.size <= 2000  # GATESCOPE_TEXT_LIMIT_GET
    assert found.refusal.startswith("422: text: ") and "2,000" in found.refusal
    assert 20 < found.before <= found.peak < 1500 and found.answer > 1 and found.seconds > 0


@pytest.mark.fire
def test_what_is_never_accepted_has_no_size():
    found = measured(Kind("no such route", 100, addressed("/api/nothing?")))
    assert found.size == 0 and found.refusal.startswith("404")


def test_every_kind_makes_requests_of_every_size():
    for kind in KINDS:
        small, large = (len(kind.request(size, "x")[2]) for size in (kind.least, kind.most // 4))
        assert kind.request(kind.least, "x")[0] == "GET" or small < large, kind.name
    assert len(text(1001)) == 1001 and text(90).decode(errors="ignore").startswith("съешь")
