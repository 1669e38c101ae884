"""What one reading of a text recorded: every signal and its gradient at every step, as tensors or as a stream of
events.

`trace` gives it whole, `stream` as it is computed: forward frames in rising time, then backward frames in falling time.
Losses are in nats. Leaves out what a page or a file makes of it (see the service).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.denormals import flushed
from models.description import describe
from models.given import norm
from models.interventions import Intervention, clamps
from models.network import Network
from models.passes import Pass, blocks, cross_entropy, logit_gradient, softmax

LOSSES = ("every", "last")
PRECISIONS = ("float32", "float64")
FRAME = 32
GUESSES = 5


@dataclass
class Trace:
    """tensors: `layer0.<signal>` (N, H), `logits` (N, V), `loss` (N−1,), `grad.layer0.<signal>`,
    `grad.parameters.<name>`, `norm.layer0.<parameter>` (N,). metadata: model, tokens, cell description, loss, seconds.
    """

    tensors: dict[str, np.ndarray]
    metadata: dict


class Reading:
    """One network reading one sequence: forward and backward by blocks of steps, with everything kept that was asked
    for.
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


def trace(
    network: Network,
    tokens: Sequence[int],
    loss: str = "every",
    backward: bool = True,
    precision: str = "float32",
    signals: Sequence[str] | None = None,
    interventions: Sequence[Intervention] = (),
) -> Trace:
    """Read a sequence and record everything.

    loss: `every` (L is the sum of −ln p of each next character) or `last` (only the last one's). signals: which to
    return, None for all. interventions: what is overwritten before anything reads it. Raises ValueError naming the
    parameter and what it may be. Gradients of states are total derivatives, through every path. Without a readout
    there are none: `logits` and `loss` are empty and the pass is forward only.
    """
    reading = Reading(network, tokens, loss, backward, precision, signals, interventions)
    for first, last in blocks(reading.steps):
        reading.forward(first, last)
        if not reading.wants_backward:
            reading.score(first, last)
    for first, last in reversed(blocks(reading.steps)) if reading.wants_backward else ():
        reading.backward(first, last)
    tensors = {
        f"layer{index}.{signal}": values
        for index, layer in enumerate(reading.layers(0, reading.steps))
        for signal, values in layer.items()
    }
    tensors |= {"logits": reading.work.logits[:, 0], "loss": reading.losses[:-1]}
    if reading.wants_backward:
        tensors |= {
            f"grad.layer{index}.{signal}": values
            for index, layer in enumerate(reading.layers(0, reading.steps, True))
            for signal, values in layer.items()
        }
        tensors |= {f"grad.parameters.{name}": gradient for name, gradient in reading.work.gradients.items()}
        tensors |= {
            f"norm.layer{index}.{name}": norms
            for index, layer in enumerate(reading.work.norms)
            for name, norms in layer.items()
        }
    return Trace(
        tensors,
        {
            "model": network.id,
            "tokens": [int(token) for token in tokens],
            "cell": describe(network.cell),
            "layers": network.layers,
            "hidden": network.hidden,
            "task": network.task,
            "objective": loss,
        }
        | reading.summary(),
    )


def stream(
    network: Network,
    tokens: Sequence[int],
    loss: str = "every",
    backward: bool = True,
    precision: str = "float32",
    signals: Sequence[str] | None = None,
    interventions: Sequence[Intervention] = (),
) -> Iterator[tuple[str, dict]]:
    """The same as events (name, data), arrays as NumPy arrays: `begin`, `forward` …, `backward` …, `end`.

    A frame carries n steps: t, t+1, … in a forward frame; t, t−1, … in a backward one. Raises ValueError before the
    first event.
    """
    reading = Reading(network, tokens, loss, backward, precision, signals, interventions)
    return _events(reading)


def opening(network: Network, tokens: list[int]) -> tuple[str, dict]:
    """The `begin` event: who reads what."""
    about = {"model": network.id, "task": network.task, "cell": describe(network.cell), "tokens": tokens}
    return "begin", about | {"layers": network.layers, "hidden": network.hidden, "dtype": "float16"}


def _events(reading: Reading) -> Iterator[tuple[str, dict]]:
    work = reading.work
    yield opening(reading.network, reading.tokens[:, 0].tolist())
    for first, last in blocks(reading.steps, FRAME):
        reading.forward(first, last)
        reading.score(first, last)
        frame = {
            "t": first,
            "n": last - first,
            "layers": reading.layers(first, last),
            "loss": reading.losses[first:last],
        }
        yield "forward", frame | {"top": [guesses(logits) for logits in work.logits[first:last, 0]]}
    for first, last in reversed(blocks(reading.steps, FRAME)) if reading.wants_backward else ():
        reading.backward(first, last)
        layers = [
            {signal: values[::-1] for signal, values in layer.items()} for layer in reading.layers(first, last, True)
        ]
        norms = [{name: values[first:last][::-1] for name, values in layer.items()} for layer in work.norms]
        # as plain numbers: a gradient that vanishes is soon too small for the format in which arrays travel
        sizes = [
            {signal: [float(f"{size:.5g}") for size in norm(values)] for signal, values in layer.items()}
            for layer in layers
        ]
        frame = {"t": last - 1, "n": last - first, "layers": layers, "norms": norms, "gradient_norms": sizes}
        yield "backward", frame
    yield "end", reading.summary()


def guesses(logits: np.ndarray) -> list[list]:
    """The likeliest next tokens with their probabilities, likeliest first: [[token, probability], …]; none without
    logits.
    """
    if not logits.size:
        return []
    probabilities = softmax(logits)
    best = np.argsort(-probabilities, kind="stable")[:GUESSES]
    return [[int(token), round(float(probabilities[token]), 4)] for token in best]
