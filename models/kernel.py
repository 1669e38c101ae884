"""Which kernel runs a layer's loops: the NumPy program, or machine code made from the same schedule.

`auto` takes machine code where the compiler (llvmlite, an optional package) is installed. The choice holds for the
whole process, so that the same question always gets the same answer to the last bit.
"""

from __future__ import annotations

import numpy as np

from models.compiled import Kernel, available, compiled
from models.program import Program

CHOICES = ("auto", "numpy", "compiled")
_chosen = "auto"


def choose(choice: str) -> None:
    """Choose for all layers made from now on; raises ValueError for `compiled` where the compiler is missing."""
    global _chosen
    if choice not in CHOICES:
        raise ValueError(f"kernel: must be one of {', '.join(CHOICES)}")
    if choice == "compiled" and not available():
        raise ValueError("kernel: compiled needs the package llvmlite: pip install 'gatescope[compiled]'")
    _chosen = choice


def chosen() -> str:
    """`numpy` or `compiled`."""
    if _chosen == "auto":
        return "compiled" if available() else "numpy"
    return _chosen


def kernel(program: Program, precision: np.dtype) -> Program | Kernel:
    """What has `run_forward` and `run_backward` for a program."""
    return compiled(program, np.dtype(precision).name) if chosen() == "compiled" else program
