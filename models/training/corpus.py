"""A text as training reads it: parallel columns with carried states, and a held-out tail."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gatescope.models.compiler.denormals import flushed
from gatescope.models.network.bptt import NetworkPass, NetworkWeights
from gatescope.models.network.losses import cross_entropy
from gatescope.models.network.task import Task
from gatescope.models.refused import Refused
from gatescope.models.training.recipe import Recipe, batches, held_out

A_LINE = 60  # characters


class Batch(NamedTuple):
    """What one step reads and what it should have predicted, (steps, batch) each, or (steps, batch, numbers); `begins`:
    all states are zero.
    """

    inputs: np.ndarray
    targets: np.ndarray
    begins: bool


class Evaluation(NamedTuple):
    """The mean loss of held-out steps, and which part of the steps that were asked for is right, if any was."""

    loss: float
    right: float | None = None


class Corpus:
    """A text's characters in the order of their numbers (`vocabulary`), its batches and its held-out tail.

    A text too short to hold anything out is validated on itself. Raises Refused for a text without two different
    characters, or too short for the recipe; `Recipe.for_text` makes one that fits.
    """

    channels, outputs = None, None

    def __init__(self, text: str, recipe: Recipe):
        try:
            points = np.frombuffer(text.encode("utf-32-le"), "<u4")
        except UnicodeEncodeError:
            raise Refused("text", "holds half of a surrogate pair, which is not a character") from None
        self.vocabulary, self.task = sorted(set(text)), Task(example=opening(text))
        tokens = np.unique(points, return_inverse=True)[1].astype(np.intp)
        self.size, self.held_out = len(tokens), held_out(len(tokens), recipe.validation)
        self.trained_on = self.size - self.held_out
        self.validation = tokens[self.trained_on :] if self.held_out else tokens
        self.length = recipe.sequence_length
        self.epoch = batches(self.trained_on, recipe.batch_size, recipe.sequence_length)
        if len(self.vocabulary) < 2 or self.epoch < 1:
            raise Refused(
                "text",
                f"is too short or too plain: {self.size} characters, {len(self.vocabulary)} different, for "
                f"{recipe.batch_size} sequences of {recipe.sequence_length}",
            )
        self.start, rows = tokens[0], self.trained_on // recipe.batch_size
        self.columns = tokens[: rows * recipe.batch_size].reshape(recipe.batch_size, rows).T

    def batch(self, step: int) -> Batch:
        """The batch of step 1, 2, …; it goes on where the one before ended, or begins the text again."""
        number = (step - 1) % self.epoch
        first = number * self.length
        part = np.ascontiguousarray(self.columns[first : first + self.length + 1])
        return Batch(part[:-1], part[1:], number == 0)

    def epoch_of(self, step: int) -> int:
        """Which reading of the text a step belongs to, from 1."""
        return (step - 1) // self.epoch + 1

    def evaluate(self, weights: NetworkWeights) -> Evaluation:
        """Mean loss in nats a character of the held-out text."""
        return Evaluation(evaluate(weights, self.validation))


def opening(text: str) -> str:
    """How a text begins, for what is learnt from it to open with: a line of the bench, cut between two words."""
    begin = text[: 20 * A_LINE].strip()
    if len(begin) <= A_LINE:
        return begin
    cut = max(begin.rfind(space, A_LINE // 2, A_LINE) for space in " \n")
    return begin[: cut if cut > 0 else A_LINE]


def evaluate(weights: NetworkWeights, tokens: np.ndarray) -> float:
    """Mean loss in nats a character over a text read once from its beginning, state carried all along; no dropout."""
    length = min(256, len(tokens) - 1)
    read, total = NetworkPass(weights, length, backward=False), 0.0
    with flushed(), np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, len(tokens) - 1, length):
            inputs = tokens[first : first + length + 1, None]
            for layer in read.layers:
                if first:
                    layer.carry()
            read.forward(inputs[:-1])
            losses, _ = cross_entropy(read.logits[: len(inputs) - 1], inputs[1:])
            total += float(losses.sum(dtype=np.float64))
    return total / (len(tokens) - 1)
