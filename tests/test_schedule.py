"""Places, calls, and neighbours that become one call."""

import numpy as np
import pytest

from gatescope.models.compiler.schedule import Call, Place, Schedule, statement, uniform, variable
from gatescope.models.graph.node import Node, sigmoid, tanh

A, B = Node("state", name="a"), Node("state", name="b")
WHERE = {A: Place("a"), B: Place("b")}


def run(schedule: Schedule, **arrays: np.ndarray) -> dict[str, np.ndarray]:
    """The schedule's calls, carried out on arrays of one block of four units."""
    arrays |= {name: np.zeros(4 * blocks) for name, blocks in schedule.scratch.items()}
    arrays |= {"one": np.ones(4), "half": np.full(4, 0.5), "minus_one": -np.ones(4)}
    names = {name: getattr(np, name) for name in ("add", "subtract", "multiply", "tanh", "copyto", "maximum")}
    for call in schedule.merged():
        exec(statement(call, lambda place: place.array), names | arrays)  # noqa: S102 – our own derived source
    return arrays


def test_neighbours_in_every_operand_become_one_call():
    schedule = Schedule()
    for block in range(3):
        schedule.call("tanh", Place("g", block, block + 1), Place("g", block, block + 1))
        schedule.call("mul", Place("g", block, block + 1), Place("g", block, block + 1), uniform(0.5))
    first, second = schedule.merged()
    assert (first.kind, first.out, second.reads) == ("tanh", Place("g", 0, 3), (Place("g", 0, 3), uniform(0.5, 3)))


def test_calls_with_a_gap_or_of_another_level_stay_apart():
    assert not Call(1, "add", Place("g"), (Place("a"),)).joins(Call(1, "add", Place("g", 2, 3), (Place("a", 1, 2),)))
    assert not Call(1, "tanh", Place("g"), (Place("g"),)).joins(Call(2, "tanh", Place("g", 1, 2), (Place("g", 1, 2),)))
    assert not Place("a").joins(Place("b", 1, 2)) and not Place("a", kind="before").joins(Place("a", 1, 2))


def test_a_call_waits_for_all_it_reads_and_for_what_its_place_held():
    schedule = Schedule()
    schedule.call("add", Place("x"), Place("a"), Place("b"))
    schedule.call("tanh", Place("y"), Place("x"))
    schedule.call("copy", Place("x"), Place("a"))
    assert [call.level for call in schedule.calls] == [1, 2, 2]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (tanh(A * B) + A, lambda a, b: np.tanh(a * b) + a),
        ((1 - A) * B, lambda a, b: (1 - a) * b),
        (sigmoid(A - B), lambda a, b: 1 / (1 + np.exp(b - a))),
    ],
)
def test_an_expression_computes_what_it_says(expression, expected):
    a, b = np.random.default_rng(0).standard_normal((2, 4))
    schedule = Schedule()
    schedule.express(expression, dict(WHERE), Place("out"))
    np.testing.assert_allclose(run(schedule, a=a, b=b, out=np.zeros(4))["out"], expected(a, b), rtol=1e-12)


def test_a_subexpression_met_twice_is_computed_once():
    schedule, twice = Schedule(), A * B
    schedule.express(tanh(twice) + twice, dict(WHERE))
    assert [call.kind for call in schedule.calls].count("mul") == 1


def test_variables_say_array_blocks_and_time():
    assert variable(Place("c", kind="before")) == "c_prev" and variable(Place("gates", 0, 3)) == "gates_0_3"
