"""A whole network's forward and backward pass over characters: input, layers, readout, loss.

Time runs in blocks: forward block by block upwards (all layers of a block before the next), backward block by block
downwards. What a block needs besides the records is small and stays in the cache. Losses are in nats.
"""

from __future__ import annotations

import numpy as np

from models.layer import Layer, Weights

BLOCK = 64


class NetworkWeights:
    """A network's parameters laid out for its programs, in one precision.

    parameters: by their PyTorch names (`embedding.weight`, `rnn.weight_ih_l0`, `readout.weight`, …).
    """

    def __init__(self, cell, layers: int, hidden: int, parameters: dict[str, np.ndarray], dtype: np.dtype):
        self.cell, self.hidden, self.dtype = cell, hidden, np.dtype(dtype)
        self.layers = []
        for index in range(layers):
            mine = {
                name.removesuffix(f"_l{index}").removeprefix("rnn."): array
                for name, array in parameters.items()
                if name.startswith("rnn.") and name.endswith(f"_l{index}")
            }
            self.layers.append(Weights(cell, mine, hidden, dtype))
        self.embedding = np.asarray(parameters["embedding.weight"], dtype) if "embedding.weight" in parameters else None
        self.readout = np.asarray(parameters["readout.weight"], dtype)
        self.readout_bias = np.asarray(parameters["readout.bias"], dtype)
        first = self.layers[0]
        # a character chooses a row: the whole map of the input is done once for each character of the vocabulary
        self.table = (
            first.input_map if self.embedding is None else self.embedding @ first.input_map
        ) + first.input_bias
        # the norm of what each character gives the first layer: its embedding, or a single one
        self.reading = np.ones(len(self.table), dtype) if self.embedding is None else norm(self.embedding)


