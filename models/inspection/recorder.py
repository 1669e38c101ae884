"""One network reading one sequence: what traces, sums inside gates and the check of gradients build on."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from gatescope.models.compiler.denormals import flushed
from gatescope.models.inspection.interventions import Intervention, intervention_records
from gatescope.models.network.bptt import NetworkPass, NetworkWeights, chunk_length
from gatescope.models.network.inputs import NO_TOKEN
from gatescope.models.network.layer import InterventionRecords
from gatescope.models.network.losses import criterion
from gatescope.models.network.network import Network
from gatescope.models.network.task import Rows
from gatescope.models.refused import Refused

LOSSES = ("every", "last")
PRECISIONS = ("float32", "float64")


class RecorderOptions(TypedDict, total=False):
    """What `Recorder` may be told besides the network and the inputs."""

    loss: str
    backward: bool
    precision: str
    signals: Sequence[str] | None
    interventions: Sequence[Intervention]
    targets: Rows | None


class Summary(TypedDict):
    """A reading in four numbers: nats (None without a readout), bits (None for numbers), norm (None where nothing went
    back), seconds.
    """

    loss: float | None
    bits_per_character: float | None
    gradient_norm: float | None
    seconds: float


class Recorder:
    """A network reading a sequence, forwards and backwards by time chunks of at most `bptt.chunk_length()` steps.

    All is kept that was asked for, and what the backward pass needs; where that is not all there is, the rest is
    forgotten from chunk to chunk, so that a long text takes no more memory than its trace.

    inputs: tokens (N,), or numbers (N, channels). loss: `every` (L is the sum of the losses of all steps that are
    judged) or `last` (only the last one's). backward: record the backward pass too. precision: float32 or float64.
    signals: which to give, None for all. interventions: what is overwritten before anything reads it. targets: what
    should come out, needed where it is not the next input; a network that tells a class at the end and is given no
    target is asked for the class it finds likeliest. Raises Refused.
    """

    def __init__(
        self,
        network: Network,
        inputs: Rows,
        loss: str = "every",
        backward: bool = True,
        precision: str = "float32",
        signals: Sequence[str] | None = None,
        interventions: Sequence[Intervention] = (),
        targets: Rows | None = None,
    ):
        known = list(network.cell.graph().signals)
        _check("loss", loss, LOSSES)
        _check("precision", precision, PRECISIONS)
        _check_signals(signals, known)
        self.network, self.loss, self.example = network, loss, network.example_of(inputs, targets)
        self.inputs = self.example.inputs[:, None]
        self.targets = self.example.targets[:, None].astype(precision if network.task.is_regression else np.intp)
        self.steps = len(self.inputs)
        self.target_is_argmax = (
            targets is None and network.task.gives == "classes" and network.task.pattern == "many-to-one"
        )
        self.wants_backward = backward and network.predicts and self._is_judged()
        self.signals = [signal for signal in known if signals is None or signal in signals]
        self.began = time.perf_counter()
        weights = network.weights(precision)
        self.recycles = len(self.signals) < len(known) and weights.recycles and not interventions
        self.work = self._pass(weights, intervention_records(network, self.steps, interventions, precision))
        self.losses = np.full(self.steps if network.predicts else 0, np.nan, precision)
        self.copied: dict[bool, list[dict[str, np.ndarray]]] = {}
        self.logits = self.work.logits
        if self.recycles:
            self.copied = {False: self._empty(), True: self._empty() if self.wants_backward else []}
        if self.work.steps < self.steps:
            self.logits = np.empty((self.steps, 1, network.outputs), precision)

    def _is_judged(self) -> bool:
        """Whether a loss may fall at any step: for what predicts its next input it is zero where none does."""
        if self.target_is_argmax or self.network.task.gives == "next":
            return True
        unknown = np.isnan(self.targets) if self.network.task.is_regression else self.targets == NO_TOKEN
        return not unknown.all()

    def _pass(self, weights: NetworkWeights, overwritten: Sequence[InterventionRecords]) -> NetworkPass:
        """The pass, with records of as many steps as must be kept at a time."""
        gradient_window = min(chunk_length(self.steps), self.steps) if self.recycles else self.steps
        return NetworkPass(
            weights,
            self.steps if self.wants_backward else gradient_window,
            backward=self.wants_backward,
            interventions=None if self.recycles else overwritten,
            gradient_window=gradient_window,
        )

    def _empty(self) -> list[dict[str, np.ndarray]]:
        shapes = [
            {signal: (self.steps, values.shape[-1]) for signal, values in layer.items()} for layer in self._rows()
        ]
        return [{signal: np.empty(shape, self.losses.dtype) for signal, shape in layer.items()} for layer in shapes]

    def _rows(self, gradients: bool = False) -> list[dict[str, np.ndarray]]:
        """What the records of the pass hold of each layer's signals, or of their gradients, as views."""
        return [
            {
                signal: (layer.gradient(signal) if gradients else layer.signal(signal))[:, 0]
                for signal in layer.cell.graph().signals
                if signal in self.signals or layer.cell is not self.network.cell
            }
            for layer in self.work.layers
        ]

    def _copy(self, first: int, last: int, gradients: bool, begin: int) -> None:
        """Copy a chunk out of the records, where it begins at row `begin`."""
        for copied, rows in zip(self.copied[gradients], self._rows(gradients), strict=True):
            for signal, values in rows.items():
                copied[signal][first:last] = values[begin : begin + last - first]

    def _whole(self, first: int, last: int, begins: bool) -> tuple[int, int] | None:
        """The steps to run for a chunk: where layers read in both directions, all of them with the first chunk."""
        if not self.work.weights.both_ways:
            return first, last
        return (0, self.steps) if begins else None

    def forward(self, first: int, last: int) -> None:
        """Read steps first…last−1; chunks in rising order."""
        span = self._whole(first, last, first == 0)
        if span is None:
            return
        with flushed():
            if self.work.steps == self.steps:
                self.work.forward(self.inputs[slice(*span)], span[0])
            else:
                for layer in self.work.layers if first else ():
                    layer.carry()
                self.work.forward(self.inputs[slice(*span)])
        if self.recycles:
            begin = first if self.work.steps == self.steps else 0
            self._copy(first, last, False, begin)
        if self.work.steps < self.steps:
            self.logits[first:last] = self.work.logits[: last - first]

    def score(self, first: int, last: int) -> np.ndarray:
        """Fill in the losses of a chunk; gives the probabilities of the classes, or the numbers, (n, 1, outputs)."""
        outputs = self.logits[first:last]
        if not self.network.predicts:
            return outputs
        if self.target_is_argmax and last == self.steps:
            self.targets[-1] = outputs[-1].argmax()
        losses, judged = criterion(self.network.task.is_regression)[0](outputs, self.targets[first:last])
        self.losses[first:last] = losses[:, 0]
        return judged

    def backward(self, first: int, last: int) -> None:
        """Go back from step last−1 to first; chunks in falling order."""
        span = self._whole(first, last, last == self.steps)
        if span is None:
            return
        first, last = span
        with flushed():
            judged, final = self.score(first, last), self.example.loss_steps.stop - 1
            gradient, first_scored = None, None
            if self.loss == "every" or first <= final < last:
                gradient = criterion(self.network.task.is_regression)[1](judged, self.targets[first:last])
                if self.loss == "last":
                    gradient, first_scored = gradient[final - first : final - first + 1], final
            self.work.backward(gradient, first, last, record_norms=True, first_scored=first_scored)
        if self.recycles:
            self._copy(first, last, True, 0)

    def layers(self, first: int, last: int, gradients: bool = False) -> list[dict[str, np.ndarray]]:
        """Each layer's signals, or their gradients, at steps first…last−1, (n, H)."""
        rows = self.copied[gradients] if self.recycles else self._rows(gradients)
        return [{signal: values[first:last] for signal, values in layer.items()} for layer in rows]

    def summary(self) -> Summary:
        """Total loss, bits a character over the whole text, the gradient's norm over all weights, seconds."""
        counted = self.losses[self.example.loss_steps]
        counted = counted[~np.isnan(counted)]
        total = float(counted.sum(dtype=np.float64) if self.loss == "every" else counted[-1:].sum())
        squares = [float(np.vdot(gradient, gradient)) for gradient in self.work.gradients.values()]
        bits = len(counted) and not self.network.task.is_regression
        return {
            "loss": total if self.network.predicts else None,
            "bits_per_character": float(counted.mean()) / math.log(2) if bits else None,
            "gradient_norm": math.sqrt(sum(squares)) if self.wants_backward else None,
            "seconds": round(time.perf_counter() - self.began, 6),
        }


def _check_signals(signals: Sequence[str] | None, known: Sequence[str]) -> None:
    if signals is not None and not (signals and set(signals) <= set(known)):
        raise Refused("signals", f"must be one of {', '.join(known)}")


def _check(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise Refused(name, f"must be one of {', '.join(allowed)}")
