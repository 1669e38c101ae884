"""What a training needs of whatever makes its gradients: the cells' programs, or a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from gatescope.models.graph.cell import Cell
from gatescope.models.network.bptt import NetworkWeights
from gatescope.models.training.corpus import Batch
from gatescope.models.training.recipe import Recipe


class ReadLayer(Protocol):
    """A layer after a batch, as statistics look at it."""

    cell: type[Cell]

    def signal(self, name: str) -> np.ndarray:
        """A signal's record, (steps, batch, H)."""

    def gradient(self, name: str) -> np.ndarray:
        """∂L/∂(a signal) at each step, (steps, batch, H)."""


class Batches(Protocol):
    """The gradient of one batch after another, states carried from batch to batch."""

    device: str

    @property
    def weights(self) -> NetworkWeights:
        """The parameters laid out for the programs, as they are now."""

    @property
    def shares(self) -> Sequence[Sequence[ReadLayer]]:
        """The layers of each part of the batch that was just read."""

    def step(self, batch: Batch, step: int, gradients: dict[str, np.ndarray]) -> float:
        """The mean loss a character of a batch; its gradient is added to `gradients`."""

    def refresh(self) -> None:
        """Take over what the parameters have become."""

    def states(self) -> dict[str, np.ndarray]:
        """The states that the next batch begins with, by part of the batch, layer and name, (batch, H)."""

    def restore(self, states: dict[str, np.ndarray]) -> None:
        """Begin the next batch with these states."""

    def close(self) -> None:
        """Let go of threads."""


MakeBatches = Callable[[NetworkWeights, Recipe], Batches]
