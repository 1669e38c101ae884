"""One layer's parameters, laid out as its program reads them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatescope.models.compiler.aligned import side_by_side
from gatescope.models.compiler.program import program
from gatescope.models.graph.cell import Cell
from gatescope.models.graph.node import Node


@dataclass
class InputMap:
    """One map of a layer's input, hoisted out of the time loop: it reads the input `lag` steps ago, or later
    where the layer reads from the end and `lag` is negative.

    forward: (inputs, blocks·H), scaled as the program wants it. back: (blocks·H, inputs), as stored. rows: see
    `LayerWeights`.
    """

    name: str
    lag: int
    forward: np.ndarray
    back: np.ndarray
    rows: np.ndarray


class LayerWeights:
    """One layer's parameters as its program reads them: blocks in the program's order, a sigmoid's rows halved.

    parameters: by PyTorch's names without prefix and layer ("weight_ih", "bias_hh", …). maps: those of the input, which
    are hoisted, and their `bias` (blocks·H,), with every bias that may be. rows: for each stack the stored rows in the
    program's order.
    """

    def __init__(
        self,
        cell: type[Cell],
        parameters: dict[str, np.ndarray],
        hidden: int,
        dtype: np.dtype,
        reverse: bool = False,
    ):
        self.program, self.hidden, self.dtype = program(cell), hidden, np.dtype(dtype)
        layout = self.program.layout
        self.rows = {stack: layout.original_rows(stack, hidden) for stack in layout.stacks}
        self.bias = np.empty(len(self.rows["weight_ih"]), dtype)
        self._scales = {stack: self._scale(blocks) for stack, (_, blocks) in layout.stacks.items()}
        widest = max([len(blocks) for _, blocks in layout.stacks.values()] + [len(layout.gates), 1])
        shapes = {name: parameters[name].shape for name in self._vectors()}
        shapes |= dict.fromkeys(self.program.numbers, (widest * hidden,))
        for stack, (_, blocks) in layout.stacks.items():
            rows, columns = parameters[stack].shape
            shapes |= {stack: (columns, rows), f"back_{stack}": (rows, columns)}
            if blocks[0].bias:
                shapes[stack.replace("weight", "bias")] = (rows,)
        self.constants = side_by_side(shapes, dtype)
        self.maps = [
            InputMap(
                stack,
                -layout.graph.lags[source] if reverse else layout.graph.lags[source],
                self.constants[stack],
                self.constants[f"back_{stack}"],
                self.rows[stack],
            )
            for stack, (source, _) in layout.stacks.items()
            if source in layout.graph.lags
        ]
        for name, number in self.program.numbers.items():
            self.constants[name][...] = number
        self.load(parameters)

    def _vectors(self) -> list[str]:
        """The names of the parameters that hold one number a unit."""
        return [str(node.name) for node in self.program.layout.graph.parameters]

    def _scale(self, blocks: list[Node]) -> list[float]:
        """What each block is multiplied by: a sigmoid's argument is halved."""
        layout = self.program.layout
        return [
            0.5 if not block.width and layout.is_plain(block) and layout.reader(block).op == "sigmoid" else 1.0
            for block in blocks
        ]

    def load(self, parameters: dict[str, np.ndarray]) -> None:
        """Take over parameters of the same shapes, into the same arrays."""
        layout = self.program.layout
        for name in self._vectors():
            self.constants[name][...] = parameters[name]
        self.bias[...] = 0
        for stack, (source, blocks) in layout.stacks.items():
            forward, back, stored = self.constants[stack], self.constants[f"back_{stack}"], parameters[stack]
            size, bias = blocks[0].width or self.hidden, self.constants.get(stack.replace("weight", "bias"))
            for start, scale in zip(range(0, len(back), size), self._scales[stack], strict=True):
                mine = slice(self.rows[stack][start], self.rows[stack][start] + size)
                back[start : start + size] = stored[mine]
                np.multiply(stored[mine].T, scale, out=forward[:, start : start + size], casting="same_kind")
                if bias is not None:
                    bias[start : start + size] = parameters[stack.replace("weight", "bias")][mine]
                    bias[start : start + size] *= scale
            if bias is not None and source in layout.graph.lags:
                self.bias += bias
            elif bias is not None:
                self._fold(blocks, bias)

    def _fold(self, blocks: list[Node], bias: np.ndarray) -> None:
        """Add a stack's biases to the input's, where both are summands of the same gate."""
        layout, hidden = self.program.layout, self.hidden
        order = {layout.reader(block): index for index, block in enumerate(layout.stacks["weight_ih"][1])}
        for index, block in enumerate(blocks):
            if layout.is_plain(block) and self.program.has_input(layout.reader(block)):
                at = order[layout.reader(block)] * hidden
                self.bias[at : at + hidden] += bias[index * hidden : (index + 1) * hidden]
