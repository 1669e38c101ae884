"""A whole network's forward and backward pass over a sequence: input, layers, readout, loss.

Time runs in chunks: forwards chunk by chunk upwards (all layers of a chunk before the next), backwards chunk by chunk
downwards. What a chunk needs besides the records is small and stays in the cache. Where layers read in both directions
the whole sequence is one call, in which each layer runs all its chunks before the next. Losses are in nats.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gatescope.models.compiler.backend import chosen_kernel
from gatescope.models.graph.cell import Cell
from gatescope.models.network.architecture import layer_specs
from gatescope.models.network.inputs import Add, AnyInput, LayerInput, TokenTable, ValueInput, norm
from gatescope.models.network.layer import InterventionRecords, Layer
from gatescope.models.network.layer_weights import LayerWeights
from gatescope.models.network.matmul import NUMPY_MATMUL, Matmul

CHUNK_LENGTHS = {"numpy": 96, "compiled": 500}


class NetworkWeights:
    """A network's parameters laid out for its programs, in one precision.

    parameters: by their PyTorch names (`embedding.weight`, `rnn.weight_ih_l0`, `readout.weight`, …). A bias that is
    not among them counts as zeros, a readout that is not as one without rows; neither has a gradient. channels: how
    many real numbers it reads at each step, None where it reads tokens. matmul: whose matrix products are taken.
    """

    def __init__(
        self,
        cell: type[Cell],
        layers: int,
        hidden: int,
        parameters: dict[str, np.ndarray],
        dtype: np.dtype,
        channels: int | None = None,
        matmul: Matmul = NUMPY_MATMUL,
    ):
        self.cell, self.hidden, self.dtype, self.channels = cell, hidden, np.dtype(dtype), channels
        self.matmul = matmul
        self.shapes = {name: array.shape for name, array in parameters.items()}
        self.layer_specs = layer_specs(cell, layers, hidden, parameters)
        self.layers = [
            LayerWeights(spec.cell, spec.parameters(parameters), spec.hidden, dtype, spec.reverse)
            for spec in self.layer_specs
        ]
        self.top = [index for index, spec in enumerate(self.layer_specs) if spec.level == self.layer_specs[-1].level]
        self.parameters = parameters
        self._around()

    def _around(self) -> None:
        parameters, dtype = self.parameters, self.dtype
        width = sum(self.layer_specs[index].outputs for index in self.top)
        self.readout = np.asarray(parameters.get("readout.weight", np.zeros((0, width))), dtype)
        self.readout_bias = np.asarray(parameters.get("readout.bias", np.zeros(len(self.readout))), dtype)
        embedding = np.asarray(parameters["embedding.weight"], dtype) if "embedding.weight" in parameters else None
        lowest = (
            [] if self.channels else [layer for spec, layer in zip(self.layer_specs, self.layers) if spec.level == 0]
        )
        self.token_tables = [TokenTable(each.maps, each.bias, embedding, self.matmul) for each in lowest]

    def refresh(self) -> None:
        """Take over what the parameters have become, in the same arrays; `NetworkPass.use` follows."""
        for spec, layer in zip(self.layer_specs, self.layers, strict=True):
            layer.load(spec.parameters(self.parameters))
        self._around()

    @property
    def nbytes(self) -> int:
        """How many bytes of memory they take."""
        tables = [table for each in self.token_tables for table in each.tables]
        layers = [array for layer in self.layers for array in layer.constants.values()]
        return sum(array.nbytes for array in (*tables, *layers, self.readout))

    @property
    def both_ways(self) -> bool:
        """Whether layers read in both directions, so that a sequence must be there as a whole."""
        return any(spec.reverse for spec in self.layer_specs)

    @property
    def recycles(self) -> bool:
        """Whether a time chunk can be run backwards from the states at its beginning alone (one direction, no delay
        lines), so that records may be used again for the next chunk.
        """
        return not self.both_ways and not any(each.lag for layer in self.layers for each in layer.maps)


class NetworkPass:
    """One pass of a network over (steps, batch) tokens or (steps, batch, channels) numbers: its layers' records, what
    the readout gives (`logits`), and parameter gradients.

    interventions (for each layer), gradient_window and adjoints are as `Layer` takes them.
    """

    def __init__(
        self,
        weights: NetworkWeights,
        steps: int,
        batch: int = 1,
        backward: bool = True,
        interventions: Sequence[InterventionRecords] | None = None,
        gradient_window: int | None = None,
        adjoints: int | None = None,
    ):
        self.steps = steps
        interventions = interventions or [{} for _ in weights.layers]
        self.layers = [
            Layer(layer, steps, batch, backward, mine, spec.reverse, gradient_window, adjoints)
            for layer, mine, spec in zip(weights.layers, interventions, weights.layer_specs, strict=True)
        ]
        self.logits = np.empty((steps, batch, len(weights.readout)), weights.dtype)
        if weights.channels:
            self.inputs = np.zeros((steps, batch, weights.channels), weights.dtype)
        else:
            self.inputs = np.zeros((steps, batch), np.intp)
        self.norms: list[dict[str, np.ndarray]] = [{} for _ in self.layers]
        self.gradients: dict[str, np.ndarray] = {}
        self.use(weights)

    def use(self, weights: NetworkWeights) -> None:
        """Go on with other weights of the same shapes, keeping records and states; without dropout."""
        self.weights = weights
        self.layer_inputs: list[AnyInput] = []
        for index, (spec, layer, mine) in enumerate(zip(weights.layer_specs, self.layers, weights.layers, strict=True)):
            layer.weights = mine
            if spec.level:
                self.layer_inputs.append(LayerInput(mine.maps, mine.bias, self._level(spec.level - 1), weights.matmul))
            elif weights.channels:
                self.layer_inputs.append(ValueInput(mine.maps, mine.bias, self.inputs, weights.matmul))
            else:
                self.layer_inputs.append(weights.token_tables[index].read(self.inputs))
        self.output = LayerInput([], weights.readout_bias, self._level(weights.layer_specs[-1].level), weights.matmul)

    def _level(self, level: int) -> list[Layer]:
        return [layer for spec, layer in zip(self.weights.layer_specs, self.layers, strict=True) if spec.level == level]

    def drop(self, masks: list[np.ndarray]) -> None:
        """Multiply what each level gives with its mask, (steps, batch, width); without masks nothing is dropped."""
        levels = [spec.level for spec in self.weights.layer_specs]
        for level, above in zip([*levels, levels[-1] + 1], [*self.layer_inputs, self.output], strict=True):
            if isinstance(above, LayerInput):
                above.mask = masks[level - 1] if masks else None

    def forward(self, inputs: np.ndarray, first: int = 0) -> None:
        """Read tokens (n, batch) or numbers (n, batch, channels) as steps first…first+n−1; write records and logits."""
        last = first + len(inputs)
        self.inputs[first:last] = inputs
        for layer, layer_input in zip(self.layers, self.layer_inputs, strict=True):
            for start, stop in layer.in_order(self._spans(first, last)):
                layer.forward(start, stop, layer_input.project(start, stop, layer.target(start, stop)))
        logits = self.logits[first:last]
        self.weights.matmul.multiply(self.output.rows(first, last), self.weights.readout.T, logits)
        logits += self.weights.readout_bias

    def _spans(self, first: int, last: int) -> list[tuple[int, int]]:
        """What each layer runs at once."""
        if not self.weights.both_ways:
            return [(first, last)]
        if (first, last) != (0, self.steps):
            raise ValueError("layers that read in both directions need the whole sequence at once")
        return time_chunks(self.steps)

    def backward(
        self,
        logit_gradients: np.ndarray | None,
        first: int,
        last: int,
        record_norms: bool = False,
        first_scored: int | None = None,
    ) -> None:
        """Go back from step last−1 to first, given ∂L/∂logits (n, batch, V) or None where no loss falls.

        Chunks come in falling order, without gaps. first_scored: the step of the first of the given gradients,
        where losses fall at a few steps only; `first` unless said.

        record_norms: keep the Frobenius norm of each step's share of each weight gradient (batch of one): the share is
        an outer product, so its norm is the product of two vector norms.
        """
        if last == self.steps:
            for layer_input, layer in zip(self.layer_inputs, self.layers, strict=True):
                layer_input.begin_backward()
                layer.begin_backward()
        for layer in self.layers:
            layer.shift_window(first, last)
        matmul = self.weights.matmul
        if logit_gradients is not None:
            first_scored = first if first_scored is None else first_scored
            until, flat = first_scored + len(logit_gradients), logit_gradients.reshape(-1, len(self.weights.readout))
            rows = self.output.rows(first_scored, until)
            self._add("readout.weight", matmul.multiply(flat.T, rows.reshape(len(flat), -1)))
            self._add("readout.bias", matmul.sum(flat))
            self.output.add_gradient(
                matmul.multiply(flat, self.weights.readout).reshape(rows.shape), first_scored, until
            )
        for index in reversed(range(len(self.layers))):
            for start, stop in reversed(self.layers[index].in_order(self._spans(first, last))):
                adjoints = self.layers[index].backward(start, stop)
                self._layer_gradients(index, adjoints, start, stop)
                self.layer_inputs[index].accumulate(adjoints["weight_ih"], start, stop, self._adder(index))
                if record_norms:
                    self._record_norms(index, adjoints, start, stop)
        if first == 0:
            for index, layer_input in enumerate(self.layer_inputs):
                layer_input.finish(self._adder(index))

    def _layer_gradients(self, index: int, adjoints: dict[str, np.ndarray], first: int, last: int) -> None:
        """Add a chunk's gradients of one layer's biases, state maps and parameter vectors."""
        layer, weights, add = self.layers[index], self.weights.layers[index], self._adder(index)
        matmul = self.weights.matmul
        sums: dict[int, np.ndarray] = {}
        for parameter, adjoint in adjoints.items():
            flat = adjoint.reshape(-1, adjoint.shape[-1])
            if adjoint.ctypes.data not in sums:  # two stacks may share what comes back
                sums[adjoint.ctypes.data] = matmul.sum(flat)
            total = sums[adjoint.ctypes.data]
            if parameter not in weights.rows:
                add(parameter, total)
                continue
            for stack in [each.name for each in weights.maps] if parameter == "weight_ih" else [parameter]:
                add(stack.replace("weight", "bias"), total, weights.rows[stack])
            if parameter != "weight_ih":
                source = layer.source(parameter, first, last)
                add(parameter, matmul.multiply(flat.T, source.reshape(len(flat), -1)), weights.rows[parameter])

    def _record_norms(self, index: int, adjoints: dict[str, np.ndarray], first: int, last: int) -> None:
        """Keep the norms of each step's share of weight gradients: ‖∂L/∂map‖ · ‖what it read‖ (batch of one)."""
        layer, weights = self.layers[index], self.weights.layers[index]
        norms: dict[str, np.ndarray] = {}
        sizes: dict[int, np.ndarray] = {}
        read: dict[str, np.ndarray | None]
        for parameter, adjoint in adjoints.items():
            if adjoint.ctypes.data not in sizes:  # two stacks may share what comes back
                sizes[adjoint.ctypes.data] = norm(adjoint)
            size = sizes[adjoint.ctypes.data]
            if parameter == "weight_ih":
                read = {each.name: self.layer_inputs[index].lengths(each.lag, first, last) for each in weights.maps}
            else:
                read = {parameter: norm(layer.source(parameter, first, last)) if parameter in weights.rows else None}
            for name, length in read.items():
                norms[name] = size if length is None else size * length
                if length is not None:
                    norms[name.replace("weight", "bias")] = size
        for name, share in norms.items():
            if self.weights.layer_specs[index].stored(name)[0] not in self.weights.shapes:
                continue
            kept = self.norms[index].setdefault(name, np.zeros(self.steps, self.weights.dtype))
            kept[first:last] = share

    def _adder(self, index: int) -> Add:
        """`_add` for the parameters of one layer, by their names in its cell."""
        spec = self.weights.layer_specs[index]

        def add(name: str, gradient: np.ndarray, rows: np.ndarray | None = None) -> None:
            if "." in name:
                self._add(name, gradient)
            else:
                where, which = spec.stored(name)
                self._add(where, gradient, rows, spec.hidden, which)

        return add

    def _add(
        self,
        name: str,
        gradient: np.ndarray,
        rows: np.ndarray | None = None,
        hidden: int = 0,
        which: int | None = None,
    ) -> None:
        """Accumulate a parameter's gradient; rows puts the program's order of blocks back into the stored one, which
        says for what matrix of several it is.
        """
        if name not in self.weights.shapes:
            return
        if name not in self.gradients:
            self.gradients[name] = np.zeros(self.weights.shapes[name], self.weights.dtype)
        total = self.gradients[name] if which is None else self.gradients[name][..., which]
        if rows is None:
            total += gradient
        else:
            for start in range(0, len(rows), hidden):
                total[rows[start] : rows[start] + hidden] += gradient[start : start + hidden]


def chunk_length(steps: int) -> int:
    """How many steps a time chunk has in a pass over this many: what a chunk needs must stay in the cache, and each one
    costs a beginning.
    """
    return CHUNK_LENGTHS[chosen_kernel(steps)]


def time_chunks(steps: int, size: int | None = None) -> list[tuple[int, int]]:
    """The ranges (first, last) into which a pass of this many steps is cut."""
    size = size or chunk_length(steps)
    return [(first, min(first + size, steps)) for first in range(0, steps, size)]
