"""What one reading of a text recorded: every signal and its gradient at every step, as tensors or as a stream of
events.

`trace` gives it whole, `stream` as it is computed: forward frames in rising time, then backward frames in falling time.
Losses are in nats. Leaves out what a page or a file makes of it (see the service).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from gatescope.models.compiler.backend import chosen_kernel
from gatescope.models.graph.description import describe
from gatescope.models.inspection.computation import Computation, Pieces
from gatescope.models.inspection.recorder import Recorder, RecorderOptions
from gatescope.models.network.architecture import LayerSpec
from gatescope.models.network.bptt import time_chunks
from gatescope.models.network.inputs import norm
from gatescope.models.network.network import Network
from gatescope.models.network.task import Rows

FRAME = 32
LARGEST_FRAME = 2**20  # numbers
GUESSES = 5
Event = tuple[str, dict[str, Any]]  # its name, and data as JSON can hold it but for NumPy's arrays


@dataclass
class Trace:
    """tensors: `layer0.<signal>` (N, H), `layer0_reverse.<signal>` where a layer also reads from the end,
    `convolution.h`, `logits` (N, V), `loss` (one for each step that is judged: N−1 where the next input is predicted),
    `grad.layer0.<signal>`, `grad.parameters.<name>`, `norm.layer0.<parameter>` (N,). metadata: model, tokens (or
    values), targets, cell description, loss, seconds.
    """

    tensors: dict[str, np.ndarray]
    metadata: dict[str, Any]


@Computation
def trace(network: Network, inputs: Rows, **options: Unpack[RecorderOptions]) -> Pieces[Trace]:
    """Read a sequence and record everything; the options and the errors are those of `Recorder`.

    Gradients of states are total derivatives, through every path.
    """
    recorder = Recorder(network, inputs, **options)
    for first, last in time_chunks(recorder.steps):
        recorder.forward(first, last)
        if not recorder.wants_backward:
            recorder.score(first, last)
        yield
    for first, last in reversed(time_chunks(recorder.steps)) if recorder.wants_backward else ():
        recorder.backward(first, last)
        yield
    names = [spec.name for spec in network.layer_specs]

    def named(prefix: str, layers: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        pairs = zip(names, layers, strict=True)
        return {f"{prefix}{name}.{key}": values for name, layer in pairs for key, values in layer.items()}

    tensors = named("", recorder.layers(0, recorder.steps))
    tensors |= {"logits": recorder.logits[:, 0], "loss": recorder.losses[recorder.example.loss_steps]}
    if recorder.wants_backward:
        tensors |= named("grad.", recorder.layers(0, recorder.steps, True))
        tensors |= {f"grad.parameters.{name}": gradient for name, gradient in recorder.work.gradients.items()}
        tensors |= named("norm.", recorder.work.norms)
    facts = {**begin_facts(network, recorder.inputs), "objective": recorder.loss, **recorder.summary()}
    return Trace(tensors, facts if network.task.gives == "next" else facts | {"targets": targets_json(recorder)})


def stream(network: Network, inputs: Rows, **options: Unpack[RecorderOptions]) -> Iterator[Event]:
    """The same as events (name, data), arrays as NumPy arrays: `begin`, `forward` …, `backward` …, `end`.

    A frame carries n steps: t, t+1, … in a forward frame; t, t−1, … in a backward one. Raises Refused before the
    first event.
    """
    return _events(Recorder(network, inputs, **options))


def begin_facts(network: Network, inputs: np.ndarray, steps: int | None = None) -> dict[str, Any]:
    """Who reads what: inputs (N, 1) tokens, −1 for nothing, or (N, 1, channels) numbers; steps: how many
    there will be.
    """
    return {
        "model": network.id,
        "task": network.output_kind,
        "pattern": network.task.pattern,
        "cell": describe(network.cell),
        "values" if network.channels else "tokens": inputs[:, 0].tolist(),
        "layers": network.layers,
        "hidden": network.hidden,
        "kernel": chosen_kernel(steps or len(inputs)),
        "parts": [layer_json(network, spec) for spec in network.layer_specs],
        "labels": network.task.labels,
    }


def layer_json(network: Network, spec: LayerSpec) -> dict[str, Any]:
    """A layer as a page draws it: with a description of its own where its cell is not the network's."""
    return spec.describe() | ({} if spec.cell is network.cell else {"description": describe(spec.cell)})


def begin_event(network: Network, inputs: np.ndarray, steps: int | None = None) -> Event:
    """The `begin` event: who reads what, and in which numbers arrays travel."""
    return "begin", begin_facts(network, inputs, steps) | {"dtype": "float16"}


def _events(recorder: Recorder) -> Iterator[Event]:
    """The events of `stream`, made while somebody asks for them."""
    work, frame_length = recorder.work, length_of_frames(recorder)
    yield begin_event(recorder.network, recorder.inputs)
    for first, last in time_chunks(recorder.steps, frame_length):
        recorder.forward(first, last)
        outputs = recorder.score(first, last)[:, 0]
        frame = {
            "t": first,
            "n": last - first,
            "layers": recorder.layers(first, last),
            "loss": recorder.losses[first:last],
        }
        if recorder.network.task.is_regression:
            yield "forward", frame | {"outputs": outputs}
        else:
            yield "forward", frame | {"top": top_guesses(outputs)}
    for first, last in reversed(time_chunks(recorder.steps, frame_length)) if recorder.wants_backward else ():
        recorder.backward(first, last)
        layers = [
            {signal: values[::-1] for signal, values in layer.items()} for layer in recorder.layers(first, last, True)
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
    targets = None if recorder.network.task.gives == "next" else targets_json(recorder)
    yield "end", {**recorder.summary(), "targets": targets}


def length_of_frames(recorder: Recorder) -> int:
    """How many steps a frame carries: fewer where a step has so many numbers that a frame would be too large."""
    numbers = sum(values.shape[-1] for layer in recorder.layers(0, 1) for values in layer.values())
    return max(1, min(FRAME, LARGEST_FRAME // max(int(numbers), 1)))


def targets_json(recorder: Recorder) -> list[Any]:
    """What should have come out, one entry for each step that is judged: a class (−1 where none is known) or numbers
    (None where none are).
    """
    known = recorder.targets[recorder.example.loss_steps, 0]
    found = known.astype(object)
    found[np.isnan(known)] = None
    entries: list[Any] = found.tolist()
    return entries


def _plain(sizes: np.ndarray) -> list[float]:
    return [float(f"{size:.5g}") for size in sizes]


def top_guesses(probabilities: np.ndarray) -> list[list[list[int | float]]]:
    """Of each step's probabilities (n, V) the likeliest next tokens, likeliest first: [[token, probability], …]."""
    count = min(GUESSES, probabilities.shape[1])
    if not count:
        return [[] for _ in probabilities]
    # sorting all of a large vocabulary would take longer than the network
    lowest = np.partition(probabilities, -count, axis=1)[:, -count, None]
    steps, tokens = np.nonzero(~(probabilities < lowest))  # what is no number counts as likely, as in sorting
    order = np.lexsort((-probabilities[steps, tokens], steps))
    first = np.searchsorted(steps, np.arange(len(probabilities)))
    best = tokens[order][first[:, None] + np.arange(count)]
    likely = np.take_along_axis(probabilities, best, axis=1).astype(float).round(4)
    return [
        [[*guess] for guess in zip(*step, strict=True)] for step in zip(best.tolist(), likely.tolist(), strict=True)
    ]
