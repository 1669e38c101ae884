"""A whole network's forward and backward pass over a sequence: input, layers, readout, loss.

Time runs in blocks: forward block by block upwards (all layers of a block before the next), backward block by block
downwards. What a block needs besides the records is small and stays in the cache. Where layers read in both directions
the whole sequence is one call, in which each layer runs all its blocks before the next. Losses are in nats.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gatescope.models.compiler.backend import chosen
from gatescope.models.network.architecture import parts
from gatescope.models.network.inputs import Below, Characters, Values, norm
from gatescope.models.network.layer import Layer, Weights
from gatescope.models.network.matmul import NUMPY, Products

BLOCKS = {"numpy": 96, "compiled": 500}


class NetworkWeights:
    """A network's parameters laid out for its programs, in one precision.

    parameters: by their PyTorch names (`embedding.weight`, `rnn.weight_ih_l0`, `readout.weight`, …). A bias that is
    not among them counts as zeros, a readout that is not as one without rows; neither has a gradient. channels: how
    many real numbers it reads at each step, None where it reads tokens. products: whose matrix products are taken.
    """

    def __init__(
        self,
        cell,
        layers: int,
        hidden: int,
        parameters: dict[str, np.ndarray],
        dtype: np.dtype,
        channels: int | None = None,
        products: Products = NUMPY,
    ):
        self.cell, self.hidden, self.dtype, self.channels = cell, hidden, np.dtype(dtype), channels
        self.products = products
        self.shapes = {name: array.shape for name, array in parameters.items()}
        self.parts = parts(cell, layers, hidden, parameters)
        self.layers = [Weights(part.cell, part.parameters(parameters), part.hidden, dtype) for part in self.parts]
        self.top = [index for index, part in enumerate(self.parts) if part.level == self.parts[-1].level]
        self.parameters = parameters
        self._around()

    def _around(self) -> None:
        parameters, dtype = self.parameters, self.dtype
        given = sum(self.parts[index].outputs for index in self.top)
        self.readout = np.asarray(parameters.get("readout.weight", np.zeros((0, given))), dtype)
        self.readout_bias = np.asarray(parameters.get("readout.bias", np.zeros(len(self.readout))), dtype)
        embedding = np.asarray(parameters["embedding.weight"], dtype) if "embedding.weight" in parameters else None
        lowest = [] if self.channels else [layer for part, layer in zip(self.parts, self.layers) if part.level == 0]
        self.characters = [Characters(each.maps, each.bias, embedding, self.products) for each in lowest]

    def refresh(self) -> None:
        """Take over what the parameters have become, in the arrays they were given in; to be followed by `Pass.use`."""
        for part, layer in zip(self.parts, self.layers, strict=True):
            layer.lay(part.parameters(self.parameters))
        self._around()

    @property
    def both_ways(self) -> bool:
        """Whether layers read in both directions, so that a sequence must be there as a whole."""
        return any(part.reverse for part in self.parts)

    @property
    def forgets(self) -> bool:
        """Whether a block of steps needs nothing of the blocks before it but the states."""
        return not self.both_ways and not any(each.lag for layer in self.layers for each in layer.maps)


class Pass:
    """One pass of a network over (steps, batch) tokens or (steps, batch, channels) numbers: its layers' records, what
    the readout gives (`logits`), and parameter gradients.

    clamps: for each layer what is overwritten; room: for how many steps gradients are kept; sides: how many losses go
    back at once; as `Layer` takes them.
    """

    def __init__(
        self,
        weights: NetworkWeights,
        steps: int,
        batch: int = 1,
        backward: bool = True,
        clamps: list | None = None,
        room: int | None = None,
        sides: int | None = None,
    ):
        self.steps = steps
        clamps = clamps or [{} for _ in weights.layers]
        self.layers = [
            Layer(layer, steps, batch, backward, mine, part.reverse, room, sides)
            for layer, mine, part in zip(weights.layers, clamps, weights.parts, strict=True)
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
        self.weights, self.given = weights, []
        for index, (part, layer, mine) in enumerate(zip(weights.parts, self.layers, weights.layers, strict=True)):
            layer.weights = mine
            if part.level:
                self.given.append(Below(mine.maps, mine.bias, self._level(part.level - 1), weights.products))
            elif weights.channels:
                self.given.append(Values(mine.maps, mine.bias, self.inputs, weights.products))
            else:
                self.given.append(weights.characters[index].read(self.inputs))
        self.output = Below([], weights.readout_bias, self._level(weights.parts[-1].level), weights.products)

    def _level(self, level: int) -> list[Layer]:
        return [layer for part, layer in zip(self.weights.parts, self.layers, strict=True) if part.level == level]

    def drop(self, masks: list[np.ndarray]) -> None:
        """Multiply what each level gives with its mask, (steps, batch, width); without masks nothing is dropped."""
        levels = [part.level for part in self.weights.parts]
        for level, above in zip([*levels, levels[-1] + 1], [*self.given, self.output], strict=True):
            if level:
                above.mask = masks[level - 1] if masks else None

    def forward(self, inputs: np.ndarray, first: int = 0) -> None:
        """Read tokens (n, batch) or numbers (n, batch, channels) as steps first…first+n−1; write records and logits."""
        last = first + len(inputs)
        self.inputs[first:last] = inputs
        for layer, given in zip(self.layers, self.given, strict=True):
            for start, stop in layer.in_order(self._spans(first, last)):
                layer.forward(start, stop, given.project(start, stop, layer.target(start, stop)))
        logits = self.logits[first:last]
        self.weights.products.multiply(self.output.rows(first, last), self.weights.readout.T, logits)
        logits += self.weights.readout_bias

    def _spans(self, first: int, last: int) -> list[tuple[int, int]]:
        """What each layer runs at once."""
        if not self.weights.both_ways:
            return [(first, last)]
        if (first, last) != (0, self.steps):
            raise ValueError("layers that read in both directions need the whole sequence at once")
        return blocks(self.steps)

    def backward(
        self,
        logit_gradients: np.ndarray | None,
        first: int,
        last: int,
        record_norms: bool = False,
        since: int | None = None,
    ) -> None:
        """Go back from step last−1 to first, given ∂L/∂logits (n, batch, V) or None where no loss falls.

        Blocks come in falling order, without gaps. since: the step of the first of the given gradients, where losses
        fall at a few steps only; `first` unless said.

        record_norms: keep the Frobenius norm of each step's share of each weight gradient (batch of one): the share is
        an outer product, so its norm is the product of two vector norms.
        """
        if last == self.steps:
            for each in (*self.given, *self.layers):
                each.begin_backward()
        for layer in self.layers:
            layer.make_room(first, last)
        products = self.weights.products
        if logit_gradients is not None:
            since = first if since is None else since
            until, flat = since + len(logit_gradients), logit_gradients.reshape(-1, len(self.weights.readout))
            rows = self.output.rows(since, until)
            self._add("readout.weight", products.multiply(flat.T, rows.reshape(len(flat), -1)))
            self._add("readout.bias", products.sum(flat))
            self.output.give(products.multiply(flat, self.weights.readout).reshape(rows.shape), since, until)
        for index in reversed(range(len(self.layers))):
            for start, stop in reversed(self.layers[index].in_order(self._spans(first, last))):
                adjoints = self.layers[index].backward(start, stop)
                self._layer_gradients(index, adjoints, start, stop)
                self.given[index].collect(adjoints["weight_ih"], start, stop, self._adder(index))
                if record_norms:
                    self._record_norms(index, adjoints, start, stop)
        if first == 0:
            for index, given in enumerate(self.given):
                given.finish(self._adder(index))

    def _layer_gradients(self, index: int, adjoints: dict, first: int, last: int) -> None:
        """Add a block's gradients of one layer's biases, state maps and parameter vectors."""
        layer, weights, add = self.layers[index], self.weights.layers[index], self._adder(index)
        products, sums = self.weights.products, {}
        for parameter, adjoint in adjoints.items():
            flat = adjoint.reshape(-1, adjoint.shape[-1])
            if adjoint.ctypes.data not in sums:  # two stacks may share what comes back
                sums[adjoint.ctypes.data] = products.sum(flat)
            total = sums[adjoint.ctypes.data]
            if parameter not in weights.rows:
                add(parameter, total)
                continue
            for stack in [each.name for each in weights.maps] if parameter == "weight_ih" else [parameter]:
                add(stack.replace("weight", "bias"), total, weights.rows[stack])
            if parameter != "weight_ih":
                source = layer.source(parameter, first, last)
                add(parameter, products.multiply(flat.T, source.reshape(len(flat), -1)), weights.rows[parameter])

    def _record_norms(self, index: int, adjoints: dict, first: int, last: int) -> None:
        layer, weights = self.layers[index], self.weights.layers[index]
        norms, sizes = {}, {}
        for parameter, adjoint in adjoints.items():
            if adjoint.ctypes.data not in sizes:  # two stacks may share what comes back
                sizes[adjoint.ctypes.data] = norm(adjoint)
            size = sizes[adjoint.ctypes.data]
            if parameter == "weight_ih":
                read = {each.name: self.given[index].lengths(each.lag, first, last) for each in weights.maps}
            else:
                read = {parameter: norm(layer.source(parameter, first, last)) if parameter in weights.rows else None}
            for name, length in read.items():
                norms[name] = size if length is None else size * length
                if length is not None:
                    norms[name.replace("weight", "bias")] = size
        for name, share in norms.items():
            if self.weights.parts[index].stored(name)[0] not in self.weights.shapes:
                continue
            kept = self.norms[index].setdefault(name, np.zeros(self.steps, self.weights.dtype))
            kept[first:last] = share

    def _adder(self, index: int) -> Callable[..., None]:
        """`_add` for the parameters of one layer, by their names in its cell."""
        part = self.weights.parts[index]

        def add(name: str, gradient: np.ndarray, rows: np.ndarray | None = None) -> None:
            if "." in name:
                self._add(name, gradient)
            else:
                where, which = part.stored(name)
                self._add(where, gradient, rows, part.hidden, which)

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


def block(steps: int) -> int:
    """How many of a pass's steps are taken at a time: what a block needs must stay in the cache, and wants few
    beginnings.
    """
    return BLOCKS[chosen(steps)]


def blocks(steps: int, size: int | None = None) -> list[tuple[int, int]]:
    """The ranges (first, last) into which a pass of this many steps is cut."""
    size = size or block(steps)
    return [(first, min(first + size, steps)) for first in range(0, steps, size)]
