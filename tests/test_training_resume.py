"""A training that is stopped between any two steps and resumed ends with the same bits and tells the same steps."""

import numpy as np
import pytest

from gatescope.models.training.checkpoint import BadCheckpoint, network_of, resumed
from gatescope.models.training.job import MemoryHost, Spec, run_job
from tests.jobs import RHYME, recipe_for

pytestmark = pytest.mark.slow

STEPS = 11
TIMES = ("characters_per_second", "eta_s", "bytes")


def spec(cell: str, **chosen) -> Spec:
    """A short training with everything in it that must be carried over."""
    paces = {"report_every": 3, "validate_every": 4, "sample_every": 7, "checkpoint_every": 5}
    sizes = {"layers": 2, "hidden": 8, "embedding": 5, "batch_size": 4, "sequence_length": 100}
    return Spec(RHYME, recipe_for(RHYME, cell=cell, dropout=0.3, update_every=2, **paces, **sizes, **chosen), "Rhyme")


class Killed(MemoryHost):
    """Ends with a crash before a step, or is asked to stop there."""

    def __init__(self, before: int, crash: bool):
        super().__init__()
        self.left, self.crash = before, crash

    def should_stop(self) -> bool:
        """Count the steps down."""
        self.left -= 1
        if self.left < 0 and self.crash:
            raise InterruptedError
        return self.left < 0


def plain(events: list) -> dict:
    """Events by name and step, without times; asserts that one told twice tells the same."""
    found = {}
    for name, data in events:
        told = {key: value for key, value in data.items() if key not in TIMES}
        if name != "checkpoint":  # one more comes where it is stopped
            assert found.setdefault((name, data["step"]), told) == told
    return found


def until_killed(job: Spec, resume: bytes | None, io: MemoryHost) -> list:
    """What is told until the end or the crash."""
    events = []
    try:
        for event in run_job(job, resume, io):
            events.append(event)
    except InterruptedError:
        pass
    return events


@pytest.mark.parametrize(("cell", "crash"), [("elman", True), ("gru", True), ("lstm", True), ("lstm", False)])
def test_killed_between_any_two_steps_it_ends_with_the_same_bits(cell, crash):
    job, whole = spec(cell, steps=STEPS), MemoryHost()
    expected = plain(run_job(job, None, whole))
    for before in range(STEPS):
        io = Killed(before, crash)
        events = until_killed(job, None, io)
        again = MemoryHost()
        events += run_job(job, io.content, again)
        assert plain(events) == expected
        for name, array in network_of(whole.content).parameters.items():
            assert np.array_equal(array, network_of(again.content).parameters[name]), (before, name)


def test_killed_again_and_again_it_still_ends_with_the_same_bits():
    job, whole, content, events = spec("lstm", steps=STEPS), MemoryHost(), None, []
    expected = plain(run_job(job, None, whole))
    random = np.random.default_rng(0)
    for _ in range(10):
        io = Killed(int(random.integers(1, 5)), bool(random.integers(2)))
        events += until_killed(job, content, io)
        content = io.content or content
    again = MemoryHost()
    events += run_job(job, content, again)
    assert plain(events) == expected
    mine, other = (network_of(kept) for kept in (again.content or content, whole.content))
    assert all(np.array_equal(mine.parameters[name], array) for name, array in other.parameters.items())


def test_a_stopped_training_has_a_card_that_tells_its_loss():
    io = Killed(6, crash=False)
    events = list(run_job(spec("gru", steps=STEPS), None, io))
    network = network_of(io.content)
    assert events[-1] == ("checkpoint", {"step": 6, "finished": False, "reason": None, "bytes": len(io.content)})
    assert network.card["steps"] == 6 and network.card["validation_loss"] > 0
    assert len(network.card["curve"]) == 1


def test_a_finished_training_resumed_has_nothing_more_to_tell():
    job, io = spec("elman", steps=3), MemoryHost()
    list(run_job(job, None, io))
    assert list(run_job(job, io.content, MemoryHost())) == []


def test_a_damaged_or_foreign_checkpoint_is_refused():
    job, io = spec("elman", steps=3), MemoryHost()
    list(run_job(job, None, io))
    for content in (b"", io.content[:-1], io.content[: len(io.content) // 2], b"\x80" + io.content):
        with pytest.raises(BadCheckpoint, match="cannot be read"):
            resumed(content, job.digest)
    with pytest.raises(BadCheckpoint, match="another training"):
        next(run_job(spec("elman", steps=3, seed=1), io.content, MemoryHost()))


def test_a_specification_survives_as_json():
    job = Spec("ab\n\u2603", recipe_for(RHYME, cell="tdnn", options=(("window", 6),)), "Ünï")
    assert Spec.from_json(job.to_json()) == job
    assert "\n" not in job.to_json()
