"""What a layer is given: tokens through an embedding or one-hot, real numbers, or the layers below.

All can say what a layer's maps of the input make of them, for a time chunk at once and outside the time loop, and
take the gradient back. A map may read an earlier input (a delay line; a later one where a layer reads from the end);
beyond the sequence there is nothing, which is zero.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from gatescope.models.network.layer import Layer
from gatescope.models.network.layer_weights import InputMap
from gatescope.models.network.matmul import NUMPY_MATMUL, Matmul

NO_TOKEN = -1


class Add(Protocol):
    """Takes the gradient of one parameter."""

    def __call__(self, name: str, gradient: np.ndarray, rows: np.ndarray | None = None) -> None:
        """name: the parameter's in the layer's cell, or with a point in it in the network; rows: which of the stored
        rows the gradient's are, as `LayerWeights.rows` has them, all in order unless given.
        """


class TokenTable:
    """Tokens (steps, batch): each chooses a row of a table, the maps of all tokens being made once.

    The token −1 is nothing, a vector of zeros; its rows come last.
    """

    def __init__(
        self, maps: list[InputMap], bias: np.ndarray, embedding: np.ndarray | None, matmul: Matmul = NUMPY_MATMUL
    ):
        self.maps, self.embedding, self.matmul = maps, embedding, matmul
        self.tables = [self._table(each) for each in maps]
        self.tables[0] += bias
        # the length of what each token gives: its embedding, or a single one
        lengths = np.ones(len(self.tables[0]) - 1, bias.dtype) if embedding is None else norm(embedding)
        self.lengths = np.append(lengths, lengths.dtype.type(0))

    def _table(self, each: InputMap) -> np.ndarray:
        """What one map makes of every token, written where it stays: there may be many tokens."""
        tokens = each.forward if self.embedding is None else self.embedding
        table = np.empty((len(tokens) + 1, each.forward.shape[1]), each.forward.dtype)
        if self.embedding is None:
            table[:NO_TOKEN] = each.forward
        else:
            self.matmul.multiply(self.embedding, each.forward, table[:NO_TOKEN])
        table[NO_TOKEN] = 0
        return table

    def read(self, tokens: np.ndarray) -> TokenInput:
        """These tokens as the input of a pass, with room for their gradient."""
        return TokenInput(self, tokens)


class TokenInput:
    """One sequence of characters (steps, batch) as a layer's input."""

    def __init__(self, table: TokenTable, tokens: np.ndarray):
        self.table, self.tokens = table, tokens

    def project(self, first: int, last: int, out: np.ndarray | None = None) -> np.ndarray:
        """What the maps make of steps first…last−1, with the bias, (n, batch, blocks·H); into `out` if given."""
        total = np.take(self.table.tables[0], self.tokens[first:last], axis=0, out=out, mode="wrap")
        for each, table in zip(self.table.maps[1:], self.table.tables[1:], strict=True):
            mine, read = lagged(first, last, each.lag, len(self.tokens))
            total[mine] += table[self.tokens[read]]
        return total

    def begin_backward(self) -> None:
        """Nothing has come back yet."""
        self.gathered = [np.zeros_like(table) for table in self.table.tables]

    def accumulate(self, adjoint: np.ndarray, first: int, last: int, add: Add) -> None:
        """Add a chunk's ∂L/∂(the maps' sum) to the rows of the tokens it came from."""
        for each, gathered in zip(self.table.maps, self.gathered, strict=True):
            mine, read = lagged(first, last, each.lag, len(self.tokens))
            tokens = self.tokens[read].reshape(-1)
            self.table.matmul.scatter(gathered, tokens, adjoint[mine].reshape(-1, adjoint.shape[-1]))

    def finish(self, add: Add) -> None:
        """Add the gradients of the whole sequence."""
        embedding, multiply = self.table.embedding, self.table.matmul.multiply
        for each, gathered in zip(self.table.maps, (table[:NO_TOKEN] for table in self.gathered), strict=True):
            add(each.name, gathered.T if embedding is None else multiply(gathered.T, embedding), each.rows)
            if embedding is not None:
                add("embedding.weight", multiply(gathered, each.back))

    def lengths(self, lag: int, first: int, last: int) -> np.ndarray:
        """‖x_{t−lag}‖ at each step (batch of one), (n,)."""
        found = np.zeros(last - first, self.table.lengths.dtype)
        mine, read = lagged(first, last, lag, len(self.tokens))
        found[mine] = self.table.lengths[self.tokens[read, 0]]
        return found


