"""One layer at work: a cell's program, with weights laid out for it and records to write into.

Arrays are time-major: (steps, batch, units). A state's record has one row more, its first being the state before the
first step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatescope.models.compiler.aligned import side_by_side
from gatescope.models.compiler.backend import kernel
from gatescope.models.compiler.program import program
from gatescope.models.compiler.schedule import Place
from gatescope.models.graph.cell import Cell
from gatescope.models.graph.graph import Node


@dataclass
class InputMap:
    """One map of a layer's input, hoisted out of the time loop: it reads the input `lag` steps ago.

    forward: (inputs, blocks·H), scaled as the program wants it. back: (blocks·H, inputs), as stored. rows: see
    `Weights`.
    """

    name: str
    lag: int
    forward: np.ndarray
    back: np.ndarray
    rows: np.ndarray


class Weights:
    """One layer's parameters as its program reads them: blocks in the program's order, a sigmoid's rows halved.

    parameters: by PyTorch's names without prefix and layer ("weight_ih", "bias_hh", …). maps: those of the input, which
    are hoisted, and their `bias` (blocks·H,), with every bias that may be. rows: for each stack the stored rows in the
    program's order.
    """

    def __init__(self, cell: type[Cell], parameters: dict[str, np.ndarray], hidden: int, dtype: np.dtype):
        self.program, self.hidden, self.dtype = program(cell), hidden, np.dtype(dtype)
        layout = self.program.layout
        self.rows = {stack: layout.original_rows(stack, hidden) for stack in layout.stacks}
        self.bias = np.empty(len(self.rows["weight_ih"]), dtype)
        self._scales = {stack: self._scale(blocks) for stack, (_, blocks) in layout.stacks.items()}
        widest = max([len(blocks) for _, blocks in layout.stacks.values()] + [len(layout.gates), 1])
        shapes = {node.name: parameters[node.name].shape for node in layout.graph.parameters}
        shapes |= dict.fromkeys(("one", "half", "minus_one"), (widest * hidden,))
        for stack in layout.stacks:
            rows, columns = parameters[stack].shape
            shapes |= {stack: (columns, rows), f"back_{stack}": (rows, columns)}
            shapes |= {stack.replace("weight", "bias"): (rows,)}
        self.fixed = side_by_side(shapes, dtype)
        self.maps = [
            InputMap(stack, layout.graph.lags[source], self.fixed[stack], self.fixed[f"back_{stack}"], self.rows[stack])
            for stack, (source, _) in layout.stacks.items()
            if source in layout.graph.lags
        ]
        for name, number in (("one", 1), ("half", 0.5), ("minus_one", -1)):
            self.fixed[name][...] = number
        self.lay(parameters)

    def _scale(self, blocks: list[Node]) -> list[float]:
        """What each block is multiplied by: a sigmoid's argument is halved."""
        layout = self.program.layout
        return [
            0.5 if not block.width and layout.is_plain(block) and layout.reader(block).op == "sigmoid" else 1.0
            for block in blocks
        ]

    def lay(self, parameters: dict[str, np.ndarray]) -> None:
        """Take over parameters of the same shapes, into the same arrays."""
        layout = self.program.layout
        for node in layout.graph.parameters:
            self.fixed[node.name][...] = parameters[node.name]
        self.bias[...] = 0
        for stack, (source, blocks) in layout.stacks.items():
            forward, back, stored = self.fixed[stack], self.fixed[f"back_{stack}"], parameters[stack]
            bias, size = self.fixed[stack.replace("weight", "bias")], blocks[0].width or self.hidden
            for start, scale in zip(range(0, len(back), size), self._scales[stack], strict=True):
                mine = slice(self.rows[stack][start], self.rows[stack][start] + size)
                back[start : start + size] = stored[mine]
                np.multiply(stored[mine].T, scale, out=forward[:, start : start + size], casting="same_kind")
                if not blocks[0].width:
                    bias[start : start + size] = parameters[stack.replace("weight", "bias")][mine]
                    bias[start : start + size] *= scale
            if source in layout.graph.lags:
                self.bias += bias
            elif not blocks[0].width:
                self._fold(blocks, bias)

    def _fold(self, blocks: list[Node], bias: np.ndarray) -> None:
        """Add a stack's biases to the input's, where both are summands of the same gate."""
        layout, hidden = self.program.layout, self.hidden
        order = {layout.reader(block): index for index, block in enumerate(layout.stacks["weight_ih"][1])}
        for index, block in enumerate(blocks):
            if layout.is_plain(block) and self.program.has_input(layout.reader(block)):
                at = order[layout.reader(block)] * hidden
                self.bias[at : at + hidden] += bias[index * hidden : (index + 1) * hidden]


