"""Is the backward pass right? Asked of the very network and text on the page, against finite differences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.network import Network
from models.passes import NetworkWeights
from models.reading import Reading
from models.trace import trace

STEP = 1e-5
TOLERANCE = 1e-5


def verify(network: Network, tokens: Sequence[int], loss: str = "every", seed: int = 0) -> dict:
    """Compare the gradient along one random direction through all weights at once with (L(θ+εv) − L(θ−εv)) / 2ε.

    In float64. Gives {"analytic", "numeric", "relative_error", "verified"}; the error is relative to the gradient's
    norm, the typical size of its product with a direction drawn from the normal distribution. Raises ValueError as
    `trace` does.
    """
    if not network.predicts:
        raise ValueError("model: must have a readout; without one there is no loss to differentiate")
    random = np.random.default_rng(seed)
    gradients = trace(network, tokens, loss=loss, precision="float64").tensors
    direction = {name: random.standard_normal(array.shape) for name, array in network.parameters.items()}
    slopes = {name: gradients[f"grad.parameters.{name}"] for name in direction}
    analytic = float(sum(np.vdot(slopes[name], direction[name]) for name in direction))
    ahead, behind = (_loss(network, tokens, loss, direction, sign * STEP) for sign in (1, -1))
    numeric = (ahead - behind) / (2 * STEP)
    size = np.sqrt(sum(float(np.vdot(slope, slope)) for slope in slopes.values()))
    error = abs(analytic - numeric) / max(float(size), 1e-12)
    return {"analytic": analytic, "numeric": numeric, "relative_error": error, "verified": bool(error < TOLERANCE)}


def _loss(network: Network, tokens: Sequence[int], loss: str, direction: dict, step: float) -> float:
    """The loss with all weights moved along the direction."""
    moved = {name: array.astype(np.float64) + step * direction[name] for name, array in network.parameters.items()}
    weights = NetworkWeights(network.cell, network.layers, network.hidden, moved, np.dtype("float64"))
    reading = Reading(network, tokens, loss=loss, backward=False, precision="float64")
    reading.work.use(weights)
    reading.forward(0, reading.steps)
    reading.score(0, reading.steps)
    return reading.summary()["loss"]
