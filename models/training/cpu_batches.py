"""The gradient of one batch after another: truncated backpropagation through time with the programs that draw."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gatescope.models.compiler.denormals import flushed
from gatescope.models.network.architecture import widths
from gatescope.models.network.bptt import NetworkWeights, Pass, blocks
from gatescope.models.network.layer import Layer
from gatescope.models.network.losses import judge
from gatescope.models.training.corpus import Batch
from gatescope.models.training.recipe import Recipe


class Batches:
    """Passes over a batch's columns, shared among threads, states carried from batch to batch."""

    device = "cpu"

    def __init__(self, weights: NetworkWeights, recipe: Recipe):
        self.weights, self.recipe = weights, recipe
        self.columns = columns_of(recipe)
        self.passes = [Pass(weights, recipe.sequence_length, part.stop - part.start) for part in self.columns]
        self.pool = ThreadPoolExecutor(len(self.columns)) if len(self.columns) > 1 else None

    def close(self) -> None:
        """Let the threads end."""
        if self.pool:
            self.pool.shutdown()

    def refresh(self) -> None:
        """Take over what the parameters have become."""
        self.weights.refresh()

    @property
    def shares(self) -> list[list[Layer]]:
        """The layers of each part of the batch, with the records of the batch that was just read."""
        return [part.layers for part in self.passes]

    def states(self) -> dict[str, np.ndarray]:
        """The states that the next batch begins with, by part, layer and name, (batch, H)."""
        return {
            f"{part}.{index}.{state}": layer.records[state][-1]
            for part, layers in enumerate(self.shares)
            for index, layer in enumerate(layers)
            for state in layer.states
        }

    def restore(self, states: dict[str, np.ndarray]) -> None:
        """Begin the next batch with these states."""
        for name, state in self.states().items():
            state[...] = states[name]

    def step(self, batch: Batch, step: int, gradients: dict[str, np.ndarray]) -> float:
        """The mean loss a character of a batch; its gradient is added to `gradients`."""
        masks = dropout(self.recipe, step, widths(self.weights.parts))
        if self.pool is None:
            return self._part(self.passes[0], self.columns[0], batch, masks, gradients)
        own = [{name: np.zeros_like(array) for name, array in gradients.items()} for _ in self.passes]
        todo = zip(self.passes, self.columns, own, strict=True)
        losses = list(self.pool.map(lambda one: self._part(one[0], one[1], batch, masks, one[2]), todo))
        for name, total in gradients.items():
            for part in own:
                total += part[name]
        return sum(losses)

    def _part(
        self, part: Pass, columns: slice, batch: Batch, masks: list[np.ndarray], gradients: dict[str, np.ndarray]
    ) -> float:
        given, targets = batch.given[:, columns], batch.targets[:, columns]
        part.use(self.weights)
        part.gradients = gradients
        part.drop([mask[:, columns] for mask in masks])
        length, (loss, differentiate) = max(4, 1024 // given.shape[1]), judge(batch.targets.ndim == 3)
        # steps at which nothing is expected count for nothing, those of the whole batch being shared among its parts
        wanted = ~np.isnan(batch.targets[..., 0]) if batch.targets.ndim == 3 else batch.targets >= 0
        count = wanted.sum()
        with flushed(), np.errstate(over="ignore", invalid="ignore"):
            for layer in part.layers:
                layer.forget() if batch.begins else layer.carry()
            for first, last in blocks(len(given), length):
                part.forward(given[first:last], first)
            losses, judged = loss(part.logits, targets)
            gradient = differentiate(judged, targets)
            gradient *= np.float32(1 / count)
            for first, last in reversed(blocks(len(given), length)):
                part.backward(gradient[first:last], first, last)
        return float(losses[wanted[:, columns]].sum(dtype=np.float64) / count)


def columns_of(recipe: Recipe) -> list[slice]:
    """The parts of a batch, one a thread; a checkpoint keeps their states one by one."""
    edges = np.linspace(0, recipe.batch_size, recipe.threads + 1).astype(int)
    return [slice(first, last) for first, last in zip(edges[:-1], edges[1:], strict=True) if last > first]


def dropout(recipe: Recipe, step: int, given: list[int]) -> list[np.ndarray]:
    """For each level what its output is multiplied by in a step, (steps, batch, width), drawn from the recipe's seed
    and the number of the step alone; nothing where the recipe leaves nothing out. given: each level's width.
    """
    if not recipe.dropout:
        return []
    keep, random = np.float32(1 - recipe.dropout), np.random.default_rng((recipe.seed, step))
    drawn = [random.random((recipe.sequence_length, recipe.batch_size, width), np.float32) for width in given]
    return [np.multiply(mask < keep, 1 / keep, out=mask) for mask in drawn]
