"""What an author may write as a cell, each against autograd, and the sentence for what is no cell."""

import threading

import numpy as np
import pytest

from gatescope.models.graph import Cell, exp, layer_norm, maximum, mean, relu, sigmoid, sqrt, tanh
from gatescope.models.graph.description import describe
from gatescope.models.graph.tracing import CellMistake
from gatescope.models.inspection.interventions import Intervention
from gatescope.models.inspection.trace import trace
from gatescope.models.network.network import untrained
from tests import oracle

TEXT = "a bad cab had a deaf bee; a fed ace had a bad bag"
LETTERS = sorted(set(TEXT))


def named_map(cell, x, h):
    return tanh(cell.linear("h", x, cell.signal("y", cell.map("y", h))))


def linear_memory(cell, x, h):
    return cell.linear("h", x, h)


def sums_shown(cell, x, h, c):
    total = cell.signal("s", cell.linear("s", x, h))
    c = cell.signal("c", sigmoid(total) * c + tanh(total))
    return tanh(c), c


def map_of_the_input_multiplied(cell, x, h):
    return (1 - cell.gate("z", x, h)) * cell.map("n", x) + h * 0.5


def one_map_in_two_signals(cell, x, h):
    sum_ = cell.linear("f", x, h)
    return cell.signal("f", sigmoid(sum_)) * h + cell.signal("g", tanh(sum_ * 2))


def difference_of_maps(cell, x, h):
    return tanh(cell.map("a1", x) - cell.map("b1", h))


def numbers_and_signs(cell, x, h):
    f = cell.gate("f", x, h)
    return (1 + f) * 0.5 * h - -(2 * f) / (3 + h * h) - 1e-3


def softsign(cell, x, h):
    total = cell.linear("h", x, h)
    return total / (1 + relu(total) + relu(-total))


def exponentials(cell, x, h):
    i, f = exp(cell.candidate("i", x, h)), exp(-cell.gate("f", x))
    return (i * tanh(cell.map("g", x)) + f * h) / (i + f)


def mean_over_units(cell, x, h):
    n = cell.candidate("n", x, h)
    return n - mean(n) + 0.1 * mean(h) * h


def named_mean_and_root(cell, x, h):
    n = cell.candidate("n", x, h)
    m = cell.signal("m", mean(n * n))
    return n / sqrt(m + 0.1)


def normalised(cell, x, h):
    (a,), (b,) = layer_norm(cell.linear("h", x, h)), layer_norm(h)
    return tanh(a + 0.1 * b)


def larger(cell, x, h):
    return tanh(maximum(cell.linear("a1", x, h), cell.map("b1", x))) + maximum(0.2 * h, -0.1 * h)


def two_steps_back(cell, x, h, p):
    return tanh(cell.linear("h", x, h, p)), h


def unused_signal(cell, x, h):
    cell.signal("lost", cell.gate("z", x) * h)
    return tanh(cell.linear("h", x, h))


def map_without_bias(cell, x, h):
    return tanh(cell.map("h", x, bias=False) + cell.weight("start") + cell.map("h", h, bias=False))


CELLS = [
    *(named_map, linear_memory, sums_shown, map_of_the_input_multiplied, one_map_in_two_signals, difference_of_maps),
    *(numbers_and_signs, softsign, exponentials, mean_over_units, named_mean_and_root, normalised, larger),
    *(two_steps_back, unused_signal, map_without_bias),
]


def cell_of(step, **attributes) -> type[Cell]:
    """A cell whose step is a function; its states are named by the function's arguments."""
    states = step.__code__.co_varnames[2 : step.__code__.co_argcount]
    kind = type(step.__name__, (Cell,), {"step": step, "states": states, "title": "A cell", **attributes})
    kind.id = step.__name__
    return kind


@pytest.mark.parametrize("step", CELLS, ids=lambda step: step.__name__)
@pytest.mark.usefixtures("each_kernel")
def test_what_an_author_writes_equals_autograd(step):
    network = untrained(cell_of(step), 2, 7, LETTERS, 5, seed=3, dtype="float64")
    tokens = network.tokens(TEXT * 4)
    ours = trace(network, tokens, precision="float64").tensors
    for name, theirs in oracle.read(network, tokens).items():
        assert oracle.furthest(ours[name], theirs) <= 1e-12, name


@pytest.mark.parametrize("step", CELLS, ids=lambda step: step.__name__)
@pytest.mark.usefixtures("each_kernel")
def test_every_signal_can_be_overwritten(step):
    network = untrained(cell_of(step), 1, 6, LETTERS, None, seed=4, dtype="float64")
    tokens = network.tokens(TEXT)
    for signal in network.cell.graph().signals:
        interventions = [Intervention(0, signal, 0.25, (1, 4), 3, 9)]
        ours = trace(network, tokens, precision="float64", interventions=interventions).tensors
        for name, theirs in oracle.read(network, tokens, interventions=interventions).items():
            assert oracle.furthest(ours[name], theirs) <= 1e-12, (signal, name)


