"""One layer on PyTorch's device: a cell's graph evaluated node by node, so that autograd can go back through it.

What reads no state is made for all steps at once, the maps of the input before all; only the rest takes step by step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatescope.models.graph.node import Node
from gatescope.models.graph.operations import OPERATIONS
from gatescope.models.network.architecture import LayerSpec

if TYPE_CHECKING:
    import torch

# tensors, and plain numbers where a node is a constant
Values = dict[Node, Any]


class DeviceLayer:
    """The signals of one layer, of the batch that was read last; asked for them it answers as `Layer` does.

    carried: for each state what the next batch begins with, (batch, H).
    """

    def __init__(self, spec: LayerSpec, batch: int, device: str):
        import torch

        self.torch, self.spec, self.cell, self.states = torch, spec, spec.cell, spec.cell.memories()
        self.graph = spec.cell.graph()
        self._stacks = {
            node: (name, source, blocks) for name, (source, blocks) in self.cell.stacks().items() for node in blocks
        }
        self._divide()
        sizes = {state: (batch, self.cell.width(state, spec.hidden)) for state in self.states}
        self.carried = {state: torch.zeros(size, device=device) for state, size in sizes.items()}
        self._records: dict[str, list[torch.Tensor] | torch.Tensor] = {}

    def _divide(self) -> None:
        """Which nodes are made for all steps at once, for they read no state, and which step by step."""
        graph = self.graph
        fixed = {node for node in graph.nodes if node.op in ("parameter", "constant")}
        without_state = _made_of(fixed | set(graph.lags), graph.nodes)
        self._at_once = [node for node in graph.nodes if node in without_state]
        self._by_step = [node for node in graph.nodes if node not in without_state and node.op != "state"]
        read = {each for node in self._by_step for each in node.reads} | {graph.after[state] for state in self.states}
        self._handed = [node for node in self._at_once if node in read and node not in fixed]
        self._fixed = [node for node in self._at_once if node in fixed]

    def forget(self) -> None:
        """Begin with all states zero."""
        for state in self.carried.values():
            state.zero_()

    def forward(self, inputs: torch.Tensor, parameters: dict[str, torch.Tensor]) -> torch.Tensor:
        """Read (steps, batch, width), go on from the carried states; the output of each step, (steps, batch, H).

        parameters: the network's, by their stored names.
        """
        pad, graph = self.torch.nn.functional.pad, self.graph
        at_once: Values = {
            leaf: pad(inputs, (0, 0, 0, 0, lag, 0))[: len(inputs)] if lag else inputs
            for leaf, lag in graph.lags.items()
        }
        self._evaluate(self._at_once, at_once, parameters)
        self._records = {name: at_once[node] for name, node in graph.signals.items() if node in at_once}
        if self._by_step:
            self._step_by_step(at_once, parameters, len(inputs))
        for record in self._records.values():
            for tensor in record if isinstance(record, list) else [record]:
                tensor.retain_grad()
        self.carried = {state: self._records[state][-1].detach() for state in self.states}
        output = self._records[self.states[0]]
        return self.torch.stack(output) if isinstance(output, list) else output

    def _step_by_step(self, at_once: Values, parameters: dict[str, torch.Tensor], steps: int) -> None:
        """Evaluate what reads a state, one step after another, and keep every signal's tensors for autograd."""
        graph, fixed = self.graph, {node: at_once[node] for node in self._fixed}
        handed = {node: at_once[node].unbind() for node in self._handed}
        signals = {name: node for name, node in graph.signals.items() if node not in at_once}
        self._records |= {name: [] for name in signals}
        states = {graph.before[state]: carried for state, carried in self.carried.items()}
        for t in range(steps):
            values = fixed | states | {node: each[t] for node, each in handed.items()}
            self._evaluate(self._by_step, values, parameters)
            states = {graph.before[state]: values[graph.after[state]] for state in self.states}
            for name, node in signals.items():
                self._records[name].append(values[node])

    def _evaluate(self, nodes: list[Node], values: Values, parameters: dict[str, torch.Tensor]) -> None:
        """Add to `values` those of the nodes; the maps that read the same vector are one product."""
        for node in nodes:
            if node in values:
                continue
            if node.op == "linear":
                name, source, blocks = self._stacks[node]
                weight = self._parameter(name, parameters)
                bias = self._parameter(name.replace("weight", "bias"), parameters)
                made = self.torch.nn.functional.linear(values[source], weight, bias)
                sizes = [block.width or self.spec.hidden for block in blocks]
                values.update(zip(blocks, made.split(sizes, -1), strict=True))
            elif node.op == "parameter":
                values[node] = self._parameter(str(node.name), parameters)
            elif node.op == "constant":
                values[node] = float(str(node.name))
            else:
                operation = OPERATIONS[node.op].torch
                if operation is None:
                    raise TypeError(f"PyTorch is not told how to do {node.op}")
                values[node] = operation(self.torch, *(values[read] for read in node.reads))

    def _parameter(self, name: str, parameters: dict[str, torch.Tensor]) -> torch.Tensor | None:
        """A parameter of the cell, None where the network has none such."""
        where, which = self.spec.stored(name)
        stored = parameters.get(where)
        return stored if stored is None or which is None else stored[..., which]

    def signal(self, name: str) -> np.ndarray:
        """A signal's values, (steps, batch, H)."""
        record = self._records[name]
        return _array(self.torch.stack(record) if isinstance(record, list) else record)

    def gradient(self, name: str) -> np.ndarray:
        """∂L/∂signal, (steps, batch, H)."""
        record = self._records[name]
        if not isinstance(record, list):
            return _array(self._gradient(record))
        return _array(self.torch.stack([self._gradient(tensor) for tensor in record]))

    def _gradient(self, tensor: torch.Tensor) -> torch.Tensor:
        """Zero where no path leads from a signal to the loss."""
        return self.torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def _made_of(leaves: set[Node], nodes: list[Node]) -> set[Node]:
    """The leaves, and every node that is made of them alone; nodes come after those they read."""
    found = set(leaves)
    for node in nodes:
        if node.reads and found.issuperset(node.reads):
            found.add(node)
    return found


def _array(tensor: torch.Tensor) -> np.ndarray:
    found: np.ndarray = tensor.detach().cpu().numpy()
    return found
