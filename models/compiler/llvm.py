"""LLVM, by way of llvmlite: an optional package, so this is the one place that imports it, when it is first wanted."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from types import ModuleType


def available() -> bool:
    """Whether the compiler is installed."""
    return find_spec("llvmlite") is not None


@cache
def llvm() -> ModuleType:
    """The package: its `ir` writes functions, its `binding` makes machine code of them. ImportError where it is not
    installed.
    """
    import llvmlite.binding
    import llvmlite.ir

    found: ModuleType = llvmlite
    return found