@pytest.mark.parametrize("step", CELLS, ids=lambda step: step.__name__)
def test_what_an_author_writes_is_described(step):
    said = describe(cell_of(step))
    known = said["operations"]
    for place, node in enumerate(said["graph"]):
        assert len(node["reads"]) == known[node["op"]]["arity"] and all(read < place for read in node["reads"])
    assert all(signal["equation"].count("(") == signal["equation"].count(")") for signal in said["signals"])
    assert not any("_" == signal["id"][0] for signal in said["signals"])


def test_equations_say_what_is_computed():
    def equation(step, signal="h"):
        return {each["id"]: each["equation"] for each in describe(cell_of(step))["signals"]}[signal]

    assert equation(named_map, "y") == "y_t = U_y h_{t−1} + b_y"
    assert equation(difference_of_maps) == "h_t = tanh((W_a1 x_t + b_a1) − (U_b1 h_{t−1} + b_b1))"
    assert equation(larger) == (
        "h_t = tanh(max(W_a1 x_t + U_a1 h_{t−1} + b_a1, W_b1 x_t + b_b1)) + max(0.2 ⊙ h_{t−1}, −0.1 ⊙ h_{t−1})"
    )
    assert equation(normalised) == "h_t = tanh(LN(W_h x_t + U_h h_{t−1} + b_h) + 0.1 ⊙ LN(h_{t−1}))"
    assert equation(numbers_and_signs) == (
        "h_t = (1 + f_t) ⊙ 0.5 ⊙ h_{t−1} − (−2 ⊙ f_t) / (3 + h_{t−1} ⊙ h_{t−1}) − 0.001"
    )


def test_how_parameters_begin_is_the_author_s():
    cell = cell_of(map_without_bias, begin={"start": 0.5, "weight_ih.h": 0.0})
    network = untrained(cell, 2, 4, LETTERS)
    assert (network.parameters["rnn.start_l1"] == 0.5).all() and not network.parameters["rnn.weight_ih_l0"].any()
    assert np.abs(network.parameters["rnn.weight_hh_l1"]).min() > 0


def twice(cell, x, h):
    return cell.gate("f", x, h) * cell.candidate("f", x)


def same_twice(cell, x, h, c):
    c = tanh(cell.linear("c", x, h, c))
    return c, c


def too_few(cell, x, h, c):
    return tanh(cell.linear("h", x, h))


def no_input(cell, x, h):
    return tanh(cell.map("h", h))


def nameless(cell, x, h):
    return tanh(cell.linear("h", x) + cell.map("h", cell.gate("r", x, h) * h))


def map_of_a_map(cell, x, h):
    return tanh(cell.linear("h", x) + cell.map("h", cell.map("y", h)))


def mean_of_the_input(cell, x, h):
    return tanh(cell.linear("h", x, h)) * mean(x)


def some_bias(cell, x, h):
    return tanh(cell.linear("h", x, h)) * sigmoid(cell.map("f", x, bias=False))


def no_vector(cell, x, h):
    return 0.5


def words(cell, x, h):
    return tanh(cell.linear("h", x, h)) + "1"


@pytest.mark.parametrize(
    ("step", "attributes", "sentence"),
    [
        (twice, {}, "two signals are called f; each needs a name of its own"),
        (same_twice, {}, "the states h and c return the same vector"),
        (too_few, {}, "must return 2 states, not 1"),
        (no_vector, {}, "must return a vector for the state h, not 0.5"),
        (no_input, {}, "the input x must be read by a map"),
        (nameless, {}, r"what the map h reads must have a name, as in self.map\('h', self.signal\("),
        (map_of_a_map, {}, r"what the map h reads must have a name, as in self.map\('h', self.signal\("),
        (mean_of_the_input, {}, "a mean is taken over the layer's units, not over x"),
        (some_bias, {}, "the maps of weight_ih must all have a bias, or none of them"),
        (words, {}, "made of vectors and finite numbers, not of '1'"),
        (linear_memory, {"states": ("a",)}, "the state 'a' needs another name"),
        (linear_memory, {"states": ("tanh",)}, "the state 'tanh' needs another name"),
        (linear_memory, {"states": ()}, "states must name at least one state"),
        (two_steps_back, {"states": ("h", "h")}, "states names one state twice"),
        (sums_shown, {"blocks": ("f",)}, r"blocks = \('f',\) lacks s; the maps are s"),
        (named_map, {"blocks": ("h", "y", "q")}, "names q, which no map has; the maps are y, h"),
    ],
)
def test_a_mistake_is_said_in_a_sentence(step, attributes, sentence):
    with pytest.raises(CellMistake if step is not words else TypeError, match=sentence):
        cell_of(step, **attributes).graph()


def test_two_first_callers_get_the_same_graph():
    cell, found = cell_of(numbers_and_signs), []
    threads = [threading.Thread(target=lambda: found.append(cell.graph())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
