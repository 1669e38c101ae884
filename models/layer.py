"""One layer at work: a cell's program, with weights laid out for it and records to write into.

Arrays are time-major: (steps, batch, units). A state's record has one row more, its first being the state before the
first step.
"""

from __future__ import annotations

import numpy as np

from models.cell import Cell
from models.graph import Node
from models.program import program


class Weights:
    """One layer's parameters as its program reads them: blocks in the program's order, a sigmoid's rows halved.

    parameters: by PyTorch's names without prefix and layer ("weight_ih", "bias_hh", …). `input_map` is (inputs,
    blocks·H) and `input_bias` (blocks·H,): what is hoisted out of the loop, with every bias that may be.
    """

    def __init__(self, cell: type[Cell], parameters: dict[str, np.ndarray], hidden: int, dtype: np.dtype):
        self.program, self.hidden, self.dtype = program(cell), hidden, np.dtype(dtype)
        layout = self.program.layout
        self.inputs = parameters["weight_ih"].shape[1]
        self.fixed = {node.name: np.ascontiguousarray(parameters[node.name], dtype) for node in layout.graph.parameters}
        self.rows = {stack: layout.original_rows(stack, hidden) for stack in layout.stacks}
        order = {block.name: index for index, block in enumerate(layout.stacks["weight_ih"][1])}
        for stack, (_, blocks) in layout.stacks.items():
            weight = np.asarray(parameters[stack], dtype)[self.rows[stack]]
            bias = np.asarray(parameters[stack.replace("weight", "bias")], dtype)[self.rows[stack]]
            halved = [layout.is_plain(block) and layout.reader(block).op == "sigmoid" for block in blocks]
            scale = np.repeat(np.where(halved, 0.5, 1.0), hidden).astype(dtype)
            forward = np.ascontiguousarray((weight * scale[:, None]).T)
            if stack == "weight_ih":
                self.input_map, self.input_back, self.input_bias = forward, np.ascontiguousarray(weight), bias * scale
                continue
            self.fixed[stack], self.fixed[f"back_{stack}"] = forward, np.ascontiguousarray(weight)
            self.fixed[stack.replace("weight", "bias")] = bias * scale
            for index, block in enumerate(blocks):
                if layout.is_plain(block) and self.program.has_input(layout.reader(block)):
                    at = order[block.name] * hidden
                    self.input_bias[at : at + hidden] += (
                        bias[index * hidden : (index + 1) * hidden] * scale[index * hidden]
                    )
        widest = max([len(blocks) for _, blocks in layout.stacks.values()] + [len(layout.gates), 1])
        for name, number in (("one", 1), ("half", 0.5), ("minus_one", -1)):
            self.fixed[name] = np.full(widest * hidden, number, dtype)


