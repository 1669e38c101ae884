"""Flushing denormals, in this thread and for the length of a block only."""

import platform
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gatescope.models.compiler.denormals import flushed

TINY = np.full(64, 1e-39, np.float32)


def halved() -> float:
    return float((TINY * np.float32(0.5)).max())


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="this processor is not known to flush denormals"
)
def test_denormals_are_flushed_inside_and_kept_outside():
    assert halved() > 0
    with ThreadPoolExecutor(1) as other:
        assert other.submit(halved).result() > 0  # a thread begun inside the block would inherit its setting
        with flushed():
            assert halved() == 0
            assert other.submit(halved).result() > 0
    assert halved() > 0
