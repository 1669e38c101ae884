"""What one reading of a text recorded: every signal and its gradient at every step, as tensors or as a stream of
events.

`trace` gives it whole, `stream` as it is computed: forward frames in rising time, then backward frames in falling time.
Losses are in nats. Leaves out what a page or a file makes of it (see the service).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.description import describe
from models.given import norm
from models.network import Network
from models.passes import blocks
from models.reading import Reading

FRAME = 32
GUESSES = 5


@dataclass
class Trace:
    """tensors: `layer0.<signal>` (N, H), `logits` (N, V), `loss` (N−1,), `grad.layer0.<signal>`,
    `grad.parameters.<name>`, `norm.layer0.<parameter>` (N,). metadata: model, tokens, cell description, loss, seconds.
    """

    tensors: dict[str, np.ndarray]
    metadata: dict


def trace(network: Network, tokens: Sequence[int], **asked) -> Trace:
    """Read a sequence and record everything; what may be asked for, and the errors, are those of `Reading`.

    Gradients of states are total derivatives, through every path.
    """
    reading = Reading(network, tokens, **asked)
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
            "objective": reading.loss,
        }
        | reading.summary(),
    )


def stream(network: Network, tokens: Sequence[int], **asked) -> Iterator[tuple[str, dict]]:
    """The same as events (name, data), arrays as NumPy arrays: `begin`, `forward` …, `backward` …, `end`.

    A frame carries n steps: t, t+1, … in a forward frame; t, t−1, … in a backward one. Raises ValueError before the
    first event.
    """
    return _events(Reading(network, tokens, **asked))


def opening(network: Network, tokens: list[int]) -> tuple[str, dict]:
    """The `begin` event: who reads what."""
    about = {"model": network.id, "task": network.task, "cell": describe(network.cell), "tokens": tokens}
    return "begin", about | {"layers": network.layers, "hidden": network.hidden, "dtype": "float16"}


def _events(reading: Reading) -> Iterator[tuple[str, dict]]:
    work = reading.work
    yield opening(reading.network, reading.tokens[:, 0].tolist())
    for first, last in blocks(reading.steps, FRAME):
        reading.forward(first, last)
        probabilities = reading.score(first, last)[:, 0]
        frame = {
            "t": first,
            "n": last - first,
            "layers": reading.layers(first, last),
            "loss": reading.losses[first:last],
        }
        yield "forward", frame | {"top": [guesses(expected) for expected in probabilities]}
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


def guesses(probabilities: np.ndarray) -> list[list]:
    """The likeliest next tokens with their probabilities, likeliest first: [[token, probability], …]."""
    best = np.argsort(-probabilities, kind="stable")[:GUESSES]
    return [[int(token), round(float(probabilities[token]), 4)] for token in best]
