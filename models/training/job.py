"""Training a character network with the same programs that draw it, as a pure generator of what happens.

`run_job` yields events and hands checkpoints to its caller; it knows no process, no file and no page. Everything but
the times in it follows from the specification, so that a training resumed from any checkpoint ends with the same bits
and tells the same steps again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from gatescope.models.training.batches import MakeBatches
from gatescope.models.training.cpu_batches import CpuBatches
from gatescope.models.training.learner import Diverged, Learner
from gatescope.models.training.plan import plan
from gatescope.models.training.recipe import Recipe, affordable, cost
from gatescope.models.training.spec import Spec

__all__ = ["Diverged", "MemoryHost", "Recipe", "Spec", "TrainingHost", "affordable", "cost", "plan", "run_job"]


class TrainingHost(Protocol):
    """What a training needs of whoever runs it."""

    def should_stop(self) -> bool:
        """Whether to save a checkpoint and end; asked before every step."""

    def save(self, content: bytes, step: int) -> dict[str, Any]:
        """Keep a checkpoint; what is given back goes into its event."""


class MemoryHost:
    """The simplest `TrainingHost`: the latest checkpoint stays in `content`, and `stop` ends the training."""

    def __init__(self) -> None:
        self.content, self.stop = b"", False

    def should_stop(self) -> bool:
        """Whether `stop` was set."""
        return self.stop

    def save(self, content: bytes, step: int) -> dict[str, Any]:
        """Keep the checkpoint in place of the one before."""
        self.content = content
        return {"bytes": len(content)}


def run_job(
    spec: Spec,
    resume: bytes | None,
    io: TrainingHost,
    batches: MakeBatches = CpuBatches,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Train; yields (name, data) with the names `progress`, `gates`, `sample` (where it learns to write) and
    `checkpoint`.

    resume: a checkpoint to go on from, wherever it was made; a finished one yields nothing. batches: what makes the
    gradients, see `models.training.device`. A checkpoint counts once its event has been logged: what was told before it
    is then logged too. The last checkpoint says `finished` and, in `reason`, why. Losses are in nats a character.
    Raises Refused for a text that does not fit the recipe, BadCheckpoint, and Diverged.
    """
    work = Learner(spec, resume, batches)
    try:
        yield from _events(work, io)
    finally:
        work.batches.close()


def _events(work: Learner, io: TrainingHost) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of a training in the order in which they are told; a checkpoint comes after what it stands for."""
    recipe, progress = work.recipe, work.progress
    if progress.step == 0:
        if work.writes:
            yield "sample", work.sample()
        yield "checkpoint", _saved(work, io)
    while not progress.finished:
        if io.should_stop():
            work.measure()
            yield "checkpoint", _saved(work, io)
            return
        step = work.step()
        if step % recipe.validate_every == 0 or step == recipe.steps:
            work.validate()
        if step % recipe.report_every == 0 or progress.finished:
            yield "progress", work.report()
            yield "gates", work.gates()
        if progress.finished:
            work.take_best()
        if work.writes and (step % recipe.sample_every == 0 or progress.finished):
            yield "sample", work.sample()
        if step % recipe.checkpoint_every == 0 or progress.finished:
            yield "checkpoint", _saved(work, io)


def _saved(work: Learner, io: TrainingHost) -> dict[str, Any]:
    progress = work.progress
    kept = io.save(work.checkpoint(), progress.step)
    return {"step": progress.step, "finished": progress.finished, "reason": progress.reason, **kept}
