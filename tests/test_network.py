"""A network and its file."""

import json

import numpy as np
import pytest
from safetensors.numpy import save

from gatescope.models.cells import cells
from gatescope.models.network.network import BadNetwork, Network, UnknownCharacters, untrained

NETWORK = untrained(cells()["peephole"], 2, 5, ["a", "b", "é", "\n"], 3, title="Four letters")


def stored(tmp_path, parameters=None, **facts) -> Network:
    path = tmp_path / "four.safetensors"
    metadata = {"cell": "peephole", "title": "x", "vocabulary": json.dumps(NETWORK.vocabulary), "card": "{}"} | facts
    path.write_bytes(save(NETWORK.parameters if parameters is None else parameters, metadata))
    return Network.load(path)


def test_a_network_comes_back_from_its_file_as_it_was(tmp_path):
    path = tmp_path / "four.safetensors"
    path.write_bytes(NETWORK.to_bytes())
    back = Network.load(path)
    assert back.describe() == NETWORK.describe() | {"id": "four"}
    assert back.vocabulary == NETWORK.vocabulary and back.title == "Four letters"
    assert all((back.parameters[name] == NETWORK.parameters[name]).all() for name in NETWORK.parameters)


def test_text_and_tokens_are_each_others_inverse():
    assert NETWORK.text(NETWORK.tokens("abé\n")) == "abé\n"


def test_characters_never_seen_are_named_once_each():
    with pytest.raises(UnknownCharacters, match=r"U\+007A, U\+0051") as caught:
        NETWORK.tokens("azbQz")
    assert caught.value.characters == ["z", "Q"]


def test_missing_misshapen_foreign_and_unfinite_parameters_are_named(tmp_path):
    good = NETWORK.parameters
    without = {name: array for name, array in good.items() if name != "rnn.weight_hh_l1"}
    with pytest.raises(BadNetwork, match="rnn.weight_hh_l1 is missing"):
        stored(tmp_path, without)
    with pytest.raises(BadNetwork, match="rnn.weight_hh_l1 must have shape"):
        stored(tmp_path, without | {"rnn.weight_hh_l1": np.zeros((2, 2), "float32")})
    with pytest.raises(BadNetwork, match="unexpected parameters: spare"):
        stored(tmp_path, good | {"spare": np.zeros(2, "float32")})
    with pytest.raises(BadNetwork, match="readout.bias holds values that are not finite"):
        stored(tmp_path, good | {"readout.bias": np.full(4, np.nan, "float32")})


def test_a_file_that_is_no_network_is_refused(tmp_path):
    path = tmp_path / "no.safetensors"
    path.write_bytes(b"\x80\x04 not one")
    with pytest.raises(BadNetwork, match="not a readable safetensors file"):
        Network.load(path)
    with pytest.raises(BadNetwork, match="names no known cell"):
        stored(tmp_path, cell="transformer")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"vocabulary": "5"}, "must be a list of characters"),
        ({"vocabulary": "[1"}, "is not JSON"),
        ({"vocabulary": '["a", "a", "b", "c"]'}, "twice"),
        ({"vocabulary": '["a", 1, "b", "c"]'}, "list of characters"),
        ({"vocabulary": '["a"]'}, "must have shape"),
        ({"card": "[]"}, "must be an object"),
    ],
)
def test_metadata_that_is_not_what_it_should_be_is_refused(tmp_path, facts, said):
    with pytest.raises(BadNetwork, match=said):
        stored(tmp_path, **facts)


def test_a_readout_that_is_no_matrix_is_refused(tmp_path):
    flat = NETWORK.parameters | {"readout.weight": np.zeros(5, "float32")}
    with pytest.raises(BadNetwork, match="readout.weight must be a matrix"):
        stored(tmp_path, flat)
