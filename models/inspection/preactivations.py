"""A gate opened: what each matrix map adds to one unit's pre-activation, at every step of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np

from gatescope.models.graph.node import Node
from gatescope.models.inspection.computation import Computation, Pieces
from gatescope.models.inspection.interventions import Intervention
from gatescope.models.inspection.recorder import Recorder
from gatescope.models.network.bptt import time_chunks
from gatescope.models.network.inputs import VectorInput
from gatescope.models.network.layer import Layer
from gatescope.models.network.network import Network
from gatescope.models.network.task import Rows
from gatescope.models.refused import Refused


class Term(TypedDict):
    """One summand of a pre-activation: what is read, and what it adds at each step, (N,)."""

    reads: str
    values: np.ndarray


@Computation
def preactivations(
    network: Network,
    inputs: Rows,
    layer: int = 0,
    unit: int = 0,
    interventions: Sequence[Intervention] = (),
    targets: Rows | None = None,
) -> Pieces[dict[str, Any]]:
    """For each signal with a matrix map, its summands for one unit: {"layer", "unit", "terms": {signal: [{"reads",
    "values"}, …]}}.

    layer: which of the network's parts. reads: `x`, a state before the step such as `h_prev`, a signal, or `bias`;
    values (N,). A map that a gate multiplies comes without the gate, which the signals and the cell's graph give.
    interventions and targets: as a trace takes them. Raises Refused.
    """
    spec = network.layer_spec(layer)
    if not 0 <= unit < spec.hidden:
        raise Refused("unit", f"must be between 0 and {spec.hidden - 1}")
    recorder = Recorder(network, inputs, backward=False, interventions=interventions, targets=targets)
    for first, last in time_chunks(recorder.steps):
        recorder.forward(first, last)
        yield
    cell, work, weights = spec.cell, recorder.work.layers[layer], spec.parameters(network.parameters)
    found: dict[str, list[Term]] = {}
    layout = work.program.layout
    for stack, (source, blocks) in cell.stacks().items():
        weight, bias = weights[stack], None
        if spec.stored(stack.replace("weight", "bias"))[0] in network.parameters:
            bias = weights[stack.replace("weight", "bias")]
        for index, block in enumerate(blocks):
            row, reader = index * spec.hidden + unit, layout.signal_of(block)
            if row >= len(weight):
                continue  # a projection has fewer units than the layer
            values = _mapped(network, recorder, layer, source, weight[row])
            found.setdefault(reader, []).append({"reads": cell.graph().label(source), "values": values})
            if bias is None:
                continue
            constant = np.full(recorder.steps, bias[row], values.dtype)
            if layout.is_plain(block):
                _add_bias(found[reader], constant)
            else:
                found[reader][-1]["values"] = values + constant
    for signal, terms in found.items():
        for look in _looks(work, weights, signal, unit):
            _add_bias(terms, look["values"]) if look["reads"] == "bias" else terms.append(look)
        terms.sort(key=lambda term: term["reads"] == "bias")
    return {"layer": layer, "unit": unit, "terms": found}


def _looks(layer: Layer, weights: dict[str, np.ndarray], signal: str, unit: int) -> list[Term]:
    """A signal's peepholes: one weight of the unit's own times what it looks at; a weight alone is a bias."""
    graph = layer.cell.graph()
    found: list[Term] = []
    for summand in graph.pre_activation(signal) or []:
        own = [node for node in (summand, *summand.reads) if node.op == "parameter"]
        seen = [node for node in summand.reads if node.op == "state" or node.signal in graph.signals]
        if summand in own:
            found.append({"reads": "bias", "values": np.full(layer.steps, weights[str(summand.name)][unit])})
        elif summand.op == "mul" and own and seen:
            values = weights[str(own[0].name)][unit] * layer.read(seen[0], 0, layer.steps)[:, 0, unit]
            found.append({"reads": graph.label(seen[0]), "values": values})
    return found


def _add_bias(terms: list[Term], constant: np.ndarray) -> None:
    """One line for all biases of a gate, at the end."""
    last = next((term for term in terms if term["reads"] == "bias"), None)
    if last:
        terms.remove(last)
        constant = constant + last["values"]
    terms.append({"reads": "bias", "values": constant})


def _mapped(network: Network, recorder: Recorder, layer: int, source: Node, row: np.ndarray) -> np.ndarray:
    """What one row of a stack of maps makes of what it reads, at every step, (N,)."""
    lag = network.layer_specs[layer].cell.graph().lags.get(source)
    if lag is None:
        mapped: np.ndarray = recorder.work.layers[layer].read(source, 0, recorder.steps)[:, 0] @ row
        return mapped
    layer_input = recorder.work.layer_inputs[layer]
    if isinstance(layer_input, VectorInput):
        values: np.ndarray = layer_input.rows(0, recorder.steps)[:, 0] @ row
    else:
        each = network.parameters["embedding.weight"] @ row if network.embedding else row
        values = np.append(each, each.dtype.type(0))[recorder.inputs[:, 0]]
    nothing = np.zeros(min(lag, len(values)), values.dtype)
    if network.layer_specs[layer].reverse:
        return np.concatenate([values[lag:], nothing])
    return np.concatenate([nothing, values[: len(values) - lag]])
