"""Arrays side by side in one piece of memory, each beginning where a cache line begins.

A vector that crosses a cache line is read twice. And the C library is told to keep what a trace gives back for the next
one (up to 64 MiB), for the system hands out fresh pages slowly, one by one.
"""

import ctypes
import math
import sys
from collections.abc import Mapping

import numpy as np

LINE = 64
# of the C library's mallopt: how much may lie free, and from which size on a piece is the system's own
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LIBRARY = ctypes.CDLL(None)
if sys.platform == "linux" and hasattr(_LIBRARY, "mallopt"):
    _LIBRARY.mallopt(_TRIM_THRESHOLD, 64 << 20)
    _LIBRARY.mallopt(_MMAP_THRESHOLD, 32 << 20)


def keep_little() -> None:
    """From now on what is larger than a quarter of a mebibyte goes back to the system as soon as it is let go: for a
    process that holds what others send, in all sizes, and computes little.
    """
    if sys.platform == "linux" and hasattr(_LIBRARY, "mallopt"):
        _LIBRARY.mallopt(_TRIM_THRESHOLD, 8 << 20)
        _LIBRARY.mallopt(_MMAP_THRESHOLD, 256 << 10)


def give_back() -> None:
    """Give what lies free in this process back to the system, also between pieces that are in use: after something
    large. It takes milliseconds, and what is wanted next comes slowly again.
    """
    if sys.platform == "linux" and hasattr(_LIBRARY, "malloc_trim"):
        _LIBRARY.malloc_trim(0)


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
