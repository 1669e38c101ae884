"""The gradient of one batch after another: truncated backpropagation through time with the programs that draw."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gatescope.models.compiler.denormals import flushed
from gatescope.models.network.architecture import widths
from gatescope.models.network.bptt import NetworkPass, NetworkWeights, time_chunks
from gatescope.models.network.layer import Layer
from gatescope.models.network.losses import criterion
from gatescope.models.training.corpus import Batch
from gatescope.models.training.recipe import Recipe


class CpuBatches:
    """Passes over a batch's columns, shared among threads, states carried from batch to batch."""

    device = "cpu"

    def __init__(self, weights: NetworkWeights, recipe: Recipe):
        self.weights, self.recipe = weights, recipe
        self.columns = columns_of(recipe)
        self.passes = [NetworkPass(weights, recipe.sequence_length, share.stop - share.start) for share in self.columns]
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
        """The layers of each thread's share of the batch, with the records of the batch that was just read."""
        return [share.layers for share in self.passes]

    def states(self) -> dict[str, np.ndarray]:
        """The states that the next batch begins with, by share, layer and name, (batch, H)."""
        return {
            f"{share}.{index}.{state}": layer.records[state][-1]
            for share, layers in enumerate(self.shares)
            for index, layer in enumerate(layers)
            for state in layer.states
        }

    def restore(self, states: dict[str, np.ndarray]) -> None:
        """Begin the next batch with these states."""
        for name, state in self.states().items():
            state[...] = states[name]

    def step(self, batch: Batch, step: int, gradients: dict[str, np.ndarray]) -> float:
        """The mean loss a character of a batch; its gradient is added to `gradients`."""
        masks = dropout(self.recipe, step, widths(self.weights.layer_specs))
        if self.pool is None:
            return self._share(self.passes[0], self.columns[0], batch, masks, gradients)
        own = [{name: np.zeros_like(array) for name, array in gradients.items()} for _ in self.passes]
        todo = zip(self.passes, self.columns, own, strict=True)
        losses = list(self.pool.map(lambda one: self._share(one[0], one[1], batch, masks, one[2]), todo))
        for name, total in gradients.items():
            for share in own:
                total += share[name]
        return sum(losses)

    def _share(
        self,
        share: NetworkPass,
        columns: slice,
        batch: Batch,
        masks: list[np.ndarray],
        gradients: dict[str, np.ndarray],
    ) -> float:
        inputs, targets = batch.inputs[:, columns], batch.targets[:, columns]
        share.use(self.weights)
        share.gradients = gradients
        share.drop([mask[:, columns] for mask in masks])
        length, (loss, differentiate) = max(4, 1024 // inputs.shape[1]), criterion(batch.targets.ndim == 3)
        # steps at which nothing is expected count for nothing, those of the whole batch being shared among its parts
        wanted = ~np.isnan(batch.targets[..., 0]) if batch.targets.ndim == 3 else batch.targets >= 0
        count = wanted.sum()
        with flushed(), np.errstate(over="ignore", invalid="ignore"):
            for layer in share.layers:
                layer.forget() if batch.begins else layer.carry()
            for first, last in time_chunks(len(inputs), length):
                share.forward(inputs[first:last], first)
            losses, judged = loss(share.logits, targets)
            gradient = differentiate(judged, targets)
            gradient *= np.float32(1 / count)
            for first, last in reversed(time_chunks(len(inputs), length)):
                share.backward(gradient[first:last], first, last)
        return float(losses[wanted[:, columns]].sum(dtype=np.float64) / count)


def columns_of(recipe: Recipe) -> list[slice]:
    """The parts of a batch, one a thread; a checkpoint keeps their states one by one."""
    edges = np.linspace(0, recipe.batch_size, recipe.threads + 1).astype(int)
    return [slice(first, last) for first, last in zip(edges[:-1], edges[1:], strict=True) if last > first]


def dropout(recipe: Recipe, step: int, inputs: list[int]) -> list[np.ndarray]:
    """For each level what its output is multiplied by in a step, (steps, batch, width), drawn from the recipe's seed
    and the number of the step alone; nothing where the recipe leaves nothing out. given: each level's width.
    """
    if not recipe.dropout:
        return []
    keep, random = np.float32(1 - recipe.dropout), np.random.default_rng((recipe.seed, step))
    drawn = [random.random((recipe.sequence_length, recipe.batch_size, width), np.float32) for width in inputs]
    return [np.multiply(mask < keep, 1 / keep, out=mask) for mask in drawn]
