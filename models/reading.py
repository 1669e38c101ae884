"""One network reading one sequence: what `models.trace`, `models.arithmetic` and `models.verification` build on."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np

from models.denormals import flushed
from models.form import NOTHING
from models.interventions import Intervention, clamps
from models.losses import cross_entropy, logit_gradient, output_gradient, squared_error
from models.network import Network
from models.passes import Pass

LOSSES = ("every", "last")
PRECISIONS = ("float32", "float64")


class Reading:
    """A network reading a sequence, forward and backward by blocks of steps, with everything kept that was asked for.

    inputs: tokens (N,), or numbers (N, channels). loss: `every` (L is the sum of the losses of all steps that are
    judged) or `last` (only the last one's). backward: record the backward pass too. precision: float32 or float64.
    signals: which to give, None for all. interventions: what is overwritten before anything reads it. targets: what
    should come out, needed where it is not the next input; a network that tells a class at the end and is given no
    target is asked for the class it finds likeliest. Raises ValueError naming the parameter and what it may be.
    """

    def __init__(
        self,
        network: Network,
        inputs: Sequence[int] | Sequence[Sequence[float]],
        loss: str = "every",
        backward: bool = True,
        precision: str = "float32",
        signals: Sequence[str] | None = None,
        interventions: Sequence[Intervention] = (),
        targets: Sequence[int] | Sequence[Sequence[float]] | None = None,
    ):
        known = list(network.cell.graph().signals)
        _check("loss", loss, LOSSES)
        _check("precision", precision, PRECISIONS)
        for signal in signals or ():
            _check("signals", signal, known)
        self.lesson = network.lesson(inputs, targets)
        self.inputs = self.lesson.inputs[:, None]
        self.targets = self.lesson.targets[:, None].astype(precision if network.form.counts else np.intp)
        self.network, self.steps, self.loss = network, len(self.inputs), loss
        self.guessed = targets is None and network.form.gives == "classes" and network.form.pattern == "many-to-one"
        judged = self.guessed or not (np.isnan(self.targets) if network.form.counts else self.targets == NOTHING).all()
        self.wants_backward = backward and network.predicts and (judged or network.form.gives == "next")
        self.signals = [signal for signal in known if not signals or signal in signals]
        self.began = time.perf_counter()
        overwritten = clamps(network, self.steps, interventions, precision)
        self.work = Pass(network.weights(precision), self.steps, backward=self.wants_backward, clamps=overwritten)
        self.losses = np.full(self.steps if network.predicts else 0, np.nan, precision)

    def _whole(self, first: int, last: int, begins: bool) -> tuple[int, int] | None:
        """The steps to run for a block: where layers read in both directions, all of them with the first block."""
        if not self.work.weights.both_ways:
            return first, last
        return (0, self.steps) if begins else None

    def forward(self, first: int, last: int) -> None:
        """Read steps first…last−1; blocks in rising order."""
        if span := self._whole(first, last, first == 0):
            with flushed():
                self.work.forward(self.inputs[slice(*span)], span[0])

    def score(self, first: int, last: int) -> np.ndarray:
        """Fill in the losses of a block; gives the probabilities of the classes, or the numbers, (n, 1, outputs)."""
        given = self.work.logits[first:last]
        if not self.network.predicts:
            return given
        if self.guessed and last == self.steps:
            self.targets[-1] = given[-1].argmax()
        judge = squared_error if self.network.form.counts else cross_entropy
        losses, judged = judge(given, self.targets[first:last])
        self.losses[first:last] = losses[:, 0]
        return judged

    def backward(self, first: int, last: int) -> None:
        """Go back from step last−1 to first; blocks in falling order."""
        span = self._whole(first, last, last == self.steps)
        if span is None:
            return
        first, last = span
        with flushed():
            judged, final, gradient = self.score(first, last), self.lesson.scored.stop - 1, None
            if self.loss == "every" or first <= final < last:
                differentiate = output_gradient if self.network.form.counts else logit_gradient
                gradient = differentiate(judged, self.targets[first:last])
            if gradient is not None and self.loss == "last":
                gradient[np.arange(first, last) != final] = 0
            self.work.backward(gradient, first, last, record_norms=True)

    def layers(self, first: int, last: int, gradients: bool = False) -> list[dict[str, np.ndarray]]:
        """Each layer's signals, or their gradients, at steps first…last−1, (n, H)."""
        return [
            {
                signal: (layer.gradient(signal) if gradients else layer.signal(signal))[first:last, 0]
                for signal in layer.cell.graph().signals
                if signal in self.signals or layer.cell is not self.network.cell
            }
            for layer in self.work.layers
        ]

    def summary(self) -> dict:
        """Total loss, bits a character over the whole text, the gradient's norm over all weights, seconds."""
        counted = self.losses[self.lesson.scored]
        counted = counted[~np.isnan(counted)]
        total = float(counted.sum(dtype=np.float64) if self.loss == "every" else counted[-1:].sum())
        squares = [float(np.vdot(gradient, gradient)) for gradient in self.work.gradients.values()]
        bits = len(counted) and not self.network.form.counts
        return {
            "loss": total if self.network.predicts else None,
            "bits_per_character": float(counted.mean()) / math.log(2) if bits else None,
            "gradient_norm": math.sqrt(sum(squares)) if self.wants_backward else None,
            "seconds": round(time.perf_counter() - self.began, 6),
        }


def _check(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}: must be one of {', '.join(allowed)}")
