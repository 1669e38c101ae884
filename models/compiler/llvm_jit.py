"""The processor at hand: LLVM for it, and what every kernel shares, compiled once for each precision."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from gatescope.models.compiler.llvm import llvm
from gatescope.models.compiler.llvm_ir import new_module
from gatescope.models.compiler.llvm_rows import product, row_sums

if TYPE_CHECKING:
    from llvmlite.binding import ExecutionEngine

TOGETHER = 4


class Machine:
    """The processor, how wide its registers of numbers are, and LLVM for it."""

    def __init__(self) -> None:
        self._llvm = llvm().binding
        self._llvm.initialize_native_target()
        self._llvm.initialize_native_asmprinter()
        features = self._llvm.get_host_cpu_features()
        self.wide = features.get("avx512f", False)
        self.register = 64 if self.wide else 32 if features.get("avx", False) else 16
        self._kind = {"cpu": self._llvm.get_host_cpu_name(), "features": features.flatten(), "opt": 3, "jit": True}

    def lanes(self, precision: str) -> int:
        """How many numbers a register holds."""
        return self.register // np.dtype(precision).itemsize

    def readable(self, source: str) -> str:
        """The text of a module as LLVM writes it."""
        return str(self._llvm.parse_assembly(source))

    def share(self, name: str, address: int) -> None:
        """Let functions that are compiled from now on call this one."""
        self._llvm.add_symbol(name, address)

    def compile(self, source: str) -> ExecutionEngine:
        """The functions of a module's text, ready to be called; RuntimeError where it is none."""
        module = self._llvm.parse_assembly(source)
        module.verify()
        target = self._llvm.Target.from_default_triple().create_target_machine(**self._kind)  # the engine's own
        options = self._llvm.create_pipeline_tuning_options(speed_level=1)
        options.loop_unrolling = options.loop_vectorization = options.slp_vectorization = False  # written out already
        builder = self._llvm.create_pass_builder(target, options)
        builder.getModulePassManager().run(module, builder)
        engine = self._llvm.create_mcjit_compiler(module, target)
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
    module = new_module()
    product(module, one, precision, lanes, 1, (widest, 4, 1))
    product(module, more, precision, lanes, TOGETHER, (4, 1))
    row_sums(module, "row_sums", precision, lanes)
    engine = machine().compile(str(module))
    for name in (one, more):
        machine().share(name, engine.get_function_address(name))
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
