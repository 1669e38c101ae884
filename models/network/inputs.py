"""What a layer is given: tokens through an embedding or one-hot, real numbers, or the layers below.

All can say what a layer's maps of the input make of them, for a block of steps at once and outside the time loop, and
take the gradient back. A map may read an earlier input (a delay line); before the first step there is nothing, which is
zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gatescope.models.network.layer import InputMap, Layer
from gatescope.models.network.matmul import NUMPY, Products

Add = Callable[..., None]


NOTHING = -1


class Characters:
    """Tokens (steps, batch): each chooses a row of a table, the maps of all tokens being made once.

    The token −1 is nothing, a vector of zeros; its rows come last.
    """

    def __init__(
        self, maps: list[InputMap], bias: np.ndarray, embedding: np.ndarray | None, products: Products = NUMPY
    ):
        self.maps, self.embedding, self.products = maps, embedding, products
        made = [each.forward if embedding is None else products.multiply(embedding, each.forward) for each in maps]
        self.tables = [np.concatenate([table, np.zeros_like(table[:1])]) for table in made]
        self.tables[0] += bias
        # the length of what each token gives: its embedding, or a single one
        lengths = np.ones(len(made[0]), bias.dtype) if embedding is None else norm(embedding)
        self.lengths = np.append(lengths, lengths.dtype.type(0))

    def read(self, tokens: np.ndarray) -> Read:
        """These tokens as the input of a pass, with room for their gradient."""
        return Read(self, tokens)


class Read:
    """One sequence of characters (steps, batch) as a layer's input."""

    def __init__(self, characters: Characters, tokens: np.ndarray):
        self.characters, self.tokens = characters, tokens

    def project(self, first: int, last: int, out: np.ndarray | None = None) -> np.ndarray:
        """What the maps make of steps first…last−1, with the bias, (n, batch, blocks·H); into `out` if given."""
        total = np.take(self.characters.tables[0], self.tokens[first:last], axis=0, out=out, mode="wrap")
        for each, table in zip(self.characters.maps[1:], self.characters.tables[1:], strict=True):
            start = min(max(first, each.lag), last)
            total[start - first :] += table[self.tokens[start - each.lag : last - each.lag]]
        return total

    def begin_backward(self) -> None:
        """Nothing has come back yet."""
        self.gathered = [np.zeros_like(table) for table in self.characters.tables]

    def collect(self, adjoint: np.ndarray, first: int, last: int, add: Add) -> None:
        """Add a block's ∂L/∂(the maps' sum) to the rows of the tokens it came from."""
        for each, gathered in zip(self.characters.maps, self.gathered, strict=True):
            start = min(max(first, each.lag), last)
            tokens = self.tokens[start - each.lag : last - each.lag].reshape(-1)
            self.characters.products.scatter(gathered, tokens, adjoint[start - first :].reshape(-1, adjoint.shape[-1]))

    def finish(self, add: Add) -> None:
        """Add the gradients of the whole sequence."""
        embedding, multiply = self.characters.embedding, self.characters.products.multiply
        for each, gathered in zip(self.characters.maps, (table[:NOTHING] for table in self.gathered), strict=True):
            add(each.name, gathered.T if embedding is None else multiply(gathered.T, embedding), each.rows)
            if embedding is not None:
                add("embedding.weight", multiply(gathered, each.back))

    def lengths(self, lag: int, first: int, last: int) -> np.ndarray:
        """‖x_{t−lag}‖ at each step (batch of one), (n,)."""
        found = np.zeros(last - first, self.characters.lengths.dtype)
        start = min(max(first, lag), last)
        found[start - first :] = self.characters.lengths[self.tokens[start - lag : last - lag, 0]]
        return found


