"""The outside oracle: a network evaluated node by node with PyTorch in float64, gradients by autograd.

It shares with the product only the graphs of the cells and where the weights of a layer lie; programs, derivatives and
layouts are not used. That the graphs are those of the right equations is for `tests.equations`.
"""

import numpy as np
import torch

from gatescope.models.network.architecture import LayerSpec
from gatescope.models.network.network import Network

OPERATIONS = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "neg": torch.neg,
    "max": torch.maximum,
    "exp": torch.exp,
    "sqrt": torch.sqrt,
    "identity": torch.clone,
    "mean": lambda vector: vector.mean().expand_as(vector),
}


def _layer(
    spec: LayerSpec, layer: int, inputs: torch.Tensor, weights_at, interventions=()
) -> dict[str, list[torch.Tensor]]:
    """Every signal of one layer at every step; `weights_at(t)` gives the weights that step t uses."""
    cell, hidden = spec.cell, spec.hidden
    graph = cell.graph()
    states = {
        state: torch.zeros(graph.after[state].width or hidden, dtype=torch.float64, requires_grad=True)
        for state in cell.states
    }
    states |= {leaf.name: torch.zeros(inputs.shape[1], dtype=torch.float64) for leaf in list(graph.lags)[1:]}
    recorded: dict[str, list[torch.Tensor]] = {signal: [] for signal in graph.signals}
    rows = {}
    for name, (_, blocks) in cell.stacks().items():
        for index, block in enumerate(blocks):
            rows[block] = (name, slice(index * hidden, index * hidden + (block.width or hidden)))

    def weight(weights: dict, name: str) -> torch.Tensor | None:
        where, which = spec.stored(name)
        return None if where not in weights else weights[where] if which is None else weights[where][..., which]

    order = range(len(inputs))
    for t in reversed(order) if spec.reverse else order:
        given, weights, values = inputs[t], weights_at(t), {}
        for node in graph.nodes:
            if node.op == "input":
                value = given
            elif node.op == "state":
                value = states[node.name]
            elif node.op == "constant":
                value = torch.full((hidden,), float(node.name), dtype=torch.float64)
            elif node.op == "parameter":
                value = weight(weights, node.name)
            elif node.op == "linear":
                name, block = rows[node]
                value = weight(weights, name)[block] @ values[node.reads[0]]
                bias = weight(weights, name.replace("weight", "bias"))
                if bias is not None:
                    value = value + bias[block]
            else:
                value = OPERATIONS[node.op](*(values[read] for read in node.reads))
            for intervention in interventions:
                if (intervention.layer, intervention.signal) == (layer, node.signal) and intervention.first <= t < (
                    intervention.last or len(inputs)
                ):
                    chosen = torch.zeros(len(value), dtype=torch.bool)
                    chosen[slice(None) if intervention.units is None else list(intervention.units)] = True
                    value = torch.where(chosen, torch.tensor(intervention.value, dtype=torch.float64), value)
            values[node] = value
            if node.signal in recorded:
                recorded[node.signal].append(value)
        states = {state: values[graph.after[state]] for state in cell.states}
    return {signal: steps[::-1] if spec.reverse else steps for signal, steps in recorded.items()}


def _given(network: Network, inputs: list, steps: int, weights: dict) -> torch.Tensor:
    """What the lowest layers are given at each step: numbers, embeddings or one-hot; nothing after the inputs' end."""
    if network.channels:
        given = torch.tensor(inputs, dtype=torch.float64).reshape(len(inputs), -1)
    elif network.embedding:
        given = weights["embedding.weight"][torch.tensor(inputs)]
    else:
        given = torch.eye(network.vocabulary_size, dtype=torch.float64)[torch.tensor(inputs)]
    return torch.cat([given, torch.zeros(steps - len(given), given.shape[1], dtype=torch.float64)])