class VectorInput:
    """Vectors (steps, batch, width) as a layer's input."""

    def __init__(self, maps: list[InputMap], bias: np.ndarray, matmul: Matmul = NUMPY_MATMUL):
        self.maps, self.bias, self.matmul = maps, bias, matmul

    @property
    def steps(self) -> int:
        """How long the sequence is."""
        raise NotImplementedError

    def rows(self, first: int, last: int) -> np.ndarray:
        """What is given at steps first…last−1, (n, batch, width)."""
        raise NotImplementedError

    def add_gradient(self, gradient: np.ndarray, first: int, last: int, first_adjoint: int = 0) -> None:
        """Take ∂L/∂(what is given) at steps first…last−1, (n, adjoints, width) from adjoint `first_adjoint` on."""

    def project(self, first: int, last: int, out: np.ndarray | None = None) -> np.ndarray:
        """What the maps make of steps first…last−1, with the bias, (n, batch, blocks·H); into `out` if given."""
        total = self.matmul.multiply(self.rows(first, last), self.maps[0].forward, out)
        total += self.bias
        for each in self.maps[1:]:
            mine, read = lagged(first, last, each.lag, self.steps)
            total[mine] += self.matmul.multiply(self.rows(read.start, read.stop), each.forward)
        return total

    def begin_backward(self) -> None:
        """Nothing has to be kept until the end."""

    def accumulate(self, adjoint: np.ndarray, first: int, last: int, add: Add) -> None:
        """Add a chunk's gradients of the maps, and propagate ∂L/∂input to where the input came from."""
        for each in self.maps:
            mine, read = lagged(first, last, each.lag, self.steps)
            rows, flat = self.rows(read.start, read.stop), adjoint[mine].reshape(-1, adjoint.shape[-1])
            add(each.name, self.matmul.multiply(flat.T, rows.reshape(len(flat), rows.shape[-1])), each.rows)
        self.propagate(adjoint, first, last)

    def propagate(self, adjoint: np.ndarray, first: int, last: int, first_adjoint: int = 0) -> None:
        """Propagate ∂L/∂input, given a chunk's ∂L/∂(the maps' sum), to where the input came from."""
        for each in self.maps:
            mine, read = lagged(first, last, each.lag, self.steps)
            gradient = self.matmul.multiply(adjoint[mine], each.back)
            self.add_gradient(gradient, read.start, read.stop, first_adjoint)

    def finish(self, add: Add) -> None:
        """Nothing was kept."""

    def lengths(self, lag: int, first: int, last: int) -> np.ndarray:
        """‖x_{t−lag}‖ at each step (batch of one), (n,)."""
        found = np.zeros(last - first, self.bias.dtype)
        mine, read = lagged(first, last, lag, self.steps)
        found[mine] = norm(self.rows(read.start, read.stop))
        return found


class ValueInput(VectorInput):
    """Real numbers, (steps, batch, channels)."""

    def __init__(self, maps: list[InputMap], bias: np.ndarray, values: np.ndarray, matmul: Matmul = NUMPY_MATMUL):
        super().__init__(maps, bias, matmul)
        self.values = values

    @property
    def steps(self) -> int:
        """How long the sequence is."""
        return len(self.values)

    def rows(self, first: int, last: int) -> np.ndarray:
        """The numbers at steps first…last−1."""
        return self.values[first:last]


class LayerInput(VectorInput):
    """The outputs of the layers below (two where they read in both directions), side by side; dropped out where a mask
    (steps, batch, width) says so.
    """

    def __init__(self, maps: list[InputMap], bias: np.ndarray, layers: list[Layer], matmul: Matmul = NUMPY_MATMUL):
        super().__init__(maps, bias, matmul)
        self.layers = layers
        self.mask: np.ndarray | None = None

    @property
    def steps(self) -> int:
        """How long the sequence is."""
        return self.layers[0].steps

    def rows(self, first: int, last: int) -> np.ndarray:
        """What the layers give at steps first…last−1."""
        outputs = [layer.output[first:last] for layer in self.layers]
        output = outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=-1)
        return output if self.mask is None else output * self.mask[first:last]

    def add_gradient(self, gradient: np.ndarray, first: int, last: int, first_adjoint: int = 0) -> None:
        """Add ∂L/∂(what the layers give) at steps first…last−1 to their outputs' gradients."""
        if self.mask is not None:
            gradient = gradient * self.mask[first:last]
        start = 0
        for layer in self.layers:
            width = layer.output.shape[-1]
            output_gradient = layer.output_gradient(first, last)[:, first_adjoint:]
            output_gradient += gradient[..., start : start + width]
            start += width


AnyInput = TokenInput | ValueInput | LayerInput


def lagged(first: int, last: int, lag: int, steps: int) -> tuple[slice, slice]:
    """Of steps first…last−1 of a sequence, those (counted from `first`) for which there is an input `lag` steps before
    (after, where negative), and the steps of those inputs.
    """
    start = min(max(first, lag), last)
    stop = max(min(last, steps + lag), start)
    return slice(start - first, stop - first), slice(start - lag, stop - lag)


def norm(array: np.ndarray) -> np.ndarray:
    """The Euclidean norm of each row (of each step of a batch of one), (n,)."""
    flat = array.reshape(len(array), math.prod(array.shape[1:]))
    lengths: np.ndarray = np.sqrt(np.vecdot(flat, flat))
    return lengths
