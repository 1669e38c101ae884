"""Of which layers a network is made, and where the parameters of each lie: a convolution or none, then recurrent layers
that read in one direction or in both.

A convolution over the last few inputs is a time-delay layer, so it needs no program of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gatescope.models.cells.tdnn import TDNN
from gatescope.models.graph.cell import Cell

REVERSE = "_reverse"
CONVOLUTION = "convolution"


@dataclass(frozen=True)
class LayerSpec:
    """One layer of a network: `name` as in traces (`layer0`, `layer0_reverse`, `convolution`), how many units, at which
    level it stands (0 reads the input), and whether it reads from the end.
    """

    name: str
    cell: type[Cell]
    hidden: int
    level: int
    reverse: bool = False

    @property
    def outputs(self) -> int:
        """How many numbers it gives at each step."""
        return self.cell.width(self.cell.memories()[0], self.hidden)

    def describe(self) -> dict[str, Any]:
        """The layer as a page needs it."""
        return {"name": self.name, "cell": self.cell.id, "hidden": self.hidden, "reverse": self.reverse}

    def stored(self, parameter: str) -> tuple[str, int | None]:
        """Where a parameter of the cell lies: PyTorch's name, and for a convolution which of the window's matrices."""
        if self.name != CONVOLUTION:
            number = self.name.removeprefix("layer").removesuffix(REVERSE)
            return f"rnn.{parameter}_l{number}{REVERSE if self.reverse else ''}", None
        if parameter.startswith("bias"):
            return (f"{CONVOLUTION}.bias" if parameter == "bias_ih" else ""), None
        window = len(self.cell.states)
        lag = next(lag for name, lag in self._lags().items() if name == parameter)
        return f"{CONVOLUTION}.weight", window - 1 - lag

    def _lags(self) -> dict[str, int]:
        lags = self.cell.graph().lags
        return {name: lags[source] for name, (source, _) in self.cell.stacks().items()}

    def parameters(self, stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The cell's parameters out of the network's; a bias that is not there counts as zeros."""
        found = {}
        for name, shape in self.cell.parameter_shapes(1, self.hidden).items():
            where, index = self.stored(name)
            if where in stored:
                found[name] = stored[where] if index is None else stored[where][..., index]
            elif name.startswith("bias"):
                found[name] = np.zeros(shape, np.float32)
        return found


def convolution(window: int) -> type[Cell]:
    """The cell of a convolution over the last `window` inputs, with relu."""
    return TDNN.with_options(("window", window), ("nonlinearity", "relu"))


def layer_specs(cell: type[Cell], layers: int, hidden: int, parameters: dict[str, np.ndarray]) -> list[LayerSpec]:
    """The layers that a network with these parameters has, from the input on."""
    found = []
    if kernel := parameters.get(f"{CONVOLUTION}.weight", np.empty(0)).shape[1:]:
        found.append(LayerSpec(CONVOLUTION, convolution(kernel[-1]), len(parameters[f"{CONVOLUTION}.weight"]), 0))
    directions = (False, True) if any(name.endswith(REVERSE) for name in parameters) else (False,)
    for layer in range(layers):
        level = layer + len(found[:1] if found and found[0].name == CONVOLUTION else [])
        found += [
            LayerSpec(f"layer{layer}{REVERSE if reverse else ''}", cell, hidden, level, reverse)
            for reverse in directions
        ]
    return found


def widths(layer_specs: list[LayerSpec]) -> list[int]:
    """How many numbers each level gives at a step, from the input on."""
    return [
        sum(spec.outputs for spec in layer_specs if spec.level == level) for level in range(layer_specs[-1].level + 1)
    ]


def parameter_shapes(
    cell: type[Cell],
    layers: int,
    hidden: int,
    inputs: int,
    embedding: int | None,
    outputs: int | None = None,
    directions: int = 1,
    convolution: tuple[int, int] | None = None,
) -> dict[str, tuple[int, ...]]:
    """Every parameter's PyTorch name and shape.

    inputs: different tokens, or numbers a step. outputs: rows of the readout, as many as inputs unless said.
    convolution: its (channels, window).
    """
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (inputs, embedding)} if embedding else {}
    width = embedding or inputs
    if convolution:
        channels, window = convolution
        shapes |= {f"{CONVOLUTION}.weight": (channels, width, window), f"{CONVOLUTION}.bias": (channels,)}
        width = channels
    for layer in range(layers):
        mine = cell.parameter_shapes(width, hidden)
        for suffix in ("", REVERSE)[:directions]:
            shapes |= {f"rnn.{name}_l{layer}{suffix}": shape for name, shape in mine.items()}
        width = directions * cell.width(cell.memories()[0], hidden)
    outputs = inputs if outputs is None else outputs
    return shapes | {"readout.weight": (outputs, width), "readout.bias": (outputs,)}
