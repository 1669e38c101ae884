"""What a GPU does in a training, done by PyTorch on whatever device there is: the same as the cells' programs."""

from functools import partial

import numpy as np
import pytest
import torch

from gatescope.app.settings import CannotServe, Settings
from gatescope.app.workers.choice import backend_of
from gatescope.app.workers.job import Job, work
from gatescope.models.cells import cells
from gatescope.models.training import device
from gatescope.models.training.benchmarks import benchmark
from gatescope.models.training.checkpoint import network_of
from gatescope.models.training.cpu_batches import CpuBatches
from gatescope.models.training.device_batches import DeviceBatches
from gatescope.models.training.job import MemoryHost, Spec, plan, run_job
from gatescope.models.training.learner import Learner
from gatescope.models.training.statistics import gate_statistics, signal_gradient_norms
from tests.jobs import RHYME, SMALL, recipe_for
from tests.oracle import furthest

pytestmark = pytest.mark.slow

DEVICES = pytest.mark.parametrize("on", ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])
WHATS = {
    **{cell: {"cell": cell, "layers": 2, "dropout": 0.3} for cell in cells()},
    "projection": {"options": (("projection", 4),), "layers": 2, "dropout": 0.3},
    "reset before": {"cell": "gru", "options": (("reset", "before"),), "embedding": 5},
    "convolution": {"cell": "elman", "options": (("nonlinearity", "relu"),), "convolution": (5, 3), "dropout": 0.2},
    "window": {"cell": "tdnn", "options": (("window", 32),), "embedding": 5, "convolution": (5, 3)},
}
BENCHMARKS = {"reber": {}, "adding": {}, "adding by convolution": {"convolution": (4, 3), "dropout": 0.2}}


def text_spec(what: str) -> Spec:
    """A short training on a text; two threads share a batch."""
    return Spec(RHYME, recipe_for(RHYME, **SMALL | {"threads": 2} | WHATS[what]))


def task_spec(name: str) -> Spec:
    """A short training on lessons."""
    text = benchmark(name.split()[0], 40)
    return Spec(text, plan(text, hidden=8, batch_size=4, layers=2, **BENCHMARKS[name])[0])


@DEVICES
@pytest.mark.parametrize("spec", [*map(text_spec, WHATS), *map(task_spec, BENCHMARKS)], ids=[*WHATS, *BENCHMARKS])
def test_a_device_has_the_losses_the_gradients_and_the_statistics_of_the_programs(spec, on):
    programs, there = Learner(spec), Learner(spec, None, partial(DeviceBatches, device=on))
    # what is normalised divides by small numbers, and their last places differ
    reduces = any(node.op == "mean" for node in programs.cell.graph().nodes)
    close = 1e-3 if reduces else 1e-5
    for step in (1, 2, 3):  # states are carried from one to the next
        ours, theirs = (
            {name: np.zeros_like(array) for name, array in learner.optimiser.gradients.items()}
            for learner in (programs, there)
        )
        expected = programs.batches.step(programs.corpus.batch(step), step, ours)
        assert there.batches.step(there.corpus.batch(step), step, theirs) == pytest.approx(expected, rel=1e-5)
        assert all(furthest(theirs[name], ours[name]) < close for name in ours)
        states = programs.batches.states()
        assert list(there.batches.states()) == list(states)
        assert all(furthest(state, states[name]) < close for name, state in there.batches.states().items())
    shares = there.batches.shares, programs.batches.shares
    for mine, other in zip(*map(signal_gradient_norms, shares), strict=True):
        assert mine == pytest.approx(other, rel=10 * close, abs=1e-8 if programs.cell.id == "slstm" else None)
    for mine, other in zip(*map(gate_statistics, shares), strict=True):
        assert {name: facts.pop("histogram") for name, facts in mine.items()} == {
            name: pytest.approx(facts.pop("histogram"), abs=2) for name, facts in other.items()
        }
        assert mine == {name: pytest.approx(facts, abs=1e-4) for name, facts in other.items()}


class Halfway(MemoryHost):
    """Asks the training to leave after 30 steps."""

    def save(self, content: bytes, step: int) -> dict:
        """Keep the checkpoint, and stop."""
        self.stop = step >= 30
        return super().save(content, step)


@DEVICES
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_training_comes_to_the_same_wherever_it_began_and_went_on(cell, on):
    paces = {"steps": 60, "validate_every": 20, "report_every": 20, "checkpoint_every": 30, "update_every": 2}
    spec = Spec(RHYME, recipe_for(RHYME, cell=cell, layers=2, dropout=0.2, threads=2, **paces, **SMALL))
    there, losses, told = partial(DeviceBatches, device=on), [], []
    for begins, goes_on in ((CpuBatches, CpuBatches), (there, there), (there, CpuBatches), (CpuBatches, there)):
        first, second = Halfway(), MemoryHost()
        events = list(run_job(spec, None, first, begins)) + list(run_job(spec, first.content, second, goes_on))
        losses.append([network_of(second.content).card["validation_loss"]])
        losses[-1] += [data["loss"] for name, data in events if name == "progress"]
        told.append([data["device"] for name, data in events if name == "progress"])
    assert losses == [pytest.approx(losses[0], abs=1e-3)] * 4 and losses[0][-1] < losses[0][1] - 0.1
    assert told == [["cpu"] * 3, [on] * 3, [on, "cpu", "cpu"], ["cpu", on, on]]


@DEVICES
def test_a_training_that_runs_away_on_a_device_says_so(on):
    spec = Spec(RHYME, recipe_for(RHYME, learning_rate=1e30, steps=50, **SMALL))
    with pytest.raises(ArithmeticError, match=r"^diverged at step \d+$"):
        list(run_job(spec, None, MemoryHost(), partial(DeviceBatches, device=on)))


def test_a_gpu_is_taken_where_there_is_one(monkeypatch):
    monkeypatch.setenv(device.VARIABLE, "auto")
    spec = Spec(RHYME, recipe_for(RHYME, steps=2, **SMALL))
    told = [data for name, data in run_job(spec, None, MemoryHost(), device.batches_here()) if name == "progress"]
    assert {data["device"] for data in told} == {"cuda" if torch.cuda.is_available() else "cpu"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_asked_for_and_not_there_is_said(monkeypatch, tmp_path):
    said = "GATESCOPE_DEVICE: is cuda, but there is no GPU here that PyTorch can use"
    with pytest.raises(CannotServe, match=said):
        backend_of(Settings(device="cuda"))
    monkeypatch.setenv(device.VARIABLE, "cuda")
    spec = Spec(RHYME, recipe_for(RHYME, steps=3, **SMALL))
    (frame,) = work(Job(spec.to_json().encode()), lambda: False)
    assert frame.data == {"how": "failed", "reason": said}
