"""Matrix products outside the time loop: NumPy's, or those of PyTorch's library, which are quicker.

Training, which needs PyTorch anyway, takes the latter; everything else must start without it.
"""

from __future__ import annotations

import math

import numpy as np

from gatescope.models.compiler.backend import chosen_kernel
from gatescope.models.compiler.llvm_jit import row_adder


class Matmul:
    """Products by NumPy."""

    def multiply(self, left: np.ndarray, right: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """left (…, m, k) times right (k, n), into `out` if given."""
        rows = left.reshape(math.prod(left.shape[:-1]), left.shape[-1])  # all steps in one product
        made = np.matmul(rows, right, out=out if out is None else out.reshape(len(rows), -1))
        product: np.ndarray = made.reshape(*left.shape[:-1], right.shape[-1])
        return product

    def sum(self, rows: np.ndarray) -> np.ndarray:
        """The sum of rows (n, width), (width,)."""
        total: np.ndarray = rows.sum(axis=0)
        return total

    def scatter(self, table: np.ndarray, which: np.ndarray, rows: np.ndarray) -> None:
        """Add each of rows (n, width) to the row of the table that `which` (n,) names."""
        if chosen_kernel(len(rows)) == "compiled":
            row_adder(rows.dtype.name)(table, which % len(table), rows)
            return
        present, place = np.unique(which, return_inverse=True)
        picked = np.zeros((len(present), len(rows)), rows.dtype)
        picked[place, np.arange(len(rows))] = 1
        table[present] += picked @ rows


class TorchMatmul(Matmul):
    """Products by PyTorch, on the arrays as they lie, on one thread."""

    def __init__(self) -> None:
        import torch

        torch.set_num_threads(1)
        self.torch = torch

    def multiply(self, left: np.ndarray, right: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """left (…, m, k) times right (k, n), into `out` if given."""
        shared = self.torch.from_numpy
        if out is None:
            made: np.ndarray = self.torch.matmul(shared(left), shared(right)).numpy()
            return made
        self.torch.matmul(shared(left), shared(right), out=shared(out))
        return out

    def sum(self, rows: np.ndarray) -> np.ndarray:
        """The sum of rows (n, width), (width,)."""
        total: np.ndarray = self.torch.sum(self.torch.from_numpy(rows), 0).numpy()
        return total

    def scatter(self, table: np.ndarray, which: np.ndarray, rows: np.ndarray) -> None:
        """Add each of rows (n, width) to the row of the table that `which` (n,) names."""
        shared = self.torch.from_numpy
        shared(table).index_add_(0, shared(which % len(table)), shared(rows))


NUMPY_MATMUL = Matmul()
