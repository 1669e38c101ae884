"""Who influences whom, against one backward pass a loss."""

import numpy as np
import pytest
import torch

from gatescope.models.cells import cells
from gatescope.models.inspection.influence import influence
from gatescope.models.inspection.interventions import Intervention
from gatescope.models.network.network import untrained
from gatescope.models.network.task import Task
from tests import oracle

TEXT = "a bad cab had a deaf bee"
pytestmark = pytest.mark.usefixtures("each_kernel")
EVERY_CELL = pytest.mark.parametrize("cell", cells().values(), ids=cells())


def one_by_one(network, inputs, name: str, interventions=(), targets=None) -> np.ndarray:
    """The same map by as many backward passes of autograd as there are losses."""
    weights = {
        key: torch.tensor(array, dtype=torch.float64, requires_grad=True) for key, array in network.parameters.items()
    }
    signals, _, losses = oracle.objective(network, inputs, weights, lambda t: weights, interventions, targets)
    steps = signals[name]
    found = np.zeros((len(steps), len(steps)))
    first = len(steps) - 1 if network.task.pattern == "many-to-one" else 0
    each = {"grad_outputs": torch.eye(len(losses), dtype=torch.float64), "is_grads_batched": True}
    for column, gradient in enumerate(torch.autograd.grad(losses, steps, **each, allow_unused=True)):
        if gradient is not None:
            found[first : first + len(losses), column] = gradient.norm(dim=1)
    return found


@EVERY_CELL
@pytest.mark.parametrize("layer", [0, 1])
def test_every_pair_is_what_autograd_finds(cell, layer):
    network = untrained(cell, 2, 7, sorted(set(TEXT)), 5, seed=2, dtype="float64")
    tokens = network.tokens(TEXT)
    for signal in cell.memories():
        ours = influence(network, tokens, layer, signal, "float64")
        name = f"layer{layer}.{signal}"
        assert oracle.furthest(ours, one_by_one(network, tokens, name), oracle.least(cell, name)) <= 1e-9
    intervention = [Intervention(layer, cell.memories()[0], 0.5, (1, 2), 3, 6)]
    ours = influence(network, tokens, layer, precision="float64", interventions=intervention)
    assert oracle.furthest(ours, one_by_one(network, tokens, f"layer{layer}.h", intervention)) <= 1e-9


def test_numbers_and_a_convolution_have_a_map_too():
    task = Task("values", "values", "many-to-one")
    network = untrained(
        cells()["gru"], 1, 6, [], seed=3, dtype="float64", task=task, channels=2, outputs=3, convolution=(4, 3)
    )
    inputs, targets = np.random.default_rng(0).normal(size=(9, 2)).tolist(), [[0.1, 0.2, 0.3]]
    for layer, name in enumerate(["convolution.h", "layer0.h"]):
        ours = influence(network, inputs, layer, precision="float64", targets=targets)
        assert oracle.furthest(ours, one_by_one(network, inputs, name, targets=targets)) <= 1e-9


def test_what_has_no_map_says_why():
    network = untrained(cells()["gru"], 1, 6, list("ab"), directions=2)
    for asked, words in (({}, "model: "), ({"layer": 5}, "layer: "), ({"signal": "z"}, "signal: ")):
        with pytest.raises(ValueError, match=words):
            influence(network, [0, 1], **asked)
