"""What one reading of a text recorded: every signal and its gradient at every step, as tensors or as a stream of
events.

`trace` gives it whole, `stream` as it is computed: forward frames in rising time, then backward frames in falling time.
Losses are in nats. Leaves out what a page or a file makes of it (see the service).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gatescope.models.compiler.backend import chosen
from gatescope.models.graph.description import describe
from gatescope.models.inspection.recorder import Reading
from gatescope.models.network.architecture import Part
from gatescope.models.network.bptt import blocks
from gatescope.models.network.inputs import norm
from gatescope.models.network.network import Network

FRAME = 32
GUESSES = 5


@dataclass
class Trace:
    """tensors: `layer0.<signal>` (N, H), `layer0_reverse.<signal>` where a layer also reads from the end,
    `convolution.h`, `logits` (N, V), `loss` (one for each step that is judged: N−1 where the next input is predicted),
    `grad.layer0.<signal>`, `grad.parameters.<name>`, `norm.layer0.<parameter>` (N,). metadata: model, tokens (or
    values), targets, cell description, loss, seconds.
    """

    tensors: dict[str, np.ndarray]
    metadata: dict


def trace(network: Network, inputs: Sequence, **asked) -> Trace:
    """Read a sequence and record everything; what may be asked for, and the errors, are those of `Reading`.

    Gradients of states are total derivatives, through every path.
    """
    reading = Reading(network, inputs, **asked)
    for first, last in blocks(reading.steps):
        reading.forward(first, last)
        if not reading.wants_backward:
            reading.score(first, last)
    for first, last in reversed(blocks(reading.steps)) if reading.wants_backward else ():
        reading.backward(first, last)
    names = [part.name for part in network.parts]

    def named(prefix: str, layers: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        pairs = zip(names, layers, strict=True)
        return {f"{prefix}{name}.{key}": values for name, layer in pairs for key, values in layer.items()}

    tensors = named("", reading.layers(0, reading.steps))
    tensors |= {"logits": reading.logits[:, 0], "loss": reading.losses[reading.lesson.scored]}
    if reading.wants_backward:
        tensors |= named("grad.", reading.layers(0, reading.steps, True))
        tensors |= {f"grad.parameters.{name}": gradient for name, gradient in reading.work.gradients.items()}
        tensors |= named("norm.", reading.work.norms)
    facts = about(network, reading.inputs) | {"objective": reading.loss} | reading.summary()
    return Trace(tensors, facts if network.form.gives == "next" else facts | {"targets": wanted(reading)})


def stream(network: Network, inputs: Sequence, **asked) -> Iterator[tuple[str, dict]]:
    """The same as events (name, data), arrays as NumPy arrays: `begin`, `forward` …, `backward` …, `end`.

    A frame carries n steps: t, t+1, … in a forward frame; t, t−1, … in a backward one. Raises ValueError before the
    first event.
    """
    return _events(Reading(network, inputs, **asked))


def about(network: Network, inputs: np.ndarray, steps: int | None = None) -> dict:
    """Who reads what: inputs (N, 1) tokens, −1 for nothing, or (N, 1, channels) numbers; steps: how many
    there will be.
    """
    return {
        "model": network.id,
        "task": network.task,
        "pattern": network.form.pattern,
        "cell": describe(network.cell),
        "values" if network.channels else "tokens": inputs[:, 0].tolist(),
        "layers": network.layers,
        "hidden": network.hidden,
        "kernel": chosen(steps or len(inputs)),
        "parts": [part_of(network, part) for part in network.parts],
        "labels": network.form.labels,
    }


def part_of(network: Network, part: Part) -> dict:
    """A layer as a page draws it: with a description of its own where its cell is not the network's."""
    return part.describe() | ({} if part.cell is network.cell else {"description": describe(part.cell)})


def opening(network: Network, inputs: np.ndarray, steps: int | None = None) -> tuple[str, dict]:
    """The `begin` event: who reads what, and in which numbers arrays travel."""
    return "begin", about(network, inputs, steps) | {"dtype": "float16"}


def _events(reading: Reading) -> Iterator[tuple[str, dict]]:
    work = reading.work
    yield opening(reading.network, reading.inputs)
    for first, last in blocks(reading.steps, FRAME):
        reading.forward(first, last)
        given = reading.score(first, last)[:, 0]
        frame = {
            "t": first,
            "n": last - first,
            "layers": reading.layers(first, last),
            "loss": reading.losses[first:last],
        }
        if reading.network.form.counts:
            yield "forward", frame | {"outputs": given}
        else:
            yield "forward", frame | {"top": [guesses(expected) for expected in given]}
    for first, last in reversed(blocks(reading.steps, FRAME)) if reading.wants_backward else ():
        reading.backward(first, last)
        layers = [
            {signal: values[::-1] for signal, values in layer.items()} for layer in reading.layers(first, last, True)
        ]
        norms = [{name: values[first:last][::-1] for name, values in layer.items()} for layer in work.norms]
        # as plain numbers: a gradient that vanishes is soon too small for the format in which arrays travel
        sizes = [
            {name: _plain(norm(values)) for name, values in layer.items()}
            | {name: _plain(values) for name, values in shares.items()}
            for layer, shares in zip(layers, norms, strict=True)
        ]
        frame = {"t": last - 1, "n": last - first, "layers": layers, "norms": norms, "gradient_norms": sizes}
        yield "backward", frame
    yield "end", reading.summary() | {"targets": None if reading.network.form.gives == "next" else wanted(reading)}


def wanted(reading: Reading) -> list:
    """What should have come out, one entry for each step that is judged: a class (−1 where none is known) or numbers
    (None where none are).
    """
    known = reading.targets[reading.lesson.scored, 0]
    return np.where(np.isnan(known), None, known).tolist()


def _plain(sizes: np.ndarray) -> list[float]:
    return [float(f"{size:.5g}") for size in sizes]


def guesses(probabilities: np.ndarray) -> list[list]:
    """The likeliest next tokens with their probabilities, likeliest first: [[token, probability], …]."""
    best = np.argsort(-probabilities, kind="stable")[:GUESSES]
    return [[int(token), round(float(probabilities[token]), 4)] for token in best]
