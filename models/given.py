"""What a layer is given: characters through an embedding or one-hot, or the layer below.

Both can say what a layer's maps of the input make of them, for a block of steps at once and outside the time loop, and
take the gradient back. A map may read an earlier input (a delay line); before the first step there is nothing, which is
zero.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.layer import InputMap, Layer

Add = Callable[..., None]


class Characters:
    """Tokens (steps, batch): each chooses a row of a table, the maps of all characters being made once."""

    def __init__(self, maps: list[InputMap], bias: np.ndarray, embedding: np.ndarray | None):
        self.maps, self.embedding = maps, embedding
        self.tables = [each.forward if embedding is None else embedding @ each.forward for each in maps]
        self.tables[0] = self.tables[0] + bias
        # the length of what each character gives: its embedding, or a single one
        self.lengths = np.ones(len(self.tables[0]), bias.dtype) if embedding is None else norm(embedding)

    def read(self, tokens: np.ndarray) -> Read:
        """These tokens as the input of a pass, with room for their gradient."""
        return Read(self, tokens)


class Read:
    """One sequence of characters (steps, batch) as a layer's input."""

    def __init__(self, characters: Characters, tokens: np.ndarray):
        self.characters, self.tokens = characters, tokens

    def project(self, first: int, last: int) -> np.ndarray:
        """What the maps make of steps first…last−1, with the bias, (n, batch, blocks·H)."""
        total = self.characters.tables[0][self.tokens[first:last]]
        for each, table in zip(self.characters.maps[1:], self.characters.tables[1:], strict=True):
            start = max(first, each.lag)
            total[start - first :] += table[self.tokens[start - each.lag : last - each.lag]]
        return total

    def begin_backward(self) -> None:
        """Nothing has come back yet."""
        self.gathered = [np.zeros_like(table) for table in self.characters.tables]

    def collect(self, adjoint: np.ndarray, first: int, last: int, add: Add) -> None:
        """Add a block's ∂L/∂(the maps' sum) to the rows of the characters it came from; the whole when first is 0."""
        for each, gathered in zip(self.characters.maps, self.gathered, strict=True):
            start = max(first, each.lag)
            tokens = self.tokens[start - each.lag : last - each.lag].reshape(-1)
            present, which = np.unique(tokens, return_inverse=True)
            chosen = np.zeros((len(present), len(tokens)), adjoint.dtype)
            chosen[which, np.arange(len(tokens))] = 1
            gathered[present] += chosen @ adjoint[start - first :].reshape(len(tokens), -1)
        if first == 0:
            self._finish(add)

    def _finish(self, add: Add) -> None:
        embedding = self.characters.embedding
        for each, gathered in zip(self.characters.maps, self.gathered, strict=True):
            add(each.name, gathered.T if embedding is None else gathered.T @ embedding, each.rows)
            if embedding is not None:
                add("embedding.weight", gathered @ each.back)

    def lengths(self, lag: int, first: int, last: int) -> np.ndarray:
        """‖x_{t−lag}‖ at each step (batch of one), (n,)."""
        found = np.zeros(last - first, self.characters.lengths.dtype)
        start = max(first, lag)
        found[start - first :] = self.characters.lengths[self.tokens[start - lag : last - lag, 0]]
        return found


class Below:
    """The output of the layer below, dropped out where a mask (steps, batch, H) says so."""

    def __init__(self, maps: list[InputMap], bias: np.ndarray, layer: Layer):
        self.maps, self.bias, self.layer = maps, bias, layer
        self.mask: np.ndarray | None = None

    def rows(self, first: int, last: int) -> np.ndarray:
        """What the layer gives at steps first…last−1, (n, batch, H)."""
        output = self.layer.output[first:last]
        return output if self.mask is None else output * self.mask[first:last]

    def project(self, first: int, last: int) -> np.ndarray:
        """What the maps make of steps first…last−1, with the bias, (n, batch, blocks·H)."""
        total = self.rows(first, last) @ self.maps[0].forward + self.bias
        for each in self.maps[1:]:
            start = max(first, each.lag)
            total[start - first :] += self.rows(start - each.lag, last - each.lag) @ each.forward
        return total

    def collect(self, adjoint: np.ndarray, first: int, last: int, add: Add) -> None:
        """Add a block's gradient of the maps, and hand on what the layer below is to blame for."""
        for each in self.maps:
            start = max(first, each.lag)
            mine, rows = adjoint[start - first :], self.rows(start - each.lag, last - each.lag)
            flat = mine.reshape(-1, mine.shape[-1])
            add(each.name, flat.T @ rows.reshape(len(flat), -1), each.rows)
            self.give((flat @ each.back).reshape(rows.shape), start - each.lag, last - each.lag)

    def give(self, gradient: np.ndarray, first: int, last: int) -> None:
        """Add ∂L/∂(what the layer gives) at steps first…last−1 to its output's gradient."""
        if self.mask is not None:
            gradient = gradient * self.mask[first:last]
        self.layer.output_gradient[first + 1 : last + 1] += gradient

    def lengths(self, lag: int, first: int, last: int) -> np.ndarray:
        """‖x_{t−lag}‖ at each step (batch of one), (n,)."""
        found = np.zeros(last - first, self.bias.dtype)
        start = max(first, lag)
        found[start - first :] = norm(self.rows(start - lag, last - lag))
        return found


def norm(array: np.ndarray) -> np.ndarray:
    """The Euclidean norm of each row (of each step of a batch of one), (n,)."""
    flat = array.reshape(len(array), -1)
    return np.sqrt(np.vecdot(flat, flat))
