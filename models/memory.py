"""Arrays side by side in one piece of memory, each beginning where a cache line begins.

A vector that crosses a cache line is read twice. And one large piece that is given back as a whole is what the C
library keeps for the next trace; many smaller ones it returns to the system, which hands out fresh pages one by one.
"""

import math
from collections.abc import Mapping

import numpy as np

LINE = 64


def side_by_side(shapes: Mapping[str, tuple[int, ...]], dtype: np.dtype) -> dict[str, np.ndarray]:
    """Uninitialised arrays of these shapes, by name."""
    dtype, ends = np.dtype(dtype), [0]
    sizes = [math.prod(shape) * dtype.itemsize for shape in shapes.values()]
    for size in sizes:
        ends.append(ends[-1] + -(-size // LINE) * LINE)
    memory = np.empty(ends[-1] + LINE, np.uint8)
    memory = memory[-memory.ctypes.data % LINE :]
    pieces = zip(shapes.items(), sizes, ends, strict=False)
    return {name: memory[start : start + size].view(dtype).reshape(shape) for (name, shape), size, start in pieces}


def aligned(arrays: Mapping[str, np.ndarray], dtype: np.dtype) -> dict[str, np.ndarray]:
    """Copies of arrays, by name."""
    copies = side_by_side({name: array.shape for name, array in arrays.items()}, dtype)
    for name, array in arrays.items():
        copies[name][...] = array
    return copies
