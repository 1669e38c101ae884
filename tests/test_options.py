"""What may be chosen of a cell: a time-delay network's window, a simple recurrent network's squashing function."""

import pytest
import torch

from gatescope.models.cells import cells, describe
from gatescope.models.inspection.trace import trace
from gatescope.models.network.network import BadNetwork, Network, untrained
from gatescope.models.training.recipe import Recipe
from tests import oracle
from tests.jobs import SMALL, trained

TEXT = "a bad cab had a deaf bee; a fed ace"
pytestmark = pytest.mark.usefixtures("each_kernel")
LETTERS = sorted(set(TEXT))
RELU = cells()["elman"].with_options(("nonlinearity", "relu"))
WIDE = cells()["tdnn"].with_options(("window", 9))


@pytest.mark.parametrize("cell", [RELU, WIDE], ids=["relu", "window of 9"])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_chosen_variant_equals_autograd(cell, layers):
    network = untrained(cell, layers, 7, LETTERS, 4, dtype="float64")
    tokens = network.tokens(TEXT)
    ours = trace(network, tokens, precision="float64").tensors
    for name, theirs in oracle.read(network, tokens).items():
        assert oracle.furthest(ours[name], theirs) <= 1e-9, name


def test_the_rectified_network_is_torchs():
    module = torch.nn.RNN(5, 7, 2, nonlinearity="relu").double()
    network = untrained(RELU, 2, 7, LETTERS, 5, dtype="float64")
    module.load_state_dict({n[4:]: torch.tensor(a) for n, a in network.parameters.items() if n.startswith("rnn.")})
    tokens = network.tokens(TEXT)
    output, _ = module(torch.tensor(network.parameters["embedding.weight"])[tokens][:, None])
    ours = trace(network, tokens, backward=False, precision="float64").tensors["layer1.h"]
    assert oracle.furthest(ours, output[:, 0].detach().numpy()) <= 1e-12


def test_a_window_sees_as_far_as_it_is_wide_and_no_further():
    network = untrained(WIDE, 1, 7, LETTERS, dtype="float64")
    whole = trace(network, network.tokens(TEXT), backward=False, precision="float64").tensors["layer0.h"]
    other = trace(network, network.tokens("f" + TEXT[1:]), backward=False, precision="float64").tensors["layer0.h"]
    changed = (whole != other).any(axis=1).nonzero()[0]
    assert changed.tolist() == list(range(9))


def test_a_text_shorter_than_the_window_equals_autograd():
    network = untrained(WIDE, 2, 7, LETTERS, dtype="float64")
    tokens = network.tokens(TEXT[:3])
    ours = trace(network, tokens, precision="float64").tensors
    for name, theirs in oracle.read(network, tokens).items():
        assert oracle.furthest(ours[name], theirs) <= 1e-9, name


def test_the_choice_is_kept_in_the_file_and_said_in_the_description(tmp_path):
    path = tmp_path / "wide.safetensors"
    path.write_bytes(untrained(WIDE, 1, 7, LETTERS).to_bytes())
    back = Network.load(path)
    assert back.cell is WIDE and describe(back.cell)["chosen"] == {"window": 9}
    assert describe(back.cell)["states"] == ["h"]


def test_it_is_trained_as_chosen():
    network, _ = trained("abcd" * 200, cell="tdnn", options=(("window", 6),), epochs=1, **SMALL)
    assert "rnn.weight_x5h_l0" in network.parameters


def test_what_may_not_be_chosen_is_refused_with_what_may(tmp_path):
    with pytest.raises(ValueError, match="window must be 2 to 32"):
        cells()["tdnn"].with_options(("window", 99))
    with pytest.raises(ValueError, match="nonlinearity must be tanh or relu"):
        Recipe(cell="elman", options=(("nonlinearity", "sine"),))
    with pytest.raises(ValueError, match="gru has no option window"):
        Recipe(cell="gru", options=(("window", 9),))
    path = tmp_path / "wide.safetensors"
    path.write_bytes(untrained(WIDE, 1, 7, LETTERS).to_bytes().replace(b'{\\"window\\": 9}', b'{\\"window\\": 1}'))
    with pytest.raises(BadNetwork, match="window must be 2 to 32"):
        Network.load(path)
