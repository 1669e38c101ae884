"""A gate opened: what each matrix map adds to one unit's pre-activation, at every step of a text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.graph import Node
from models.layer import Layer
from models.network import Network
from models.reading import Reading


def arithmetic(network: Network, tokens: Sequence[int], layer: int = 0, unit: int = 0) -> dict:
    """For each signal with a matrix map, its summands for one unit: {"layer", "unit", "terms": {signal: [{"reads",
    "values"}, …]}}.

    reads: `x`, a state before the step such as `h_prev`, a signal, or `bias`; values (N,). A map that a gate multiplies
    comes without the gate, which the signals and the cell's graph give. Raises ValueError naming the range.
    """
    if not 0 <= layer < network.layers:
        raise ValueError(f"layer: must be between 0 and {network.layers - 1}")
    if not 0 <= unit < network.hidden:
        raise ValueError(f"unit: must be between 0 and {network.hidden - 1}")
    reading = Reading(network, tokens, backward=False)
    reading.forward(0, reading.steps)
    work, cell = reading.work, network.cell
    found: dict[str, list[dict]] = {}
    layout = work.layers[layer].program.layout
    for stack, (source, blocks) in cell.stacks().items():
        weight = network.parameters[f"rnn.{stack}_l{layer}"]
        bias = network.parameters.get(f"rnn.{stack.replace('weight', 'bias')}_l{layer}")
        for index, block in enumerate(blocks):
            row, reader = index * network.hidden + unit, layout.reader(block).signal
            values = _mapped(network, reading, layer, source, weight[row])
            found.setdefault(reader, []).append({"reads": cell.graph().label(source), "values": values})
            if bias is None:
                continue
            constant = np.full(reading.steps, bias[row], values.dtype)
            if layout.is_plain(block):
                _add_bias(found[reader], constant)
            else:
                found[reader][-1]["values"] = values + constant
    for signal, terms in found.items():
        terms += _looks(network, work.layers[layer], signal, layer, unit)
        terms.sort(key=lambda term: term["reads"] == "bias")
    return {"layer": layer, "unit": unit, "terms": found}


def _looks(network: Network, layer: Layer, signal: str, number: int, unit: int) -> list[dict]:
    """A signal's peepholes: one weight of the unit's own times what it looks at."""
    found = []
    for summand in network.cell.graph().pre_activation(signal) or []:
        weights = [node for node in summand.reads if node.op == "parameter"]
        if summand.op == "mul" and weights:
            (seen,) = (node for node in summand.reads if node not in weights)
            weight = network.parameters[f"rnn.{weights[0].name}_l{number}"][unit]
            found.append(
                {
                    "reads": network.cell.graph().label(seen),
                    "values": weight * layer.read(seen, 0, layer.steps)[:, 0, unit],
                }
            )
    return found


def _add_bias(terms: list[dict], constant: np.ndarray) -> None:
    """One line for all biases of a gate, at the end."""
    last = next((term for term in terms if term["reads"] == "bias"), None)
    if last:
        terms.remove(last)
        constant = constant + last["values"]
    terms.append({"reads": "bias", "values": constant})


def _mapped(network: Network, reading: Reading, layer: int, source: Node, row: np.ndarray) -> np.ndarray:
    """What one row of a stack of maps makes of what it reads, at every step, (N,)."""
    lag = network.cell.graph().lags.get(source)
    if lag is None:
        return reading.work.layers[layer].read(source, 0, reading.steps)[:, 0] @ row
    if layer:
        values = reading.work.layers[layer - 1].output[:, 0] @ row
    else:
        each = network.parameters["embedding.weight"] @ row if network.embedding else row
        values = each[reading.tokens[:, 0]]
    return np.concatenate([np.zeros(min(lag, len(values)), values.dtype), values[: len(values) - lag]])