class Layer:
    """One layer over `steps` steps of `batch` sequences: what the forward pass wrote, and if wanted the gradients.

    A layer in reverse reads from the last step to the first, so its blocks come in the other order. Its records lie in
    the order in which it reads; whatever is had from outside is in the order of the sequence.
    """

    def __init__(
        self,
        weights: Weights,
        steps: int,
        batch: int = 1,
        backward: bool = True,
        clamps: dict | None = None,
        reverse: bool = False,
        room: int | None = None,
        sides: int | None = None,
    ):
        """clamps: for each signal to overwrite its (keep, set) records, (steps, batch, H) each; see `Program`. room:
        for how many steps gradients are kept at a time; all of them unless said. sides: how many losses go back at once
        through what one sequence recorded; as many as there are sequences unless said.
        """
        clamps = clamps or {}
        self.weights, self.steps, self.batch, self.hidden = weights, steps, batch, weights.hidden
        self.order = slice(None, None, -1 if reverse else 1)
        self.program = program(weights.program.cell, clamps)
        self._kernel = kernel(self.program, weights.dtype, steps * batch)
        self.cell, self.states = self.program.cell, self.program.cell.memories()
        layout = self.program.layout
        self.room, self.base, self.sides = room or steps, 0, sides or batch
        shapes = {state: self._shape(state, steps + 1) for state in self.states}
        shapes["gates"] = self._shape("gates", steps, len(layout.gates))
        if self.program.kept:
            shapes["kept"] = self._shape("kept", steps, len(self.program.kept))
        back = {f"d_{state}": self._shape(f"d_{state}", self.room + 1) for state in self.states}
        back["d_gates"] = self._shape("d_gates", self.room, len(layout.gates))
        arrays = side_by_side(shapes | back if backward else shapes, weights.dtype)
        self.records = {name: arrays.pop(name) for name in shapes}
        for signal, (keep, value) in clamps.items():
            self.records |= {f"keep_{signal}": keep[self.order], f"set_{signal}": value[self.order]}
        self.forget()
        self.output = self.signal(self.states[0])
        self._spares = self._scratch(self.program.forward_schedule.scratch)
        if backward:
            self.gradients = arrays
            self._back_spares = self._scratch(self.program.backward_schedule.scratch)
            self._block: dict[str, np.ndarray] = {}

    def _shape(self, name: str, steps: int, blocks: int = 1) -> tuple[int, int, int]:
        width = self.program.widths.get(name, blocks * self.hidden)
        sides = self.sides if name.startswith(("d_", "spare_back")) else self.batch
        return steps, sides, width

    def _scratch(self, wanted: dict[str, int]) -> dict[str, np.ndarray]:
        shapes = {name: self._shape(name, 1, blocks)[1:] for name, blocks in wanted.items()}
        return side_by_side(shapes, self.weights.dtype)

    def _view(self, arrays: dict[str, np.ndarray], first: int, last: int) -> dict[str, np.ndarray]:
        return {name: array[first : last + (name.removeprefix("d_") in self.states)] for name, array in arrays.items()}

    def signal(self, name: str) -> np.ndarray:
        """A signal's values, (steps, batch, H); a view of the record."""
        return self._at(self.records, "", name)

    def gradient(self, name: str) -> np.ndarray:
        """∂L/∂signal, (steps, batch, H); a view of the record (of the last block, where there is room for no more)."""
        return self._at(self.gradients, "d_", name)

    def gradient_at(self, name: str, first: int, last: int) -> np.ndarray:
        """∂L/∂signal at steps first…last−1 of the last block, (n, batch, H)."""
        return self.gradient(name)[first - self.base : last - self.base]

    def output_gradient(self, first: int, last: int) -> np.ndarray:
        """∂L/∂output as far as it was given by what reads it, at steps first…last−1; to be added to."""
        return self.gradient_at(self.states[0], first, last)

    def _at(self, arrays: dict[str, np.ndarray], prefix: str, name: str) -> np.ndarray:
        if name in self.states:
            return arrays[prefix + name][1:][self.order]
        index = self.program.layout.gates.index(name)
        return arrays[f"{prefix}gates"][self.order, :, index * self.hidden : (index + 1) * self.hidden]

    def in_order(self, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Rising ranges of steps in the order in which the forward pass must run them."""
        return spans[self.order]

    def _own(self, first: int, last: int) -> tuple[int, int]:
        """Where steps first…last−1 lie in the records."""
        return (first, last) if self.order.step > 0 else (self.steps - last, self.steps - first)

    def forward(self, first: int, last: int, projected: np.ndarray) -> None:
        """Run steps first…last−1, given what the input's maps make of them, (n, batch, blocks·H)."""
        arrays, projected = self._view(self.records, *self._own(first, last)), projected[self.order]
        for place, start, stop in self.program.hoisted:
            target, given = self._hoisted(place, arrays), projected[..., start * self.hidden : stop * self.hidden]
            if target.ctypes.data != given.ctypes.data:
                target[...] = given
        self._kernel.run_forward(arrays | self.weights.fixed | self._spares, self.hidden)

    def _hoisted(self, place: Place, arrays: dict[str, np.ndarray]) -> np.ndarray:
        """Where maps of the input go, of all steps in these arrays."""
        array = arrays[place.array][1:] if place.array in self.states else arrays[place.array]
        return array[..., place.first * self.hidden : place.last * self.hidden]

    def target(self, first: int, last: int) -> np.ndarray | None:
        """Where what the input's maps make of steps first…last−1 may be written at once, (n, batch, blocks·H); None
        where it must be divided.
        """
        place, *more = [place for place, _, _ in self.program.hoisted]
        found = self._hoisted(place, self._view(self.records, first, last))
        return None if more or self.order.step < 0 or not found.flags.c_contiguous else found

    def backward(self, first: int, last: int, since: int = 0) -> dict[str, np.ndarray]:
        """Run steps last−1…first backwards (in reverse: first…last−1); the output's own gradient must have been added
        to `output_gradient`. Of several sides those before `since` are left out.

        Returns ∂L/∂(stacked maps) and ∂L/∂(parameter vectors) of each step: {"weight_ih": (n, batch, blocks·H), …},
        valid until the next call.
        """
        steps = last - first
        own = self._own(first, last)
        gradients = self._view(self.gradients, own[0] - self.base, own[1] - self.base)
        block = {name: array[:steps] for name, array in self._block_arrays(steps).items()}
        spares = self._back_spares
        if since:
            gradients = {name: array[:, since:] for name, array in gradients.items()}
            block = {name: array[:, since:] if name.startswith("d_") else array for name, array in block.items()}
            spares = {name: array[since:] for name, array in spares.items()}
        arrays = self._view(self.records, *own) | gradients | block | self.weights.fixed | spares
        self._kernel.run_backward(arrays, self.hidden)
        if self.program.same_as_input:
            block["d_weight_ih"] = block[f"d_{self.program.same_as_input}"]
        return {name.removeprefix("d_"): array[self.order] for name, array in block.items() if name.startswith("d_")}

    def begin_backward(self) -> None:
        """Nothing comes back from beyond the last step, and nothing has been given to the output yet."""
        for state in self.states:
            self.gradients[f"d_{state}"][[0, -1]] = 0
        self.gradients[f"d_{self.states[0]}"][:] = 0

    def make_room(self, first: int, last: int) -> None:
        """Before a block goes backwards: where there is no room for all steps, only what came back to it stays."""
        if self.room < self.steps:
            self.base = first
            for state in self.states:
                array = self.gradients[f"d_{state}"]
                array[last - first] = array[0]
            self.gradients[f"d_{self.states[0]}"][: last - first] = 0

    def _block_arrays(self, steps: int) -> dict[str, np.ndarray]:
        if not self._block or len(next(iter(self._block.values()))) < steps:
            stacks = self.program.layout.stacks
            widths = dict(self.program.slopes.scratch)
            lags, shared = self.program.layout.graph.lags, self.program.same_as_input
            for name, (source, blocks) in stacks.items():
                if source not in lags or (name == "weight_ih" and not shared):
                    widths |= {f"d_{name}": len(blocks), f"slope_{name}": len(blocks)}
            widths |= {f"d_{node.name}": 1 for node in self.program.layout.graph.parameters}
            if self._kernel is not self.program:  # machine code has its factors in registers
                widths = {name: blocks for name, blocks in widths.items() if name.startswith("d_")}
            shapes = {name: self._shape(name, steps, blocks) for name, blocks in widths.items()}
            self._block = side_by_side(shapes, self.weights.dtype)
        return self._block

    def source(self, stack: str, first: int, last: int) -> np.ndarray:
        """What a stack of maps read at steps first…last−1, (n, batch, width); not for the input's stack."""
        return self.read(self.program.layout.stacks[stack][0], first, last)

    def read(self, node: Node, first: int, last: int) -> np.ndarray:
        """A signal, a state before the step, or a map that another map reads, at steps first…last−1, (n, batch, H)."""
        if node.op == "state":
            return self.records[node.name][:-1][self.order][first:last]
        if node.signal:
            return self.signal(node.signal)[first:last]
        index = self.program.kept.index(node)
        return self.records["kept"][self.order][first:last, :, index * self.hidden : (index + 1) * self.hidden]

    def carry(self) -> None:
        """Begin the next sequence with the states in which this one ended."""
        for state in self.states:
            self.records[state][0] = self.records[state][-1]

    def forget(self) -> None:
        """Begin, also after `carry`, with all states zero."""
        for state in self.states:
            self.records[state][[0, -1]] = 0
