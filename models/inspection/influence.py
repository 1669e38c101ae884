"""Who influences whom: how much the loss of each step depends on what a layer remembered at each step before it.

All losses go back at once, side by side, through what one pass recorded: the diagonals between its signals are the same
for all of them. A loss joins at its own step, so the work is half of a square.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gatescope.models.compiler.denormals import flushed
from gatescope.models.inspection.computation import Computation, Pieces
from gatescope.models.inspection.interventions import Intervention, intervention_records
from gatescope.models.network.bptt import NetworkPass, time_chunks
from gatescope.models.network.inputs import LayerInput
from gatescope.models.network.losses import criterion
from gatescope.models.network.network import Network
from gatescope.models.network.task import Rows
from gatescope.models.refused import Refused

AT_ONCE = 4
LONGEST = 1000


@Computation
def influence(
    network: Network,
    inputs: Rows,
    layer: int = 0,
    signal: str | None = None,
    precision: str = "float32",
    interventions: Sequence[Intervention] = (),
    targets: Rows | None = None,
) -> Pieces[np.ndarray]:
    """‖∂L_t/∂s‖ for the loss L_t of each step (row) and a state s of one layer at each step (column), (N, N).

    layer: which of the network's parts; signal: one of its states, its output unless said. There is zero where no loss
    falls and above the diagonal. Raises Refused as a trace does, where layers read in both directions, and for a
    sequence of more than 1,000 steps.
    """
    states = network.layer_spec(layer).cell.memories()
    signal = signal or states[0]
    if signal not in states:
        raise Refused("signal", f"must be one of {', '.join(states)}")
    if not network.predicts or any(spec.reverse for spec in network.layer_specs):
        raise Refused("model", "must have a readout and read from the beginning only")
    example, weights = network.example_of(inputs, targets), network.weights(precision)
    steps = len(example.inputs)
    if steps > LONGEST:
        raise Refused(
            "values" if network.channels else "tokens", f"must have at most {LONGEST:,} steps for a map of all pairs"
        )
    gradient_window = min(AT_ONCE, steps) if weights.recycles else steps
    work = NetworkPass(
        weights,
        steps,
        interventions=intervention_records(network, steps, interventions, precision),
        gradient_window=gradient_window,
        adjoints=steps,
    )
    for first, last in time_chunks(steps):
        with flushed():
            work.forward(example.inputs[first:last, None], first)
        yield
    found: np.ndarray = yield from _sweep(work, _blame(network, work, example.targets[:, None]), layer, signal)
    return found


def _blame(network: Network, work: NetworkPass, targets: np.ndarray) -> np.ndarray:
    """∂L_t/∂(what the top layer gives at step t), (N, width)."""
    loss, differentiate = criterion(network.task.is_regression)
    targets = targets.astype(work.logits.dtype) if network.task.is_regression else targets
    _, judged = loss(work.logits, targets)
    blame: np.ndarray = differentiate(judged, targets)[:, 0] @ work.weights.readout
    return blame


def _sweep(work: NetworkPass, blame: np.ndarray, layer: int, signal: str) -> Pieces[np.ndarray]:
    found = np.zeros((work.steps, work.steps), blame.dtype)
    for each in work.layers:
        each.begin_backward()
        for gradient in each.gradients.values():
            gradient[:] = 0  # a loss that has not joined yet sends nothing back
    for first, last in reversed(time_chunks(work.steps, work.layers[0].gradient_window)):
        with flushed():
            _send_back(work, blame, layer, first, last)
        gradient = work.layers[layer].gradient_at(signal, first, last)[:, first:]
        found[first:, first:last] = np.sqrt(np.vecdot(gradient, gradient)).T
        yield
    return found


def _send_back(work: NetworkPass, blame: np.ndarray, layer: int, first: int, last: int) -> None:
    """Take the losses of steps first…last−1 in and send all of them back over these steps, down to a layer."""
    own = np.arange(last - first)
    for each in work.layers:
        each.shift_window(first, last)
    joining = np.zeros((last - first, work.steps - first, blame.shape[1]), blame.dtype)
    joining[own, own] = blame[first:last]
    work.output.add_gradient(joining, first, last, first)
    for index in reversed(range(layer, len(work.layers))):
        adjoint = work.layers[index].backward(first, last, first)["weight_ih"]
        if index > layer:
            above = work.layer_inputs[index]
            assert isinstance(above, LayerInput)  # only the lowest layer reads something else
            above.propagate(adjoint, first, last, first)
