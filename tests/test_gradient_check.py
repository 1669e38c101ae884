"""The check that the page shows: it passes where the gradient is right, and fails where it is not."""

import numpy as np
import pytest

from gatescope.models.cells import cells
from gatescope.models.inspection import gradient_check as verification
from gatescope.models.inspection.computation import Computation, Pieces
from gatescope.models.inspection.gradient_check import check_gradients
from gatescope.models.inspection.trace import Trace, trace
from gatescope.models.network.network import untrained

TEXT = "a bad cab had a deaf bee"


@pytest.mark.parametrize("cell", cells())
@pytest.mark.parametrize("loss", ["every", "last"])
def test_a_right_gradient_is_verified(cell, loss):
    network = untrained(cells()[cell], 2, 8, sorted(set(TEXT)), 4)
    found = check_gradients(network, network.tokens(TEXT), loss)
    assert found["verified"] and found["relative_error"] < 1e-7
    assert found["numeric"] == pytest.approx(found["analytic"], rel=1e-4, abs=1e-6)


def test_a_gradient_with_a_small_fault_is_not(monkeypatch):
    @Computation
    def faulty(*args, **options) -> Pieces[Trace]:
        found = yield from trace.pieces(*args, **options)
        found.tensors["grad.parameters.rnn.weight_hh_l0"] = found.tensors["grad.parameters.rnn.weight_hh_l0"] * 1.01
        return found

    network = untrained(cells()["lstm"], 1, 8, sorted(set(TEXT)), seed=2)
    network.parameters["rnn.weight_hh_l0"] *= np.float32(3)
    monkeypatch.setattr(verification, "trace", faulty)
    assert not check_gradients(network, network.tokens(TEXT))["verified"]
