"""What the derived programs look like; that they are right is for test_cells.py."""

import pytest

from gatescope.models.cells import cells
from gatescope.models.compiler.program import program


def loop(cell: str, name: str) -> list[str]:
    """The lines inside the time loop of a cell's forward or backward program."""
    source = program(cells()[cell]).source
    function = source.split(f"def {name}(")[1].split("\ndef ")[0]
    return [
        line.strip()
        for line in function.split("\n")
        if line.startswith("        ")
        and "=True" not in line
        and "::-1]" not in line
        and not line.strip().startswith("h_prev,")
    ]


@pytest.mark.parametrize(("cell", "count"), [("elman", 1), ("gru", 1), ("lstm", 1), ("jordan", 2), ("tdnn", 0)])
def test_each_state_is_mapped_once_a_step_and_inputs_never(cell, count):
    for name in ("forward", "backward"):
        assert sum(line.startswith("dot(") for line in loop(cell, name)) == count


def test_the_four_gates_of_an_lstm_cost_what_one_costs():
    forward = loop("lstm", "forward")
    assert sum(line.startswith("tanh(") for line in forward) == 2  # all gates at once, and the memory
    assert len(forward) <= 10 and len(loop("lstm", "backward")) <= 10


def test_what_the_forward_pass_knows_is_computed_for_a_block_at_once():
    backward = program(cells()["lstm"]).source.split("def backward(")[1]
    before = backward.split("    for ")[0]
    assert "tanh(c, " in before and "tanh(" not in backward.split("    for ")[1]


def test_an_adjoint_two_stacks_share_is_computed_once():
    assert program(cells()["lstm"]).same_as_input == "weight_hh"
    assert program(cells()["gru"]).same_as_input is None


def test_only_a_program_open_to_it_pays_for_an_intervention():
    plain, open_to = program(cells()["gru"]), program(cells()["gru"], ["z"])
    assert "mask_z" not in plain.source and "mask_z" in open_to.source and "value_z" in open_to.source
