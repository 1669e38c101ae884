"""Is the backward pass right? Asked of the very network and text on the page, against finite differences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gatescope.models.inspection.recorder import Recorder
from gatescope.models.inspection.trace import trace
from gatescope.models.network.bptt import NetworkWeights
from gatescope.models.network.network import Network
from gatescope.models.refused import Refused

# what is left out falls with the square of the step, rounding grows with its inverse: about the cube root of float64's
# precision times the size of a weight, a tenth
STEP = 1e-6
TOLERANCE = 1e-5


def check_gradients(network: Network, inputs: Sequence, loss: str = "every", seed: int = 0, **options) -> dict:
    """Compare the gradient along one random direction through all weights at once with (L(θ+εv) − L(θ−εv)) / 2ε.

    In float64; the options are those of a trace. Gives {"analytic", "numeric",
    "relative_error", "verified"}; the error is relative to the gradient's norm, the typical size of its product with a
    direction drawn from the normal distribution. Raises Refused as `trace` does.
    """
    if not network.predicts:
        raise Refused("model", "must have a readout; without one there is no loss to differentiate")
    random, options = np.random.default_rng(seed), options | {"loss": loss}
    gradients = trace(network, inputs, **options, precision="float64").tensors
    if "grad.parameters.readout.weight" not in gradients:
        raise Refused("targets", "are needed; without them there is no loss to differentiate")
    direction = {name: random.standard_normal(array.shape) for name, array in network.parameters.items()}
    slopes = {name: gradients[f"grad.parameters.{name}"] for name in direction}
    analytic = float(sum(np.vdot(slopes[name], direction[name]) for name in direction))
    ahead, behind = (_loss(network, inputs, options, direction, sign * STEP) for sign in (1, -1))
    numeric = (ahead - behind) / (2 * STEP)
    size = np.sqrt(sum(float(np.vdot(slope, slope)) for slope in slopes.values()))
    error = abs(analytic - numeric) / max(float(size), 1e-12)
    return {"analytic": analytic, "numeric": numeric, "relative_error": error, "verified": bool(error < TOLERANCE)}


def _loss(network: Network, inputs: Sequence, options: dict, direction: dict, step: float) -> float:
    """The loss with all weights moved along the direction."""
    moved = {name: array.astype(np.float64) + step * direction[name] for name, array in network.parameters.items()}
    weights = NetworkWeights(network.cell, network.layers, network.hidden, moved, np.dtype("float64"), network.channels)
    recorder = Recorder(network, inputs, **options, backward=False, precision="float64")
    recorder.work.use(weights)
    recorder.forward(0, recorder.steps)
    recorder.score(0, recorder.steps)
    return recorder.summary()["loss"]
