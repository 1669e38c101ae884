"""Which kernel runs the loops of layers: the NumPy program, or machine code made from the same schedule.

`auto` takes machine code where the compiler (llvmlite, an optional package) is installed and the reading is long enough
to be worth a quarter of a second of compiling. The choice is an environment variable: it holds for a whole process and
those it starts, so that the same question always gets the same answer, to the last bit.
"""

from __future__ import annotations

import numpy as np

from gatescope.models.compiler.llvm import available
from gatescope.models.compiler.llvm_kernel import Kernel, compiled
from gatescope.models.compiler.program import Program
from gatescope.models.refused import ProcessChoice, Refused

VARIABLE = "GATESCOPE_KERNEL"
CHOICE = ProcessChoice(VARIABLE, ("auto", "numpy", "compiled"))
WORTH = 256


def choose_kernel(choice: str) -> None:
    """Choose for all layers made from now on; raises Refused, saying why, for a choice that cannot be had."""
    _check_available(choice)
    CHOICE.set(choice)


def chosen_kernel(rows: int = WORTH) -> str:
    """`numpy` or `compiled`, for a reading of so many steps (of all its sequences together)."""
    choice = CHOICE.get()
    _check_available(choice)
    return choice if choice != "auto" else "compiled" if rows >= WORTH and available() else "numpy"


def kernel(program: Program, precision: np.dtype, rows: int) -> Program | Kernel:
    """What has `run_forward` and `run_backward` for a program, in a reading of so many steps."""
    return compiled(program, np.dtype(precision).name) if chosen_kernel(rows) == "compiled" else program


def _check_available(choice: str) -> None:
    if choice == "compiled" and not available():
        raise Refused(VARIABLE, "compiled needs the package llvmlite (pip install 'gatescope[compiled]')")
