"""One network reading one sequence: what `models.trace`, `models.arithmetic` and `models.verification` build on."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np

from models.denormals import flushed
from models.interventions import Intervention, clamps
from models.network import Network
from models.passes import Pass, cross_entropy, logit_gradient

LOSSES = ("every", "last")
PRECISIONS = ("float32", "float64")


class Reading:
    """A network reading a sequence, forward and backward by blocks of steps, with everything kept that was asked for.

    loss: `every` (L is the sum of −ln p of each next character) or `last` (only the last one's). backward: record the
    backward pass too. precision: float32 or float64. signals: which to give, None for all. interventions: what is
    overwritten before anything reads it. Raises ValueError naming the parameter and what it may be.
    """

    def __init__(
        self,
        network: Network,
        tokens: Sequence[int],
        loss: str = "every",
        backward: bool = True,
        precision: str = "float32",
        signals: Sequence[str] | None = None,
        interventions: Sequence[Intervention] = (),
    ):
        known = list(network.cell.graph().signals)
        _check("loss", loss, LOSSES)
        _check("precision", precision, PRECISIONS)
        for signal in signals or ():
            _check("signals", signal, known)
        if not len(tokens):
            raise ValueError("tokens: a text of at least one character is needed")
        if min(tokens) < 0 or max(tokens) >= network.vocabulary_size:
            raise ValueError(f"tokens: numbers must be between 0 and {network.vocabulary_size - 1}")
        self.network, self.steps, self.loss = network, len(tokens), loss
        self.wants_backward = backward and network.predicts
        self.signals = [signal for signal in known if not signals or signal in signals]
        self.tokens = np.asarray(tokens, np.intp)[:, None]
        self.targets = np.append(self.tokens[1:], [[-1]], axis=0)
        self.began = time.perf_counter()
        overwritten = clamps(network, self.steps, interventions, precision)
        self.work = Pass(network.weights(precision), self.steps, backward=self.wants_backward, clamps=overwritten)
        self.losses = np.full(self.steps if network.predicts else 0, np.nan, precision)

    def forward(self, first: int, last: int) -> None:
        """Read steps first…last−1."""
        with flushed():
            self.work.forward(self.tokens[first:last], first)

    def score(self, first: int, last: int) -> np.ndarray:
        """Fill in the losses of a block; gives the probabilities of every next character, (n, 1, V)."""
        if not self.network.predicts:
            return self.work.logits[first:last]
        losses, probabilities = cross_entropy(self.work.logits[first:last], self.targets[first:last])
        self.losses[first:last] = losses[:, 0]
        return probabilities

    def backward(self, first: int, last: int) -> None:
        """Go back from step last−1 to first; blocks in falling order."""
        with flushed():
            probabilities = self.score(first, last)
            if self.loss == "every":
                gradient = logit_gradient(probabilities, self.targets[first:last])
            elif first <= self.steps - 2 < last:
                gradient = logit_gradient(probabilities, self.targets[first:last])
                gradient[np.arange(first, last) != self.steps - 2] = 0
            else:
                gradient = None
            self.work.backward(gradient, first, last, record_norms=True)

    def layers(self, first: int, last: int, gradients: bool = False) -> list[dict[str, np.ndarray]]:
        """Each layer's signals, or their gradients, at steps first…last−1, (n, H)."""
        return [
            {
                signal: (layer.gradient(signal) if gradients else layer.signal(signal))[first:last, 0]
                for signal in self.signals
            }
            for layer in self.work.layers
        ]

    def summary(self) -> dict:
        """Total loss, bits a character over the whole text, the gradient's norm over all weights, seconds."""
        counted = self.losses[:-1]
        total = float(counted.sum(dtype=np.float64) if self.loss == "every" else counted[-1:].sum())
        squares = [float(np.vdot(gradient, gradient)) for gradient in self.work.gradients.values()]
        return {
            "loss": total if self.network.predicts else None,
            "bits_per_character": float(counted.mean()) / math.log(2) if len(counted) else None,
            "gradient_norm": math.sqrt(sum(squares)) if self.wants_backward else None,
            "seconds": round(time.perf_counter() - self.began, 6),
        }


def _check(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}: must be one of {', '.join(allowed)}")
