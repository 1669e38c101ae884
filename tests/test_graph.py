"""The graph a step becomes, and the derivatives between its records."""

import pytest

from gatescope.models.cells import cells
from gatescope.models.graph.cell import Cell
from gatescope.models.graph.derivatives import Derivatives
from gatescope.models.graph.node import ONE, Node, relu, sigmoid, tanh, terms, walk

A, B = Node("state", name="a"), Node("state", name="b")


def test_arithmetic_makes_nodes_and_equal_numbers_are_one_node():
    made = [A + B, A - B, A * B, 1 - A, A / B, -A, 2 * A, 0.5 + A, 3 / A]
    assert [node.op for node in made] == ["add", "sub", "mul", "sub", "div", "neg", "mul", "add", "div"]
    assert (1 - A).reads[0] is ONE is (1.0 * A).reads[0] and (A * 0.1).reads[1] is (0.1 + B).reads[0]
    for wrong in ("1", None, float("inf"), float("nan")):
        with pytest.raises(TypeError, match="vectors and finite numbers"):
            A + wrong


def test_a_sum_is_taken_apart_but_not_through_a_signal():
    named = A + B
    named.signal = "s"
    assert terms(A + (B + A)) == [A, B, A]
    assert terms(named + A) == [named, A]


def test_every_node_comes_after_what_it_reads():
    order = walk([tanh(A * B) + sigmoid(A)])
    place = {id(node): index for index, node in enumerate(order)}
    assert all(place[id(read)] < place[id(node)] for node in order for read in node.reads)


def test_local_derivatives_are_the_rules_of_calculus():
    derivatives = Derivatives()
    product = A * B
    assert derivatives.of(product) == {A: [(1, B)], B: [(1, A)]}
    assert derivatives.of(A - B) == {A: [(1, ONE)], B: [(-1, ONE)]}
    squashed = sigmoid(A)
    squashed.signal = "s"
    ((sign, slope),) = derivatives.of(squashed)[A]
    assert sign == 1 and slope.op == "mul" and slope.reads[0] is squashed and slope.reads[1].op == "sub"
    ((_, slope),) = derivatives.slopes(relu(A))
    assert slope.op == "sign"


def test_equal_factors_are_one_node_and_several_are_summed():
    derivatives = Derivatives()
    kept = (1 - A) * B + A * B
    ((first, second),) = [derivatives.of(kept)[A]]
    assert {first[0], second[0]} == {1, -1} and first[1] is second[1] is B
    sign, total = derivatives.total([(-1, A), (1, B)])
    assert (sign, total.op, total.reads) == (1, "sub", (B, A))
    assert derivatives.node("add", A, B) is derivatives.node("add", A, B)


def test_a_step_must_return_the_states_it_declares():
    class Wrong(Cell):
        states, blocks = ("h", "c"), ("h",)

        def step(self, x, h, c):
            return self.candidate("h", x, h)

    with pytest.raises(TypeError, match="must return 2 states, not 1"):
        Wrong.graph()


def test_a_state_that_hands_on_the_input_is_a_delay_line():
    cell = cells()["tdnn"]
    graph = cell.graph()
    assert [graph.lags[graph.before[name]] for name in ("x1", "x2", "x3")] == [1, 2, 3]
    assert cell.memories() == ("h",)
