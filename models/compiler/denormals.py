"""Numbers too small for full precision are taken as zero, in this thread, while a program runs.

A gradient that has travelled far back is full of such numbers, and the processor handles each of them many times
slower.
"""

import ctypes
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# where the control word lies in the C library's fenv_t, and the bits that flush (glibc)
_PLACES = {"x86_64": (28, 0x8040), "aarch64": (0, 1 << 24)}
_PLACE = _PLACES.get(platform.machine()) if sys.platform == "linux" else None
_LIBRARY: ctypes.CDLL | None = ctypes.CDLL(None) if _PLACE else None
_SIZE = 64


@contextmanager
def flushed() -> Iterator[None]:
    """Flush denormals to zero in this thread for the length of a `with` block; where the machine is unknown, do
    nothing.
    """
    if _PLACE is None or _LIBRARY is None:
        yield
        return
    offset, bits = _PLACE
    before = ctypes.create_string_buffer(_SIZE)
    _LIBRARY.fegetenv(before)
    during = ctypes.create_string_buffer(before.raw, _SIZE)
    ctypes.c_uint32.from_buffer(during, offset).value |= bits
    _LIBRARY.fesetenv(during)
    try:
        yield
    finally:
        _LIBRARY.fesetenv(before)
