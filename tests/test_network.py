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


def test_blocks_that_a_file_stacks_in_another_order_are_put_right():
    network = untrained(cells()["lstm"], 2, 3, list("ab"), dtype="float64", seed=2)
    facts, shuffled = network.facts(), dict(network.parameters)
    order, other = ["i", "f", "g", "o"], ["o", "f", "i", "g"]
    assert json.loads(facts["blocks"]) == order
    for name, array in network.parameters.items():
        if name.startswith("rnn."):
            pieces = dict(zip(order, np.split(array, 4), strict=True))
            shuffled[name] = np.concatenate([pieces[block] for block in other])
    again = Network.of(shuffled, facts | {"blocks": json.dumps(other)}, "x", "the file")
    assert all((again.parameters[name] == array).all() for name, array in network.parameters.items())
    older = Network.of(network.parameters, {k: v for k, v in facts.items() if k != "blocks"}, "x", "the file")
    assert all((older.parameters[name] == array).all() for name, array in network.parameters.items())


@pytest.mark.parametrize("blocks", [["i", "f", "g"], ["i", "f", "g", "q"], ["i", "i", "f", "g", "o"]])
def test_blocks_that_are_not_the_cell_s_are_refused(blocks):
    network = untrained(cells()["lstm"], 1, 3, list("ab"))
    with pytest.raises(BadNetwork, match="stacks the blocks .*; those of lstm are i, f, g, o"):
        Network.of(network.parameters, network.facts() | {"blocks": json.dumps(blocks)}, "x", "the file")


def test_a_jordan_network_of_an_older_file_is_read_under_its_present_names():
    network = untrained(cells()["jordan"], 1, 3, list("ab"))
    assert not any("None" in name for name in network.parameters)
    older = {name.replace("_yh", "_Noneh"): array for name, array in network.parameters.items()}
    facts = {key: fact for key, fact in network.facts().items() if key != "blocks"}
    again = Network.of(older, facts, "x", "the file").parameters
    assert again.keys() == network.parameters.keys()
    assert (again["rnn.weight_yh_l0"] == network.parameters["rnn.weight_yh_l0"]).all()
