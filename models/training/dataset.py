"""Lessons: many short sequences, each with what should come out, as training reads them; states begin anew with each.

A file of lessons is text, one JSON value a line: first the form ({"reads": "values", "gives": "classes", …}), then
{"input": …, "target": …} for each lesson. Characters and words are written as a text, numbers as a list for each step;
a target is a label, a number or a list of them, and is left out where the next input is predicted. `asks` may name the
steps that tell whether the network remembers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gatescope.models.compiler.denormals import flushed
from gatescope.models.network.bptt import NetworkPass, NetworkWeights
from gatescope.models.network.inputs import NO_TOKEN
from gatescope.models.network.losses import criterion
from gatescope.models.refused import Refused
from gatescope.models.training.corpus import Batch, Evaluation
from gatescope.models.training.examples import Examples, Row
from gatescope.models.training.recipe import Recipe, held_out

CLOSE = 0.04
EVALUATED = 256  # lessons at a time, fewer where they are wide
LARGEST_SLICE = 2**24  # numbers that come in or out


class ExampleDataset:
    """The lessons of a file, shuffled into batches anew in each epoch, the last of them held out.

    Raises Refused naming the line for what is no lesson, and for fewer than two.
    """

    held_out = trained_on = 0

    def __init__(self, text: str, recipe: Recipe | None = None):
        self.rows = found = Examples(text)
        self.vocabulary, self.channels, self.outputs, self.task = (
            found.vocabulary,
            found.channels,
            found.outputs,
            found.task,
        )
        self.size, self.longest, self.start = len(found), found.longest, found[0].inputs[0]
        if recipe:
            self._divide(recipe)

    def _divide(self, recipe: Recipe) -> None:
        self.seed, self.batch_size = recipe.seed, recipe.batch_size
        self.held_out = held_out(self.size, recipe.validation)
        self.trained_on = self.size - self.held_out
        self.epoch = self.trained_on // recipe.batch_size
        if not self.epoch or recipe.sequence_length != self.longest:
            raise Refused(
                "text",
                f"holds {self.trained_on:,} lessons of at most {self.longest:,} steps to train on, which do not fit "
                f"batches of {recipe.batch_size:,} with {recipe.sequence_length:,} steps",
            )

    def side_by_side(self, chosen: Sequence[int] | np.ndarray) -> Row:
        """Some lessons as one array each, (longest, lessons, …), with nothing after the end of the shorter ones; padded
        only as they are read: a file of one long lesson and many short ones would fill any memory.
        """
        shape = (self.longest, len(chosen))
        inputs = np.zeros((*shape, self.channels), np.float32) if self.channels else np.full(shape, NO_TOKEN)
        targets = (
            np.full((*shape, self.outputs), np.nan, np.float32) if self.task.is_regression else np.full(shape, NO_TOKEN)
        )
        asked = np.zeros(shape, bool)
        for column, row in enumerate(map(self.rows.__getitem__, chosen)):
            steps = len(row.inputs)
            inputs[:steps, column], targets[:steps, column], asked[:steps, column] = row
        return Row(inputs, targets, asked)

    def batch(self, step: int) -> Batch:
        """The batch of step 1, 2, …: the lessons in an order drawn anew for each epoch."""
        order = np.random.default_rng((self.seed, self.epoch_of(step))).permutation(self.trained_on)
        first = (step - 1) % self.epoch * self.batch_size
        chosen = order[first : first + self.batch_size]
        inputs, targets, _ = self.side_by_side(chosen)
        return Batch(inputs, targets, True)

    def epoch_of(self, step: int) -> int:
        """Which reading of the lessons a step belongs to, from 1."""
        return (step - 1) // self.epoch + 1

    def evaluate(self, weights: NetworkWeights) -> Evaluation:
        """Mean loss a judged step over the held-out lessons (all of them where none are), and which part of the asked
        steps is right: the likeliest class, or numbers that are all closer than 0.04.
        """
        first = self.trained_on if self.held_out else 0
        losses, right, count, asked = 0.0, 0, 0, 0
        wide = self.longest * max(self.channels or 1, self.outputs)
        together = max(1, min(EVALUATED, LARGEST_SLICE // wide))
        for start in range(first, self.size, together):
            inputs, targets, where = self.side_by_side(range(start, min(start + together, self.size)))
            read = NetworkPass(weights, self.longest, inputs.shape[1], backward=False)
            with flushed(), np.errstate(over="ignore", invalid="ignore"):
                read.forward(inputs)
                found, _ = criterion(self.task.is_regression)[0](read.logits, targets)
            judged = ~np.isnan(found)
            losses, count = losses + float(found[judged].sum(dtype=np.float64)), count + int(judged.sum())
            if self.task.is_regression:
                answers = (np.abs(read.logits - targets) < CLOSE).all(axis=-1)
            else:
                answers = read.logits.argmax(axis=-1) == targets
            right, asked = right + int((answers & judged & where).sum()), asked + int((judged & where).sum())
        return Evaluation(losses / max(count, 1), right / max(asked, 1))
