"""Is the backward pass right? Asked of the very network and text on the page, against finite differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from gatescope.models.inspection.computation import Computation, Pieces
from gatescope.models.inspection.interventions import Intervention
from gatescope.models.inspection.recorder import Recorder, RecorderOptions
from gatescope.models.inspection.trace import trace
from gatescope.models.network.bptt import NetworkWeights, time_chunks
from gatescope.models.network.network import Network
from gatescope.models.network.task import Rows
from gatescope.models.refused import Refused

# what is left out falls with the square of the step, rounding grows with its inverse; a layer that normalises is curved
# so strongly that 1e-6 was too wide for 1 reading of 600, and a step ten times as fine leaves rounding far below
STEP = 2e-7
TOLERANCE = 1e-5


class Verification(TypedDict):
    """The slope of the loss along one direction by the backward pass and by differences, and how far they are apart."""

    analytic: float
    numeric: float
    relative_error: float
    verified: bool


@Computation
def check_gradients(
    network: Network,
    inputs: Rows,
    loss: str = "every",
    seed: int = 0,
    interventions: Sequence[Intervention] = (),
    targets: Rows | None = None,
) -> Pieces[Verification]:
    """Compare the gradient along one random direction through all weights at once with (L(θ+εv) − L(θ−εv)) / 2ε.

    In float64; loss, interventions and targets are those of a trace. The error is relative to the gradient's norm, the
    typical size of its product with a direction drawn from the normal distribution. Raises Refused as `trace` does.
    """
    if not network.predicts:
        raise Refused("model", "must have a readout; without one there is no loss to differentiate")
    random = np.random.default_rng(seed)
    options: RecorderOptions = {
        "loss": loss,
        "precision": "float64",
        "interventions": interventions,
        "targets": targets,
    }
    recorded = yield from trace.pieces(network, inputs, **options)
    if "grad.parameters.readout.weight" not in recorded.tensors:
        raise Refused("targets", "are needed; without them there is no loss to differentiate")
    direction = {name: random.standard_normal(array.shape) for name, array in network.parameters.items()}
    slopes = {name: recorded.tensors[f"grad.parameters.{name}"] for name in direction}
    del recorded  # its records are not needed any more
    analytic = float(sum(np.vdot(slopes[name], direction[name]) for name in direction))
    ahead = yield from _loss(network, inputs, options, direction, STEP)
    behind = yield from _loss(network, inputs, options, direction, -STEP)
    numeric = (ahead - behind) / (2 * STEP)
    size = math.sqrt(sum(float(np.vdot(slope, slope)) for slope in slopes.values()))
    error = abs(analytic - numeric) / max(size, 1e-12)
    return {"analytic": analytic, "numeric": numeric, "relative_error": error, "verified": error < TOLERANCE}


def _loss(
    network: Network, inputs: Rows, options: RecorderOptions, direction: dict[str, np.ndarray], step: float
) -> Pieces[float]:
    """The loss with all weights moved along the direction."""
    moved = {name: array.astype(np.float64) + step * direction[name] for name, array in network.parameters.items()}
    weights = NetworkWeights(network.cell, network.layers, network.hidden, moved, np.dtype("float64"), network.channels)
    alone: RecorderOptions = {**options, "backward": False}
    recorder = Recorder(network, inputs, **alone)
    recorder.work.use(weights)
    for first, last in time_chunks(recorder.steps):
        recorder.forward(first, last)
        recorder.score(first, last)
        yield
    loss = recorder.summary()["loss"]
    assert loss is not None  # the network has a readout
    return loss