class Layer:
    """One layer over `steps` steps of `batch` sequences: what the forward pass wrote, and if wanted the gradients."""

    def __init__(self, weights: Weights, steps: int, batch: int = 1, backward: bool = True, clamps: dict | None = None):
        """clamps: for each signal to overwrite its (keep, set) records, (steps, batch, H) each; see `Program`."""
        clamps = clamps or {}
        self.weights, self.steps, self.batch, self.hidden = weights, steps, batch, weights.hidden
        self.program = program(weights.program.cell, frozenset(clamps))
        self.cell = self.program.cell
        layout = self.program.layout
        self.records = {state: self._new(steps + 1, 1) for state in self.cell.states}
        self.records["gates"] = self._new(steps, len(layout.gates))
        for signal, (keep, value) in clamps.items():
            self.records |= {f"keep_{signal}": keep, f"set_{signal}": value}
        if self.program.kept:
            self.records["kept"] = self._new(steps, len(self.program.kept))
        for state in self.cell.states:
            self.records[state][0] = 0
        self.output = self.records[self.cell.states[0]][1:]
        self._spares = self._scratch(self.program.forward_schedule.scratch)
        if backward:
            self.gradients = {f"d_{state}": self._new(steps + 1, 1) for state in self.cell.states}
            self.gradients["d_gates"] = self._new(steps, len(layout.gates))
            self.output_gradient = self.gradients[f"d_{self.cell.states[0]}"]
            self._back_spares = self._scratch(self.program.backward_schedule.scratch)
            self._block: dict[str, np.ndarray] = {}

    def _new(self, steps: int, blocks: int) -> np.ndarray:
        return np.empty((steps, self.batch, blocks * self.hidden), self.weights.dtype)

    def _scratch(self, wanted: dict[str, int]) -> dict[str, np.ndarray]:
        return {name: self._new(1, blocks)[0] for name, blocks in wanted.items()}

    def _view(self, arrays: dict[str, np.ndarray], first: int, last: int) -> dict[str, np.ndarray]:
        return {
            name: array[first : last + (name.removeprefix("d_") in self.cell.states)] for name, array in arrays.items()
        }

    def signal(self, name: str) -> np.ndarray:
        """A signal's values, (steps, batch, H); a view of the record."""
        return self._at(self.records, "", name)

    def gradient(self, name: str) -> np.ndarray:
        """∂L/∂signal, (steps, batch, H); a view of the record."""
        return self._at(self.gradients, "d_", name)

    def _at(self, arrays: dict[str, np.ndarray], prefix: str, name: str) -> np.ndarray:
        if name in self.cell.states:
            return arrays[prefix + name][1:]
        index = self.program.layout.gates.index(name)
        return arrays[f"{prefix}gates"][..., index * self.hidden : (index + 1) * self.hidden]

    def forward(self, first: int, last: int, given: np.ndarray | None = None, table: np.ndarray | None = None) -> None:
        """Run steps first…last−1. given: inputs (n, batch, inputs); or, with table (rows as from `Weights.input_map`),
        row numbers (n, batch).
        """
        arrays = self._view(self.records, first, last)
        for place, start, stop in self.program.hoisted:
            columns = slice(start * self.hidden, stop * self.hidden)
            target = arrays[place.array][1:] if place.array in self.cell.states else arrays[place.array]
            target = target[..., place.first * self.hidden : place.last * self.hidden]
            if table is not None:
                target[...] = table[given, columns] if columns != slice(0, table.shape[1]) else table[given]
            else:
                flat = given.reshape(-1, given.shape[-1])
                target[...] = (flat @ self.weights.input_map[:, columns] + self.weights.input_bias[columns]).reshape(
                    target.shape
                )
        self.program.run_forward(arrays | self.weights.fixed | self._spares, self.hidden)

    def backward(self, first: int, last: int) -> dict[str, np.ndarray]:
        """Run steps last−1…first backwards; the output's own gradient must lie in `output_gradient` (its rows
        first+1…last).

        Returns ∂L/∂(stacked maps) and ∂L/∂(parameter vectors) of each step: {"d_weight_ih": (n, batch, blocks·H), …},
        valid until the next call.
        """
        steps = last - first
        arrays = self._view(self.records, first, last) | self._view(self.gradients, first, last)
        block = {name: array[:steps] for name, array in self._block_arrays(steps).items()}
        self.program.run_backward(arrays | block | self.weights.fixed | self._back_spares, self.hidden)
        if self.program.same_as_input:
            block["d_weight_ih"] = block[f"d_{self.program.same_as_input}"]
        return {name: array for name, array in block.items() if name.startswith("d_")}

    def begin_backward(self) -> None:
        """Nothing comes back from beyond the last step."""
        for state in self.cell.states:
            self.gradients[f"d_{state}"][-1] = 0

    def _block_arrays(self, steps: int) -> dict[str, np.ndarray]:
        if not self._block or len(next(iter(self._block.values()))) < steps:
            stacks = self.program.layout.stacks
            widths = dict(self.program.slopes.scratch)
            for name, (_, blocks) in stacks.items():
                if name != "weight_ih" or not self.program.same_as_input:
                    widths |= {f"d_{name}": len(blocks), f"slope_{name}": len(blocks)}
            widths |= {f"d_{node.name}": 1 for node in self.program.layout.graph.parameters}
            self._block = {name: self._new(steps, blocks) for name, blocks in widths.items()}
        return self._block

    def source(self, stack: str, first: int, last: int) -> np.ndarray:
        """What a stack of maps read at steps first…last−1, (n, batch, width); not for the input's stack."""
        return self.read(self.program.layout.stacks[stack][0], first, last)

    def read(self, node: Node, first: int, last: int) -> np.ndarray:
        """A signal, or a state before the step, at steps first…last−1, (n, batch, H)."""
        return self.records[node.name][first:last] if node.op == "state" else self.signal(node.signal)[first:last]

    def carry(self) -> None:
        """Begin the next sequence with the states in which this one ended."""
        for state in self.cell.states:
            self.records[state][0] = self.records[state][-1]
