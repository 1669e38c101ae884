"""The outside oracle: a network evaluated node by node with PyTorch in float64, gradients by autograd.

It shares with the product only the cell's graph and the names of the weights; programs, derivatives and layouts are not
used.
"""

import numpy as np
import torch

from models.network import Network

OPERATIONS = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
}


def _layer(network: Network, layer: int, inputs: torch.Tensor, weights_at, clamps=()) -> dict[str, list[torch.Tensor]]:
    """Every signal of one layer at every step; `weights_at(t)` gives the weights that step t uses."""
    cell, hidden = network.cell, network.hidden
    graph = cell.graph()
    states = {state: torch.zeros(hidden, dtype=torch.float64) for state in cell.states}
    states |= {leaf.name: torch.zeros(inputs.shape[1], dtype=torch.float64) for leaf in list(graph.lags)[1:]}
    recorded: dict[str, list[torch.Tensor]] = {signal: [] for signal in graph.signals}
    rows = {}
    for name, (_, blocks) in cell.stacks().items():
        for index, block in enumerate(blocks):
            rows[block] = (f"rnn.{name}_l{layer}", slice(index * hidden, (index + 1) * hidden))
    for t, given in enumerate(inputs):
        weights, values = weights_at(t), {}
        for node in graph.nodes:
            if node.op == "input":
                value = given
            elif node.op == "state":
                value = states[node.name]
            elif node.op == "constant":
                value = torch.ones(hidden, dtype=torch.float64)
            elif node.op == "parameter":
                value = weights[f"rnn.{node.name}_l{layer}"]
            elif node.op == "linear":
                name, block = rows[node]
                value = weights[name][block] @ values[node.reads[0]]
                if name.replace("weight", "bias") not in network.absent:
                    value = value + weights[name.replace("weight", "bias")][block]
            else:
                value = OPERATIONS[node.op](*(values[read] for read in node.reads))
            for clamp in clamps:
                if (clamp.layer, clamp.signal) == (layer, node.signal) and clamp.first <= t < (
                    clamp.last or len(inputs)
                ):
                    chosen = torch.zeros(hidden, dtype=torch.bool)
                    chosen[slice(None) if clamp.units is None else list(clamp.units)] = True
                    value = torch.where(chosen, torch.tensor(clamp.value, dtype=torch.float64), value)
            values[node] = value
            if node.signal:
                recorded[node.signal].append(value)
        states = {state: values[graph.after[state]] for state in cell.states}
    return recorded


def _objective(
    network: Network, tokens: list[int], weights: dict, weights_at, clamps=()
) -> tuple[dict, torch.Tensor, torch.Tensor]:
    """(signals by trace name, logits, losses) of a reading."""
    characters = torch.tensor(tokens)
    inputs = torch.eye(network.vocabulary_size, dtype=torch.float64)[characters]
    if network.embedding:
        inputs = weights["embedding.weight"][characters]
    signals: dict[str, list[torch.Tensor]] = {}
    for layer in range(network.layers):
        recorded = _layer(network, layer, inputs, weights_at, clamps)
        signals |= {f"layer{layer}.{name}": steps for name, steps in recorded.items()}
        inputs = torch.stack(recorded[network.cell.states[0]])
    logits = inputs @ weights["readout.weight"].T
    if "readout.bias" not in network.absent:
        logits = logits + weights["readout.bias"]
    return signals, logits, torch.nn.functional.cross_entropy(logits[:-1], characters[1:], reduction="none")


def _gradient(tensor: torch.Tensor) -> np.ndarray:
    return (torch.zeros_like(tensor) if tensor.grad is None else tensor.grad).numpy()


def read(network: Network, tokens: list[int], loss: str = "every", clamps=()) -> dict[str, np.ndarray]:
    """Every tensor that a trace of the network should hold, by the trace's names (norms left out)."""
    weights = {
        name: torch.tensor(array, dtype=torch.float64, requires_grad=True) for name, array in network.parameters.items()
    }
    signals, logits, losses = _objective(network, tokens, weights, lambda t: weights, clamps)
    for steps in signals.values():
        for step in steps:
            step.retain_grad()
    (losses.sum() if loss == "every" else losses[-1]).backward()
    found = {name: torch.stack(steps).detach().numpy() for name, steps in signals.items()}
    found |= {f"grad.{name}": np.stack([_gradient(step) for step in steps]) for name, steps in signals.items()}
    found |= {f"grad.parameters.{name}": _gradient(weight) for name, weight in weights.items()}
    return found | {"logits": logits.detach().numpy(), "loss": losses.detach().numpy()}


def share(network: Network, tokens: list[int], parameter: str, step: int) -> np.ndarray:
    """∂L/∂(the parameter as used at one step only): that step is given a copy of it."""
    weights = {name: torch.tensor(array, dtype=torch.float64) for name, array in network.parameters.items()}
    alone = weights[parameter].clone().requires_grad_()
    _, _, losses = _objective(
        network, tokens, weights, lambda t: weights | {parameter: alone} if t == step else weights
    )
    losses.sum().backward()
    return _gradient(alone)


def furthest(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference, relative to the largest value (or to 1e-12 where all is zero)."""
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-12)) if theirs.size else 0.0