def _losses(network: Network, logits: torch.Tensor, inputs: list, targets: list | None) -> torch.Tensor:
    """The loss of every step that is judged."""
    if targets is None:
        logits, targets = logits[:-1], inputs[1:]
    if network.task.is_regression:
        wanted = torch.tensor(targets, dtype=torch.float64).reshape(len(targets), -1)
        return ((logits[-len(wanted) :] - wanted) ** 2).sum(1) / 2
    return torch.nn.functional.cross_entropy(logits[-len(targets) :], torch.tensor(targets), reduction="none")


def objective(
    network: Network, inputs: list, weights: dict, weights_at, interventions=(), targets: list | None = None
) -> tuple[dict, torch.Tensor, torch.Tensor]:
    """(signals by trace name, logits, losses) of a reading."""
    steps = len(targets) if network.task.pattern == "one-to-many" else len(inputs)
    given = _given(network, inputs, steps, weights)
    signals: dict[str, list[torch.Tensor]] = {}
    outputs: dict[int, list[torch.Tensor]] = {-1: [given]}
    for number, spec in enumerate(network.layer_specs):
        below = torch.cat(outputs[spec.level - 1], dim=1)
        recorded = _layer(spec, number, below, weights_at, interventions)
        signals |= {f"{spec.name}.{name}": steps for name, steps in recorded.items()}
        outputs.setdefault(spec.level, []).append(torch.stack(recorded[spec.cell.states[0]]))
    logits = torch.cat(outputs[network.layer_specs[-1].level], dim=1) @ weights["readout.weight"].T
    if "readout.bias" in weights:
        logits = logits + weights["readout.bias"]
    return signals, logits, _losses(network, logits, inputs, targets)


def _gradient(tensor: torch.Tensor) -> np.ndarray:
    return (torch.zeros_like(tensor) if tensor.grad is None else tensor.grad).numpy()


def read(network: Network, inputs: list, loss: str = "every", interventions=(), targets=None) -> dict[str, np.ndarray]:
    """Every tensor that a trace of the network should hold, by the trace's names (norms left out)."""
    weights = {
        name: torch.tensor(array, dtype=torch.float64, requires_grad=True) for name, array in network.parameters.items()
    }
    signals, logits, losses = objective(network, inputs, weights, lambda t: weights, interventions, targets)
    for steps in signals.values():
        for step in steps:
            if step.requires_grad:  # a state before the first step is made of nothing
                step.retain_grad()
    (losses.sum() if loss == "every" else losses[-1]).backward()
    found = {name: torch.stack(steps).detach().numpy() for name, steps in signals.items()}
    found |= {f"grad.{name}": np.stack([_gradient(step) for step in steps]) for name, steps in signals.items()}
    found |= {f"grad.parameters.{name}": _gradient(weight) for name, weight in weights.items()}
    return found | {"logits": logits.detach().numpy(), "loss": losses.detach().numpy()}


def shares(network: Network, tokens: list[int]) -> dict[str, np.ndarray]:
    """∂L/∂(each parameter of the layers as used at one step), for every step: each has its own copy of them all."""
    weights = {name: torch.tensor(array, dtype=torch.float64) for name, array in network.parameters.items()}
    recurrent = [name for name in weights if name.startswith("rnn.")]
    copies = [{name: weights[name].clone().requires_grad_() for name in recurrent} for _ in tokens]
    _, _, losses = objective(network, tokens, weights, lambda t: copies[t])
    losses.sum().backward()
    return {name: np.stack([_gradient(copy[name]) for copy in copies]) for name in recurrent}


def furthest(ours: np.ndarray, theirs: np.ndarray, least: float = 1e-12) -> float:
    """The largest difference, relative to the largest value (or to `least` where all is smaller)."""
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), least)) if theirs.size else 0.0


def least(cell: type, name: str, precision: str = "float64") -> float:
    """What a tensor's differences are relative to at least. An sLSTM's stabiliser cancels out of what it gives: its
    gradient is rounding alone on both sides, and is compared to a thousandth (to 1 in float32).
    """
    cancels = (cell.id, name.rpartition(".")[2]) == ("slstm", "m") and "norm" not in name
    return (1.0 if precision == "float32" else 1e-3) if cancels else 1e-12
