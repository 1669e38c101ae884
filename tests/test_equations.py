"""Every cell against its equations, written once more by hand in plain torch: a wrong equation agrees with nobody."""

import numpy as np
import pytest

from gatescope.models.cells import cells
from gatescope.models.graph.cell import Cell
from gatescope.models.inspection.trace import trace
from gatescope.models.network.network import untrained
from tests.by_hand import ByHand, close, losses_of
from tests.equations import EQUATIONS

TEXT = "a bad cab had a deaf bee; a fed ace"
LETTERS = sorted(set(TEXT))
VARIANTS = {
    **{id: (id, {}) for id in cells()},
    "elman, relu": ("elman", {"nonlinearity": "relu"}),
    "gru, reset before": ("gru", {"reset": "before"}),
    "lstm, projected": ("lstm", {"projection": 3}),
    "tdnn, window of 2, relu": ("tdnn", {"window": 2, "nonlinearity": "relu"}),
    "tdnn, window of 9": ("tdnn", {"window": 9}),
}


@pytest.mark.parametrize("cell", cells())
def test_every_cell_is_written_once_more_by_hand(cell):
    assert cell in EQUATIONS, f"write the forward equations of {cell} by hand into tests/equations.py"


def test_every_option_is_among_the_variants():
    chosen = {(id, option) for id, options in VARIANTS.values() for option in options}
    assert chosen == {(id, option) for id, cell in cells().items() for option in cell.options}


def of_both(cell: type[Cell], chosen: dict, loss: str, **sizes) -> tuple[dict, dict]:
    """The tensors of one reading, (ours, by hand)."""
    network = untrained(cell, 2, 6, LETTERS, seed=5, dtype="float64", **sizes)
    tokens = network.tokens(TEXT)
    by_hand = ByHand(network.parameters, cell.id, 6, tokens, **chosen)
    theirs = by_hand.tensors(losses_of(by_hand.logits[:-1], tokens[1:]), loss)
    return trace(network, tokens, loss=loss, precision="float64").tensors, theirs


@pytest.mark.usefixtures("each_kernel")
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("loss", ["every", "last"])
def test_every_value_gradient_and_share_is_that_of_the_equations(variant, loss):
    id, chosen = VARIANTS[variant]
    if id not in EQUATIONS:
        pytest.fail(f"there are no equations of {id} in tests/equations.py")
    both_ways = loss == "last" and id != "tdnn"
    sizes = {"directions": 2} if both_ways else {"embedding": 5}
    ours, theirs = of_both(cells()[id].with_options(*chosen.items()), chosen, loss, **sizes)
    assert set(ours) == set(theirs)
    assert [name for name, expected in theirs.items() if not close(ours[name], expected, 1e-11)] == []


def test_a_window_that_reads_from_the_end_sees_what_comes_after():
    ours, theirs = of_both(cells()["tdnn"], {}, "every", directions=2)
    assert [name for name, expected in theirs.items() if not close(ours[name], expected, 1e-11)] == []


@pytest.mark.parametrize("cell", EQUATIONS)
def test_the_comparison_sees_a_sign_that_is_wrong(cell, monkeypatch):
    def wrong(*given, **chosen):
        now = EQUATIONS_BEFORE(*given, **chosen)
        return now | {"h": -now["h"]}

    EQUATIONS_BEFORE = EQUATIONS[cell]
    monkeypatch.setitem(EQUATIONS, cell, wrong)
    ours, theirs = of_both(cells()[cell], {}, "every", embedding=5)
    assert np.abs(ours["layer1.h"]).max() > 0.01 and not close(ours["layer1.h"], theirs["layer1.h"])