class Pass:
    """One pass of a network over (steps, batch) characters: its layers' records, logits, and parameter gradients.

    masks: for each layer a dropout mask (steps, batch, H) on its output, or None. clamps: for each layer what is
    overwritten, as `Layer` takes it.
    """

    def __init__(
        self, weights: NetworkWeights, steps: int, batch: int = 1, backward: bool = True, clamps: list | None = None
    ):
        self.weights, self.steps, self.batch = weights, steps, batch
        clamps = clamps or [{} for _ in weights.layers]
        self.layers = [
            Layer(layer, steps, batch, backward, mine) for layer, mine in zip(weights.layers, clamps, strict=True)
        ]
        self.logits = np.empty((steps, batch, len(weights.readout)), weights.dtype)
        self.masks: list[np.ndarray | None] = [None] * len(self.layers)
        self.tokens = np.zeros((steps, batch), np.intp)
        self.norms: list[dict[str, np.ndarray]] = [{} for _ in self.layers]
        self.gradients: dict[str, np.ndarray] = {}

    def use(self, weights: NetworkWeights) -> None:
        """Go on with other weights of the same shapes, keeping records and states."""
        self.weights = weights
        for layer, mine in zip(self.layers, weights.layers, strict=True):
            layer.weights = mine

    def _output(self, layer: int, first: int, last: int) -> np.ndarray:
        output, mask = self.layers[layer].output[first:last], self.masks[layer]
        return output if mask is None else output * mask[first:last]

    def forward(self, tokens: np.ndarray, first: int = 0) -> None:
        """Read tokens (n, batch) as steps first…first+n−1 and write records and logits."""
        last = first + len(tokens)
        self.tokens[first:last] = tokens
        for index, layer in enumerate(self.layers):
            if index == 0:
                layer.forward(first, last, tokens, self.weights.table)
            else:
                layer.forward(first, last, self._output(index - 1, first, last))
        out = self._output(-1, first, last).reshape(-1, self.weights.hidden)
        np.matmul(out, self.weights.readout.T, out=self.logits[first:last].reshape(len(out), -1))
        self.logits[first:last] += self.weights.readout_bias

    def backward(self, logit_gradients: np.ndarray, first: int, last: int, record_norms: bool = False) -> None:
        """Go back from step last−1 to first, given ∂L/∂logits (n, batch, V); blocks must come in falling order, without
        a gap.

        record_norms: keep the Frobenius norm of each step's share of each weight gradient (batch of one): the share is
        an outer product, so its norm is the product of two vector norms.
        """
        weights, top = self.weights, len(self.layers) - 1
        if last == self.steps:
            self._of_characters = np.zeros_like(weights.table)
            for layer in self.layers:
                layer.begin_backward()
        shape = (last - first, self.batch, weights.hidden)
        if logit_gradients.any():
            flat = logit_gradients.reshape(-1, len(weights.readout))
            self._add("readout.weight", flat.T @ self._output(-1, first, last).reshape(len(flat), -1))
            self._add("readout.bias", flat.sum(axis=0))
            self._give(top, (flat @ weights.readout).reshape(shape), first, last)
        else:  # no loss falls into this block: nothing comes from the readout
            self._give(top, np.zeros(shape, weights.dtype), first, last)
        for index in reversed(range(len(self.layers))):
            layer = self.layers[index]
            adjoints = layer.backward(first, last)
            self._layer_gradients(index, adjoints, first, last, record_norms)
            if index:
                self._give(index - 1, adjoints["d_weight_ih"] @ weights.layers[index].input_back, first, last)
        if first == 0:
            self._finish_input()

    def _give(self, index: int, gradient: np.ndarray, first: int, last: int) -> None:
        """Put what comes from above into a layer's output gradient; the last row holds what came from the future."""
        layer = self.layers[index]
        if self.masks[index] is not None:
            gradient = gradient * self.masks[index][first:last]
        rows = layer.output_gradient[first + 1 : last + 1]
        rows[:-1] = gradient[:-1]
        rows[-1] += gradient[-1]
        layer.output_gradient[first] = 0

    def _layer_gradients(self, index: int, adjoints: dict, first: int, last: int, record_norms: bool) -> None:
        """Add a block's parameter gradients of one layer, from ∂L/∂(what each parameter gives) at every step."""
        rows = self.weights.layers[index].rows
        for name, adjoint in adjoints.items():
            parameter, flat = name.removeprefix("d_"), adjoint.reshape(-1, adjoint.shape[-1])
            norms = {parameter: norm(adjoint)} if record_norms else {}
            if parameter not in rows:
                self._add(f"rnn.{parameter}_l{index}", flat.sum(axis=0))
            else:
                bias = parameter.replace("weight", "bias")
                self._add(f"rnn.{bias}_l{index}", flat.sum(axis=0), rows[parameter])
                given = self._given(index, parameter, first, last)
                if given is None:
                    self._gather(flat, self.tokens[first:last].reshape(-1))
                else:
                    gradient = flat.T @ given.reshape(len(flat), -1)
                    self._add(f"rnn.{parameter}_l{index}", gradient, rows[parameter])
                if record_norms:
                    read = self.weights.reading[self.tokens[first:last, 0]] if given is None else norm(given)
                    norms = {parameter: norms[parameter] * read, bias: norms[parameter]}
            for parameter, share in norms.items():
                kept = self.norms[index].setdefault(parameter, np.zeros(self.steps, self.weights.dtype))
                kept[first:last] = share

    def _given(self, index: int, stack: str, first: int, last: int) -> np.ndarray | None:
        """What a stack of maps read at steps first…last−1, (n, batch, width); None where it read characters."""
        if stack != "weight_ih":
            return self.layers[index].source(stack, first, last)
        return self._output(index - 1, first, last) if index else None

    def _gather(self, flat: np.ndarray, tokens: np.ndarray) -> None:
        """Add each step's gradient to that of its character's row of the table."""
        present, which = np.unique(tokens, return_inverse=True)
        chosen = np.zeros((len(present), len(tokens)), self.weights.dtype)
        chosen[which, np.arange(len(tokens))] = 1
        self._of_characters[present] += chosen @ flat

    def _finish_input(self) -> None:
        """From the gradient of each character's row to those of weight_ih and the embedding."""
        first, embedding = self.weights.layers[0], self.weights.embedding
        if embedding is None:
            self._add("rnn.weight_ih_l0", self._of_characters.T, first.rows["weight_ih"])
        else:
            self._add("rnn.weight_ih_l0", self._of_characters.T @ embedding, first.rows["weight_ih"])
            self._add("embedding.weight", self._of_characters @ first.input_back)

    def _add(self, name: str, gradient: np.ndarray, rows: np.ndarray | None = None) -> None:
        """Accumulate a parameter's gradient; rows puts the program's order of blocks back into the stored one."""
        total = self.gradients.get(name)
        if total is None:
            total = self.gradients[name] = np.zeros(gradient.shape, self.weights.dtype)
        if rows is None:
            total += gradient
        else:
            for start in range(0, len(rows), self.weights.hidden):
                total[rows[start] : rows[start] + self.weights.hidden] += gradient[start : start + self.weights.hidden]


def norm(array: np.ndarray) -> np.ndarray:
    """The Euclidean norm of each row (of each step of a batch of one), (n,)."""
    flat = array.reshape(len(array), -1)
    return np.sqrt(np.vecdot(flat, flat))


def blocks(steps: int, size: int = BLOCK) -> list[tuple[int, int]]:
    """The ranges (first, last) into which a pass of this many steps is cut."""
    return [(first, min(first + size, steps)) for first in range(0, steps, size)]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities from logits, along the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """−ln p(target) for each step and its gradient with respect to the logits; a target below 0 means no loss there
    (NaN, 0).

    logits (n, batch, V), targets (n, batch) → (n, batch), (n, batch, V).
    """
    shifted = logits - logits.max(axis=-1, keepdims=True)
    np.exp(shifted, out=(gradient := np.empty_like(shifted)))
    total = gradient.sum(axis=-1, keepdims=True)
    gradient /= total
    chosen = np.maximum(targets, 0)[..., None]
    losses = np.log(total[..., 0]) - np.take_along_axis(shifted, chosen, -1)[..., 0]
    np.put_along_axis(gradient, chosen, np.take_along_axis(gradient, chosen, -1) - 1, -1)
    absent = targets < 0
    if absent.any():
        losses[absent], gradient[absent] = np.nan, 0
    return losses, gradient
