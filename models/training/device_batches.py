"""The gradient of one batch after another by PyTorch and its autograd, on a device: a GPU, where a worker has one.

What is evaluated are the graphs that the programs are derived from, on the same parameters, states and dropout; so a
training may go on from a checkpoint of either, and comes to the same up to rounding. The weights are moved on the
host, as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gatescope.models.network.architecture import widths
from gatescope.models.network.bptt import NetworkWeights
from gatescope.models.network.inputs import NO_TOKEN
from gatescope.models.training.corpus import Batch
from gatescope.models.training.cpu_batches import columns_of, dropout
from gatescope.models.training.device_layer import DeviceLayer
from gatescope.models.training.recipe import Recipe

if TYPE_CHECKING:
    import torch


class DeviceBatches:
    """What `CpuBatches` offers, on a device that PyTorch names so; layers read forwards only."""

    def __init__(self, weights: NetworkWeights, recipe: Recipe, device: str):
        import torch

        self.torch, self.device, self.recipe, self._weights = torch, device, recipe, weights
        self._moved, self.columns = False, columns_of(recipe)
        self.parameters = {
            name: torch.tensor(array, device=device, requires_grad=True) for name, array in weights.parameters.items()
        }
        self.layers = [DeviceLayer(part, recipe.batch_size, device) for part in weights.layer_specs]

    def close(self) -> None:
        """Nothing has to be ended."""

    @property
    def weights(self) -> NetworkWeights:
        """The parameters laid out for the programs, as they are now."""
        if self._moved:
            self._weights.refresh()
            self._moved = False
        return self._weights

    def refresh(self) -> None:
        """Take over what the parameters have become."""
        self._moved = True
        with self.torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(self.torch.from_numpy(self._weights.parameters[name]))

    @property
    def shares(self) -> list[list[DeviceLayer]]:
        """The layers, with the records of the batch that was just read."""
        return [self.layers]

    def states(self) -> dict[str, np.ndarray]:
        """The states that the next batch begins with, by part, layer and name as `CpuBatches` has them, (batch, H)."""
        return {
            f"{part}.{index}.{state}": layer.carried[state][columns].cpu().numpy()
            for part, columns in enumerate(self.columns)
            for index, layer in enumerate(self.layers)
            for state in layer.states
        }

    def restore(self, states: dict[str, np.ndarray]) -> None:
        """Begin the next batch with these states."""
        for name, state in states.items():
            part, index, signal = name.split(".")
            carried = self.layers[int(index)].carried[signal]
            carried[self.columns[int(part)]] = self._there(state)

    def step(self, batch: Batch, step: int, gradients: dict[str, np.ndarray]) -> float:
        """The mean loss a character of a batch; its gradient is added to `gradients`."""
        masks = dropout(self.recipe, step, widths(self._weights.layer_specs))
        outputs = self._given(batch.inputs)
        for layer in self.layers:
            if batch.begins:
                layer.forget()
            outputs = layer.forward(outputs, self.parameters)
            if masks:
                outputs = outputs * self._there(masks[layer.spec.level])
        weight, bias = self.parameters["readout.weight"], self.parameters["readout.bias"]
        logits = self.torch.nn.functional.linear(outputs, weight, bias)
        loss = self._loss(logits, self._there(batch.targets))
        loss.backward()
        for name, parameter in self.parameters.items():
            if parameter.grad is not None:
                gradients[name] += parameter.grad.cpu().numpy()
                parameter.grad = None
        return float(loss.item())

    def _there(self, array: np.ndarray) -> torch.Tensor:
        return self.torch.tensor(array, device=self.device)

    def _given(self, read: np.ndarray) -> torch.Tensor:
        """Numbers as they are, tokens as their embedding or one-hot, nothing as zeros, (steps, batch, width)."""
        if self._weights.channels:
            return self._there(read)
        if "embedding.weight" in self.parameters:
            table = self.parameters["embedding.weight"]
        else:
            first, _ = self.layers[0].spec.stored("weight_ih")
            table = self.torch.eye(self.parameters[first].shape[1], device=self.device)
        return self.torch.cat([table, self.torch.zeros_like(table[:1])])[self._there(read)]

    def _loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean over the steps at which something is expected, as `models.network.losses` judges them."""
        if targets.is_floating_point():
            wanted = ~targets.isnan()
            wrong = self.torch.where(wanted, logits - targets, 0)
            return wrong.square().sum() / 2 / wanted[..., 0].sum()
        return self.torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=NO_TOKEN)
