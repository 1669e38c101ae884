"""A gate opened into its summands."""

import numpy as np
import pytest

from gatescope.models.cells import cells
from gatescope.models.graph import Cell, tanh
from gatescope.models.inspection.preactivations import preactivations
from gatescope.models.inspection.trace import trace
from gatescope.models.network.network import untrained

LETTERS = list("abcdef ")


@pytest.mark.parametrize("embedding", [None, 4])
@pytest.mark.parametrize("layer", [0, 1])
def test_the_summands_of_a_gate_add_up_to_what_the_gate_squashes(layer, embedding):
    network = untrained(cells()["lstm"], 2, 6, LETTERS, embedding)
    tokens = network.tokens("a bad cab fed a deaf bee")
    tensors = trace(network, tokens, backward=False).tensors
    terms = preactivations(network, tokens, layer, 3)["terms"]
    assert set(terms) == {"f", "i", "g", "o"}
    for signal, layer_specs in terms.items():
        assert [spec["reads"] for spec in layer_specs] == ["x", "h_prev", "bias"]
        total = sum(spec["values"] for spec in layer_specs)
        squashed = np.tanh(total) if signal == "g" else 1 / (1 + np.exp(-total))
        np.testing.assert_allclose(squashed, tensors[f"layer{layer}.{signal}"][:, 3], atol=1e-6)


def test_a_map_that_a_gate_multiplies_keeps_its_own_bias():
    network = untrained(cells()["gru"], 1, 6, LETTERS)
    tokens = network.tokens("a bad cab fed")
    tensors = trace(network, tokens, backward=False).tensors
    given, remembered, bias = preactivations(network, tokens, 0, 2)["terms"]["n"]
    assert [given["reads"], remembered["reads"], bias["reads"]] == ["x", "h_prev", "bias"]
    candidate = np.tanh(given["values"] + bias["values"] + tensors["layer0.r"][:, 2] * remembered["values"])
    np.testing.assert_allclose(candidate, tensors["layer0.n"][:, 2], atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "unit", "name"), [(1, 0, "layer"), (-1, 0, "layer"), (0, 6, "unit"), (0, -1, "unit")]
)
def test_what_is_not_there_is_refused_with_the_range(layer, unit, name):
    network = untrained(cells()["elman"], 1, 6, LETTERS)
    with pytest.raises(ValueError, match=f"{name}: must be between 0 and"):
        preactivations(network, [0, 1], layer, unit)


def test_a_parameter_that_stands_alone_is_a_bias_and_what_has_no_name_is_left_to_the_page():
    class Shifted(Cell):
        id, title, states, begin = "shifted", "Shifted", ("h",), {"shift": 0.25}

        def step(self, x, h):
            """One step."""
            return tanh(self.linear("h", x, h) + self.weight("shift") + self.weight("scale") * (1 - h))

    network = untrained(Shifted, 1, 3, list("ab"), dtype="float64")
    terms = preactivations(network, [0, 1, 0], unit=2)["terms"]["h"]
    assert [term["reads"] for term in terms] == ["x", "h_prev", "bias"]
    maps = sum(network.parameters[f"rnn.bias_{source}_l0"][2] for source in ("ih", "hh"))
    np.testing.assert_allclose(terms[-1]["values"], maps + 0.25)
