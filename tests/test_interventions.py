"""Overwriting signals: exact in both directions, on every signal of every cell; autograd is the judge."""

import dataclasses

import numpy as np
import pytest

from gatescope.models.cells import cells
from gatescope.models.inspection.generate import generate
from gatescope.models.inspection.interventions import Intervention
from gatescope.models.inspection.trace import trace
from gatescope.models.network.network import untrained
from tests import oracle

TEXT = "a bad cab had a deaf bee; a fed ace"
pytestmark = pytest.mark.usefixtures("each_kernel")
LETTERS = sorted(set(TEXT))
EVERY_SIGNAL = [(name, signal) for name, cell in cells().items() for signal in cell.graph().signals]


@pytest.mark.parametrize(("name", "signal"), EVERY_SIGNAL)
def test_values_and_gradients_are_those_of_a_network_with_a_constant_there(name, signal):
    network = untrained(cells()[name], 2, 6, LETTERS, 4, dtype="float64")
    tokens = network.tokens(TEXT)
    interventions = [
        Intervention(0, signal, 0.25, (1, 4), 3, 9),
        Intervention(1, signal, -0.5, None, 20, 21),
        Intervention(1, signal, 0.75, (5,), 28),
    ]
    ours = trace(network, tokens, precision="float64", interventions=interventions).tensors
    for tensor, theirs in oracle.read(network, tokens, interventions=interventions).items():
        assert oracle.furthest(ours[tensor], theirs, oracle.least(network.cell, tensor)) <= 1e-9, tensor
    assert (ours[f"layer0.{signal}"][3:9, [1, 4]] == 0.25).all() and (ours[f"layer1.{signal}"][20] == -0.5).all()


@pytest.mark.parametrize("name", cells())
def test_finite_differences_agree_beside_an_overwritten_value(name):
    network = untrained(cells()[name], 1, 5, LETTERS, dtype="float64")
    tokens, intervention = network.tokens(TEXT), [Intervention(0, network.cell.states[0], 0.3, (2,), 4, 12)]
    gradients = trace(network, tokens, precision="float64", interventions=intervention).tensors
    random = np.random.default_rng(0)
    for parameter, array in network.parameters.items():
        index = tuple(random.integers(0, size) for size in array.shape)
        losses = []
        for step in (1e-5, -2e-5):
            array[index] += step
            moved = dataclasses.replace(network)  # whose weights are laid out anew
            losses.append(trace(moved, tokens, precision="float64", interventions=intervention).metadata["loss"])
        array[index] += 1e-5
        found = gradients[f"grad.parameters.{parameter}"][index]
        assert (losses[0] - losses[1]) / 2e-5 == pytest.approx(found, rel=1e-5, abs=1e-7), parameter


def test_a_closed_gate_forgets():
    network = untrained(cells()["lstm"], 1, 6, LETTERS, dtype="float64")
    tokens = network.tokens(TEXT)
    tensors = trace(network, tokens, precision="float64", interventions=[Intervention(0, "f", 0.0)]).tensors
    np.testing.assert_array_equal(tensors["layer0.c"], tensors["layer0.i"] * tensors["layer0.g"])
    assert np.abs(tensors["grad.layer0.c"]).max() > 0


def test_of_two_for_one_place_the_later_counts():
    network = untrained(cells()["gru"], 1, 6, LETTERS)
    both = [Intervention(0, "z", 0.1), Intervention(0, "z", 0.9, (3,), 5, 6)]
    values = trace(network, network.tokens(TEXT), interventions=both).tensors["layer0.z"]
    assert values[5, 3] == np.float32(0.9) and values[5, 2] == np.float32(0.1) and values[6, 3] == np.float32(0.1)


def test_writing_goes_on_from_what_was_overwritten():
    network = untrained(cells()["lstm"], 1, 6, LETTERS)
    events = list(generate(network, network.tokens("a bad "), 12, interventions=[Intervention(0, "o", 0.0, None, 8)]))
    for name, data in events:
        if name == "character":
            assert (data["layers"][0]["h"] == 0).all() == (data["t"] >= 8)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"layer": 1}, "layer must be between 0 and 0"),
        ({"signal": "q"}, "signal must be one of f, i, g, o, c, h"),
        ({"value": float("nan")}, "value must be a number"),
        ({"units": (6,)}, "units must be between 0 and 5"),
        ({"first": 9, "last": 9}, "from and to"),
        ({"last": 99}, "from and to"),
    ],
)
def test_what_the_network_does_not_have_is_refused_with_the_range(wrong, said):
    network = untrained(cells()["lstm"], 1, 6, LETTERS)
    intervention = Intervention(**{"layer": 0, "signal": "f", "value": 0.0} | wrong)
    with pytest.raises(ValueError, match=said):
        trace(network, network.tokens(TEXT), interventions=[intervention])
