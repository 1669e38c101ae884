import json

import pytest

from app.first_light import TEXT, first_light
from app.networks import Networks
from models.trace import trace


def light(data, limit=2000, **query):
    carried = first_light(Networks(data), query, limit)
    assert "<" not in carried
    return json.loads(carried)


def test_a_page_carries_the_networks_the_cells_and_the_example(data):
    carried = light(data)
    assert {"lstm", "gru", "elman", "peephole"} <= {cell["id"] for cell in carried["cells"]}
    assert all(model["vocabulary"] for model in carried["models"])
    assert carried["address"]["text"] == TEXT
    names = [name for name, _ in carried["events"]]
    assert names[0] == "begin" and "backward" in names and names[-1] == "end"
    assert len(carried["arithmetic"]["terms"]) > 0 and "notice" not in carried


def test_the_address_chooses(data):
    asked = {"model": "small-gru", "text": "<script>", "loss": "last", "layer": "1", "unit": "7"}
    carried = light(data, **asked, view="x", t="3")
    assert carried["address"] == asked | {"layer": 1, "unit": 7}
    assert carried["events"][0][1]["model"] == "small-gru"
    assert (carried["arithmetic"]["layer"], carried["arithmetic"]["unit"]) == (1, 7)
    assert isinstance(carried["arithmetic"]["terms"]["z"][0]["values"], list)


def test_a_network_that_lacks_characters_of_the_example_reads_the_rest(data):
    text = light(data, model="small-gru")["address"]["text"]
    assert text == TEXT


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"model": "none"}, "“model”: must be one of"),
        ({"text": ""}, "“text”: must have 1 to 2,000 characters"),
        ({"text": "a" * 2001}, "“text”: must have 1 to 2,000 characters"),
        ({"text": "\u2603"}, "☃ (U+2603)"),
        ({"loss": "none"}, "'every' or 'last'"),
        ({"unit": "4000"}, "“unit”: must be 0 to"),
        ({"layer": "x"}, "“layer”: "),
    ],
)
def test_a_wrong_address_gives_the_example_and_says_so(data, query, said):
    carried = light(data, **query)
    assert said in carried["notice"]
    assert carried["address"]["text"] == TEXT and carried["events"][-1][0] == "end"


def test_without_a_unit_in_the_address_the_liveliest_is_shown(data):
    network = Networks(data).get("small-lstm")
    gate = trace(network, network.tokens(TEXT), backward=False).tensors["layer1.f"]
    assert light(data, model="small-lstm", layer="1")["address"]["unit"] == gate.std(axis=0).argmax()