class Rows:
    """Vectors (steps, batch, width) as a layer's input."""

    def __init__(self, maps: list[InputMap], bias: np.ndarray, products: Products = NUMPY):
        self.maps, self.bias, self.products = maps, bias, products

    def rows(self, first: int, last: int) -> np.ndarray:
        """What is given at steps first…last−1, (n, batch, width)."""
        raise NotImplementedError

    def give(self, gradient: np.ndarray, first: int, last: int, since: int = 0) -> None:
        """Take ∂L/∂(what is given) at steps first…last−1, (n, sides, width) from side `since` on."""

    def project(self, first: int, last: int, out: np.ndarray | None = None) -> np.ndarray:
        """What the maps make of steps first…last−1, with the bias, (n, batch, blocks·H); into `out` if given."""
        total = self.products.multiply(self.rows(first, last), self.maps[0].forward, out)
        total += self.bias
        for each in self.maps[1:]:
            start = min(max(first, each.lag), last)
            total[start - first :] += self.products.multiply(self.rows(start - each.lag, last - each.lag), each.forward)
        return total

    def begin_backward(self) -> None:
        """Nothing has to be kept until the end."""

    def collect(self, adjoint: np.ndarray, first: int, last: int, add: Add) -> None:
        """Add a block's gradient of the maps, and hand on what the input is to blame for."""
        for each in self.maps:
            start = min(max(first, each.lag), last)
            mine, rows = adjoint[start - first :], self.rows(start - each.lag, last - each.lag)
            flat = mine.reshape(-1, mine.shape[-1])
            add(each.name, self.products.multiply(flat.T, rows.reshape(len(flat), rows.shape[-1])), each.rows)
        self.hand_on(adjoint, first, last)

    def hand_on(self, adjoint: np.ndarray, first: int, last: int, since: int = 0) -> None:
        """Give back what the input is to blame for in a block's ∂L/∂(the maps' sum)."""
        for each in self.maps:
            start = min(max(first, each.lag), last)
            mine = adjoint[start - first :]
            self.give(self.products.multiply(mine, each.back), start - each.lag, last - each.lag, since)

    def finish(self, add: Add) -> None:
        """Nothing was kept."""

    def lengths(self, lag: int, first: int, last: int) -> np.ndarray:
        """‖x_{t−lag}‖ at each step (batch of one), (n,)."""
        found = np.zeros(last - first, self.bias.dtype)
        start = min(max(first, lag), last)
        found[start - first :] = norm(self.rows(start - lag, last - lag))
        return found


class Values(Rows):
    """Real numbers, (steps, batch, channels)."""

    def __init__(self, maps: list[InputMap], bias: np.ndarray, values: np.ndarray, products: Products = NUMPY):
        super().__init__(maps, bias, products)
        self.values = values

    def rows(self, first: int, last: int) -> np.ndarray:
        """The numbers at steps first…last−1."""
        return self.values[first:last]


class Below(Rows):
    """The outputs of the layers below (two where they read in both directions), side by side; dropped out where a mask
    (steps, batch, width) says so.
    """

    def __init__(self, maps: list[InputMap], bias: np.ndarray, layers: list[Layer], products: Products = NUMPY):
        super().__init__(maps, bias, products)
        self.layers = layers
        self.mask: np.ndarray | None = None

    def rows(self, first: int, last: int) -> np.ndarray:
        """What the layers give at steps first…last−1."""
        outputs = [layer.output[first:last] for layer in self.layers]
        output = outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=-1)
        return output if self.mask is None else output * self.mask[first:last]

    def give(self, gradient: np.ndarray, first: int, last: int, since: int = 0) -> None:
        """Add ∂L/∂(what the layers give) at steps first…last−1 to their outputs' gradients."""
        if self.mask is not None:
            gradient = gradient * self.mask[first:last]
        start = 0
        for layer in self.layers:
            width = layer.output.shape[-1]
            output_gradient = layer.output_gradient(first, last)[:, since:]
            output_gradient += gradient[..., start : start + width]
            start += width


def norm(array: np.ndarray) -> np.ndarray:
    """The Euclidean norm of each row (of each step of a batch of one), (n,)."""
    flat = array.reshape(len(array), math.prod(array.shape[1:]))
    return np.sqrt(np.vecdot(flat, flat))
