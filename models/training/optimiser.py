"""The optimiser: PyTorch's AdamW (Loshchilov & Hutter 2019) and clipping, over all parameters as one flat vector that
NumPy shares.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gatescope.models.training.recipe import Recipe


class Update(NamedTuple):
    """One move of the weights: the gradient's norm before clipping, whole and by parameter, and what clipping
    multiplied it by.
    """

    norm: float
    norms: dict[str, float]
    scale: float


class Optimiser:
    """The parameters of a network, their gradient and AdamW's memory of it, each one flat float32 vector.

    parameters and gradients: the same numbers by name, as NumPy views. What is added to `gradients` counts until the
    next `update`.
    """

    def __init__(self, parameters: dict[str, np.ndarray], recipe: Recipe):
        import torch

        torch.set_num_threads(1)
        shapes = {name: array.shape for name, array in parameters.items()}
        size = sum(math.prod(shape) for shape in shapes.values())
        self._weights, self._gradient = torch.zeros(size), torch.zeros(size)
        self.flat, self.gradient = self._weights.numpy(), self._gradient.numpy()
        self.parameters, self.gradients = _views(self.flat, shapes), _views(self.gradient, shapes)
        for name, array in parameters.items():
            self.parameters[name][...] = array
        self.memory = {"mean": torch.zeros(size), "square": torch.zeros(size), "moves": torch.zeros(())}
        self.clip, self.weight_decay = recipe.clip, recipe.weight_decay

    def update(self, rate: float, batches: int) -> Update:
        """Move the weights along the mean of the gradients of so many batches, shortened to `clip`; forget them.

        Clipped by the norm over all parameters (Pascanu, Mikolov & Bengio 2013). PyTorch's `clip_grad_norm_` divides by
        the norm + 1e-6, which would be other bits, and tells no norm by parameter.
        """
        norms = {name: math.sqrt(float(np.vdot(part, part))) / batches for name, part in self.gradients.items()}
        norm = math.sqrt(sum(square * square for square in norms.values()))
        scale = min(1.0, self.clip / norm) if norm else 1.0
        if math.isfinite(norm):
            if scale / batches != 1:
                self._gradient.mul_(scale / batches)
            self._move(rate)
            self._gradient.zero_()
        return Update(norm, norms, scale)

    def _move(self, rate: float) -> None:
        # PyTorch's function, not its class: the first AdamW of a process imports a compiler, which takes over a second.
        from torch.optim.adamw import adamw

        mean, square, moves = self.memory.values()
        chosen = {"lr": rate, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": self.weight_decay}
        adamw([self._weights], [self._gradient], [mean], [square], [], [moves], fused=True, amsgrad=False,
              maximize=False, **chosen)  # fmt: skip


def _views(flat: np.ndarray, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    found, at = {}, 0
    for name, shape in shapes.items():
        found[name] = flat[at : at + math.prod(shape)].reshape(shape)
        at += math.prod(shape)
    return found
