"""Numbers too small for full precision are taken as zero, in this thread, while a program runs.

A gradient that has travelled far back is full of such numbers, and the processor handles each of them many times
slower.
"""

import ctypes
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# where the control word lies in the C library's fenv_t, its format, and the bits that flush (glibc)
_PLACES = {"x86_64": (28, 0x8040), "aarch64": (0, 1 << 24)}


@contextmanager
def flushed() -> Iterator[None]:
    """Flush denormals to zero in this thread for the length of a `with` block; where the machine is unknown, do
    nothing.
    """
    place = _PLACES.get(platform.machine()) if sys.platform == "linux" else None
    if place is None:
        yield
        return
    offset, bits = place
    library, before, during = ctypes.CDLL(None), ctypes.create_string_buffer(64), ctypes.create_string_buffer(64)
    library.fegetenv(before)
    ctypes.memmove(during, before, 64)
    word = ctypes.c_uint32.from_buffer(during, offset)
    word.value |= bits
    library.fesetenv(during)
    try:
        yield
    finally:
        library.fesetenv(before)
