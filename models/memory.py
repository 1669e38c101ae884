"""Memory that begins where a cache line begins: a vector that crosses a line is read twice."""

import math

import numpy as np

LINE = 64


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An uninitialised array."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def aligned(array: np.ndarray) -> np.ndarray:
    """A copy of an array."""
    copy = empty(array.shape, array.dtype)
    copy[...] = array
    return copy
