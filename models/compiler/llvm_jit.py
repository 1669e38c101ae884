"""The processor at hand: LLVM for it, and what every kernel shares, compiled once for each precision.

LLVM comes with llvmlite, an optional package that is imported when the first kernel is wanted.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from gatescope.models.compiler.llvm_ir import product, row_sums

if TYPE_CHECKING:
    from llvmlite.binding import ExecutionEngine

TOGETHER = 4


def available() -> bool:
    """Whether the compiler is installed."""
    return find_spec("llvmlite") is not None


class Machine:
    """The processor, how wide its registers of numbers are, and LLVM for it."""

    def __init__(self) -> None:
        import llvmlite.binding as llvm

        self.llvm = llvm
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        features = llvm.get_host_cpu_features()
        self.wide = features.get("avx512f", False)
        self.register = 64 if self.wide else 32 if features.get("avx", False) else 16
        self._kind = {"cpu": llvm.get_host_cpu_name(), "features": features.flatten(), "opt": 3, "jit": True}

    def lanes(self, precision: str) -> int:
        """How many numbers a register holds."""
        return self.register // np.dtype(precision).itemsize

    def compile(self, source: str) -> ExecutionEngine:
        """The functions of some assembly, ready to be called."""
        module = self.llvm.parse_assembly(source)
        module.verify()
        target = self.llvm.Target.from_default_triple().create_target_machine(**self._kind)  # the engine's own
        options = self.llvm.create_pipeline_tuning_options(speed_level=1)
        options.loop_unrolling = options.loop_vectorization = options.slp_vectorization = False  # written out already
        builder = self.llvm.create_pass_builder(target, options)
        builder.getModulePassManager().run(module, builder)
        engine = self.llvm.create_mcjit_compiler(module, target)
        engine.finalize_object()
        return engine


@cache
def machine() -> Machine:
    """The processor at hand; looked at once."""
    return Machine()


@cache
def _shared(precision: str) -> ExecutionEngine:
    lanes, widest = machine().lanes(precision), 16 if machine().wide else 8
    one, more = _names(precision)
    sources = (
        product(one, precision, lanes, 1, (widest, 4, 1)),
        product(more, precision, lanes, TOGETHER, (4, 1)),
        row_sums("row_sums", precision, lanes),
    )
    engine = machine().compile("\n\n".join(sources))
    for name in (one, more):
        machine().llvm.add_symbol(name, engine.get_function_address(name))
    return engine


def _names(precision: str) -> tuple[str, str]:
    return f"one_row_{precision}", f"more_rows_{precision}"


def products(precision: str) -> tuple[str, str]:
    """The names of the matrix products of one row and of more, for kernels to call."""
    _shared(precision)
    return _names(precision)


@cache
def row_adder(precision: str) -> Callable[[np.ndarray, np.ndarray, np.ndarray], None]:
    """A function (table, which, rows) that adds each of the rows to the row of the table that `which` names."""
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 7)(_shared(precision).get_function_address("row_sums"))

    def add(table: np.ndarray, which: np.ndarray, rows: np.ndarray) -> None:
        places = table.ctypes.data, table.strides[0] // table.itemsize, which.ctypes.data
        function(*places, rows.ctypes.data, rows.strides[0] // rows.itemsize, *rows.shape)

    return add
