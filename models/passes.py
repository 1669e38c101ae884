"""A whole network's forward and backward pass over characters: input, layers, readout, loss.

Time runs in blocks: forward block by block upwards (all layers of a block before the next), backward block by block
downwards. What a block needs besides the records is small and stays in the cache. Losses are in nats.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.given import Below, Characters, norm
from models.layer import Layer, Weights

BLOCK = 96


class NetworkWeights:
    """A network's parameters laid out for its programs, in one precision.

    parameters: by their PyTorch names (`embedding.weight`, `rnn.weight_ih_l0`, `readout.weight`, …). A bias that is
    not among them counts as zeros, a readout that is not as one without rows; neither has a gradient.
    """

    def __init__(self, cell, layers: int, hidden: int, parameters: dict[str, np.ndarray], dtype: np.dtype):
        self.cell, self.hidden, self.dtype, self.names = cell, hidden, np.dtype(dtype), frozenset(parameters)
        shapes = cell.parameter_shapes(1, hidden)
        biases = {name: np.zeros(shape, dtype) for name, shape in shapes.items() if name.startswith("bias")}
        self.layers = []
        for index in range(layers):
            mine = {
                name.removesuffix(f"_l{index}").removeprefix("rnn."): array
                for name, array in parameters.items()
                if name.startswith("rnn.") and name.endswith(f"_l{index}")
            }
            self.layers.append(Weights(cell, biases | mine, hidden, dtype))
        embedding = np.asarray(parameters["embedding.weight"], dtype) if "embedding.weight" in parameters else None
        self.readout = np.asarray(parameters.get("readout.weight", np.zeros((0, hidden))), dtype)
        self.readout_bias = np.asarray(parameters.get("readout.bias", np.zeros(len(self.readout))), dtype)
        self.characters = Characters(self.layers[0].maps, self.layers[0].bias, embedding)


class Pass:
    """One pass of a network over (steps, batch) characters: its layers' records, logits, and parameter gradients.

    clamps: for each layer what is overwritten, as `Layer` takes it.
    """

    def __init__(
        self, weights: NetworkWeights, steps: int, batch: int = 1, backward: bool = True, clamps: list | None = None
    ):
        self.steps = steps
        clamps = clamps or [{} for _ in weights.layers]
        self.layers = [
            Layer(layer, steps, batch, backward, mine) for layer, mine in zip(weights.layers, clamps, strict=True)
        ]
        self.logits = np.empty((steps, batch, len(weights.readout)), weights.dtype)
        self.tokens = np.zeros((steps, batch), np.intp)
        self.norms: list[dict[str, np.ndarray]] = [{} for _ in self.layers]
        self.gradients: dict[str, np.ndarray] = {}
        self.use(weights)

    def use(self, weights: NetworkWeights) -> None:
        """Go on with other weights of the same shapes, keeping records and states; without dropout."""
        self.weights, below = weights, self.layers[:-1]
        for layer, mine in zip(self.layers, weights.layers, strict=True):
            layer.weights = mine
        self.given = [weights.characters.read(self.tokens)]
        self.given += [
            Below(mine.maps, mine.bias, layer) for mine, layer in zip(weights.layers[1:], below, strict=True)
        ]
        self.output = Below([], weights.readout_bias, self.layers[-1])

    def drop(self, masks: np.ndarray | None) -> None:
        """Multiply each layer's output with a mask, (layers, steps, batch, H)."""
        for index, above in enumerate([*self.given[1:], self.output]):
            above.mask = None if masks is None else masks[index]

    def forward(self, tokens: np.ndarray, first: int = 0) -> None:
        """Read tokens (n, batch) as steps first…first+n−1 and write records and logits."""
        last = first + len(tokens)
        self.tokens[first:last] = tokens
        for layer, given in zip(self.layers, self.given, strict=True):
            layer.forward(first, last, given.project(first, last))
        np.matmul(self.output.rows(first, last), self.weights.readout.T, out=self.logits[first:last])
        self.logits[first:last] += self.weights.readout_bias

    def backward(self, logit_gradients: np.ndarray | None, first: int, last: int, record_norms: bool = False) -> None:
        """Go back from step last−1 to first, given ∂L/∂logits (n, batch, V) or None where no loss falls.

        Blocks come in falling order, without gaps.

        record_norms: keep the Frobenius norm of each step's share of each weight gradient (batch of one): the share is
        an outer product, so its norm is the product of two vector norms.
        """
        if last == self.steps:
            self.given[0].begin_backward()
            for layer in self.layers:
                layer.begin_backward()
        if logit_gradients is not None:
            flat, rows = logit_gradients.reshape(-1, len(self.weights.readout)), self.output.rows(first, last)
            self._add("readout.weight", flat.T @ rows.reshape(len(flat), -1))
            self._add("readout.bias", flat.sum(axis=0))
            self.output.give((flat @ self.weights.readout).reshape(rows.shape), first, last)
        for index in reversed(range(len(self.layers))):
            adjoints = self.layers[index].backward(first, last)
            self._layer_gradients(index, adjoints, first, last)
            self.given[index].collect(adjoints["weight_ih"], first, last, self._adder(index))
            if record_norms:
                self._record_norms(index, adjoints, first, last)

    def _layer_gradients(self, index: int, adjoints: dict, first: int, last: int) -> None:
        """Add a block's gradients of one layer's biases, state maps and parameter vectors."""
        layer, weights, add = self.layers[index], self.weights.layers[index], self._adder(index)
        for parameter, adjoint in adjoints.items():
            flat = adjoint.reshape(-1, adjoint.shape[-1])
            if parameter not in weights.rows:
                add(parameter, flat.sum(axis=0))
                continue
            for stack in [each.name for each in weights.maps] if parameter == "weight_ih" else [parameter]:
                add(stack.replace("weight", "bias"), flat.sum(axis=0), weights.rows[stack])
            if parameter != "weight_ih":
                source = layer.source(parameter, first, last)
                add(parameter, flat.T @ source.reshape(len(flat), -1), weights.rows[parameter])

    def _record_norms(self, index: int, adjoints: dict, first: int, last: int) -> None:
        layer, weights = self.layers[index], self.weights.layers[index]
        norms = {}
        for parameter, adjoint in adjoints.items():
            size = norm(adjoint)
            read = {each.name: self.given[index].lengths(each.lag, first, last) for each in weights.maps}
            if parameter != "weight_ih":
                read = {parameter: norm(layer.source(parameter, first, last)) if parameter in weights.rows else None}
            for name, length in read.items():
                norms[name] = size if length is None else size * length
                if length is not None:
                    norms[name.replace("weight", "bias")] = size
        for name, share in norms.items():
            if f"rnn.{name}_l{index}" not in self.weights.names:
                continue
            kept = self.norms[index].setdefault(name, np.zeros(self.steps, self.weights.dtype))
            kept[first:last] = share

    def _adder(self, index: int) -> Callable[..., None]:
        """`_add` for the parameters of one layer, by their names without prefix and layer."""
        return lambda name, *rest: self._add(name if "." in name else f"rnn.{name}_l{index}", *rest)

    def _add(self, name: str, gradient: np.ndarray, rows: np.ndarray | None = None) -> None:
        """Accumulate a parameter's gradient; rows puts the program's order of blocks back into the stored one."""
        if name not in self.weights.names:
            return
        total = self.gradients.get(name)
        if total is None:
            total = self.gradients[name] = np.zeros(gradient.shape, self.weights.dtype)
        if rows is None:
            total += gradient
        else:
            for start in range(0, len(rows), self.weights.hidden):
                total[rows[start] : rows[start] + self.weights.hidden] += gradient[start : start + self.weights.hidden]


def blocks(steps: int, size: int = BLOCK) -> list[tuple[int, int]]:
    """The ranges (first, last) into which a pass of this many steps is cut."""
    return [(first, min(first + size, steps)) for first in range(0, steps, size)]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities from logits, along the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """−ln p(target) for each step, and the probabilities; a target below 0 means no loss there (NaN).

    logits (n, batch, V), targets (n, batch) → (n, batch), (n, batch, V).
    """
    shifted = logits - logits.max(axis=-1, keepdims=True)
    probabilities = np.exp(shifted)
    total = probabilities.sum(axis=-1, keepdims=True)
    probabilities /= total
    chosen = np.take_along_axis(shifted, np.maximum(targets, 0)[..., None], -1)[..., 0]
    return np.where(targets < 0, np.nan, np.log(total[..., 0]) - chosen).astype(logits.dtype, copy=False), probabilities


def logit_gradient(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """∂(−ln p(target))/∂logits, made in place of the probabilities; 0 where the target is below 0."""
    chosen = np.maximum(targets, 0)[..., None]
    np.put_along_axis(probabilities, chosen, np.take_along_axis(probabilities, chosen, -1) - 1, -1)
    probabilities[targets < 0] = 0
    return probabilities
