"""One layer at work: a cell's program, with weights laid out for it and records to write into.

Arrays are time-major: (steps, batch, units). A state's record has one row more, its first being the state before the
first step.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gatescope.models.compiler.aligned import side_by_side
from gatescope.models.compiler.backend import kernel
from gatescope.models.compiler.program import program
from gatescope.models.compiler.schedule import Place
from gatescope.models.graph.node import Node
from gatescope.models.network.layer_weights import LayerWeights

# for each overwritten signal its (mask, value), (steps, batch, H) each; see `models.compiler.program.Program`
InterventionRecords = Mapping[str, tuple[np.ndarray, np.ndarray]]


class Layer:
    """One layer over `steps` steps of `batch` sequences: what the forward pass wrote, and if wanted the gradients.

    A layer in reverse reads from the last step to the first, so its time chunks come in the other order. Its records
    lie in the order in which it reads; whatever is had from outside is in the order of the sequence.
    """

    def __init__(
        self,
        weights: LayerWeights,
        steps: int,
        batch: int = 1,
        backward: bool = True,
        interventions: InterventionRecords | None = None,
        reverse: bool = False,
        gradient_window: int | None = None,
        adjoints: int | None = None,
    ):
        """interventions: the records of the signals to overwrite, none unless given.
        gradient_window: how many steps' gradients are recorded at a time, all of them unless said. adjoints: how many
        adjoint vectors are propagated together through what one sequence recorded (one a loss); as many as there are
        sequences unless said.
        """
        interventions = interventions or {}
        self.weights, self.steps, self.batch, self.hidden = weights, steps, batch, weights.hidden
        self.order = slice(None, None, -1 if reverse else 1)
        self.program = program(weights.program.cell, interventions)
        self._kernel = kernel(self.program, weights.dtype, steps * batch)
        self.cell, self.states = self.program.cell, self.program.cell.memories()
        layout = self.program.layout
        self.gradient_window, self.base, self.adjoints = gradient_window or steps, 0, adjoints or batch
        shapes = {state: self._shape(state, steps + 1) for state in self.states}
        shapes["gates"] = self._shape("gates", steps, len(layout.gates))
        if self.program.kept:
            shapes["kept"] = self._shape("kept", steps, len(self.program.kept))
        back = {f"d_{state}": self._shape(f"d_{state}", self.gradient_window + 1) for state in self.states}
        back["d_gates"] = self._shape("d_gates", self.gradient_window, len(layout.gates))
        arrays = side_by_side(shapes | back if backward else shapes, weights.dtype)
        self.records = {name: arrays.pop(name) for name in shapes}
        for signal, (mask, value) in interventions.items():
            self.records |= {f"mask_{signal}": mask[self.order], f"value_{signal}": value[self.order]}
        self.forget()
        self.output = self.signal(self.states[0])
        self._spares = self._scratch(self.program.forward_schedule.scratch)
        if backward:
            self.gradients = arrays
            self._back_spares = self._scratch(self.program.backward_schedule.scratch)
            self._chunk: dict[str, np.ndarray] = {}

    def _shape(self, name: str, steps: int, blocks: int = 1) -> tuple[int, int, int]:
        width = self.program.widths.get(name, blocks * self.hidden)
        adjoints = self.adjoints if name.startswith(("d_", "spare_back")) else self.batch
        return steps, adjoints, width

    def _scratch(self, wanted: dict[str, int]) -> dict[str, np.ndarray]:
        shapes = {name: self._shape(name, 1, blocks)[1:] for name, blocks in wanted.items()}
        return side_by_side(shapes, self.weights.dtype)

    def _view(self, arrays: dict[str, np.ndarray], first: int, last: int) -> dict[str, np.ndarray]:
        return {name: array[first : last + (name.removeprefix("d_") in self.states)] for name, array in arrays.items()}

    def signal(self, name: str) -> np.ndarray:
        """A signal's values, (steps, batch, H); a view of the record."""
        return self._at(self.records, "", name)

    def gradient(self, name: str) -> np.ndarray:
        """∂L/∂signal, (steps, batch, H); a view of the record (of the last chunk, where the window holds no more)."""
        return self._at(self.gradients, "d_", name)

    def gradient_at(self, name: str, first: int, last: int) -> np.ndarray:
        """∂L/∂signal at steps first…last−1 of the last chunk, (n, batch, H)."""
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
        self._kernel.run_forward(arrays | self.weights.constants | self._spares, self.hidden)

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

    def backward(self, first: int, last: int, first_adjoint: int = 0) -> dict[str, np.ndarray]:
        """Run steps last−1…first backwards (in reverse: first…last−1); the output's own gradient must have been added
        to `output_gradient`. Of several sides those before `first_adjoint` are left out.

        Returns ∂L/∂(stacked maps) and ∂L/∂(parameter vectors) of each step: {"weight_ih": (n, batch, blocks·H), …},
        valid until the next call.
        """
        steps = last - first
        own = self._own(first, last)
        gradients = self._view(self.gradients, own[0] - self.base, own[1] - self.base)
        chunk = {name: array[:steps] for name, array in self._chunk_arrays(steps).items()}
        spares = self._back_spares
        if first_adjoint:
            gradients = {name: array[:, first_adjoint:] for name, array in gradients.items()}
            chunk = {
                name: array[:, first_adjoint:] if name.startswith("d_") else array for name, array in chunk.items()
            }
            spares = {name: array[first_adjoint:] for name, array in spares.items()}
        arrays = self._view(self.records, *own) | gradients | chunk | self.weights.constants | spares
        self._kernel.run_backward(arrays, self.hidden)
        if self.program.same_as_input:
            chunk["d_weight_ih"] = chunk[f"d_{self.program.same_as_input}"]
        return {name.removeprefix("d_"): array[self.order] for name, array in chunk.items() if name.startswith("d_")}

    def begin_backward(self) -> None:
        """Nothing comes back from beyond the last step, and nothing has been given to the output yet."""
        for state in self.states:
            self.gradients[f"d_{state}"][[0, -1]] = 0
        self.gradients[f"d_{self.states[0]}"][:] = 0

    def shift_window(self, first: int, last: int) -> None:
        """Before a chunk goes backwards: where the window is shorter than the sequence, only ∂L/∂(the states at
        the chunk's end) stays of the chunk after it.
        """
        if self.gradient_window < self.steps:
            self.base = first
            for state in self.states:
                array = self.gradients[f"d_{state}"]
                array[last - first] = array[0]
            self.gradients[f"d_{self.states[0]}"][: last - first] = 0

    def _chunk_arrays(self, steps: int) -> dict[str, np.ndarray]:
        """What the backward pass of a time chunk writes beside the records: adjoints of stacks, and NumPy's factors."""
        if not self._chunk or len(next(iter(self._chunk.values()))) < steps:
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
            self._chunk = side_by_side(shapes, self.weights.dtype)
        return self._chunk

    def source(self, stack: str, first: int, last: int) -> np.ndarray:
        """What a stack of maps read at steps first…last−1, (n, batch, width); not for the input's stack."""
        return self.read(self.program.layout.stacks[stack][0], first, last)

    def read(self, node: Node, first: int, last: int) -> np.ndarray:
        """A signal, a state before the step, or a map that another map reads, at steps first…last−1, (n, batch, H)."""
        if node.op == "state":
            return self.records[str(node.name)][:-1][self.order][first:last]
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
