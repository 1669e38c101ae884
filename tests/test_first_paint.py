import asyncio
import json

import pytest

from gatescope.app.networks.catalog import Networks
from gatescope.app.networks.examples import TEXT
from gatescope.app.networks.inputs import IN_ADDRESSES
from gatescope.app.pages.first_paint import FirstPaint, Picture
from gatescope.models.cells import cells
from gatescope.models.inspection.price import Purse
from gatescope.models.inspection.trace import trace
from gatescope.models.network.network import Network, untrained
from gatescope.models.network.task import Task
from gatescope.models.refused import refusals_called

PURSE = Purse(2**30, 10**11)
GRU, WORDS = cells()["gru"], ["the", "wolf", "sleeps", "in", "a", "wood"]
KINDS = Task("values", "classes", "many-to-one", ("calm", "wave"))
ROWS = ((0.5, -1.0), (0.25, 2.0))


async def paint(picture: Picture) -> bytes:
    with refusals_called(IN_ADDRESSES):
        return b"".join(picture.task(lambda: True).pieces)


def light(data, limit=2000, **query):
    carried = asyncio.run(FirstPaint(Networks(data), query, limit, PURSE).content(paint))
    assert "<" not in carried
    return json.loads(carried)


def test_a_page_carries_the_networks_the_cells_and_the_example(data):
    carried = light(data)
    assert {"lstm", "gru", "elman", "peephole"} <= {cell["id"] for cell in carried["cells"]}
    assert all(model["vocabulary"] or model["channels"] for model in carried["models"])
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
        ({"unit": "4000"}, "“unit”: must be between 0 and"),
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


def opened(folder, network: Network, **query) -> dict:
    (folder / "mine.safetensors").write_bytes(network.to_bytes())
    return light(folder, model="mine", **query)


def test_a_network_of_words_opens_with_words(tmp_path):
    carried = opened(tmp_path, untrained(GRU, 1, 4, WORDS, task=Task("words")))
    assert carried["address"]["text"] == " ".join(WORDS) and "values" not in carried["address"]
    example = Task("words", example="a wolf sleeps")
    carried = opened(tmp_path, untrained(GRU, 1, 4, WORDS, task=example))
    assert carried["address"]["text"] == "a wolf sleeps" and carried["events"][0][1]["tokens"] == [4, 1, 2]
    assert len(carried["arithmetic"]["terms"]["z"][0]["values"]) == 3
    assert "never seen bear" in opened(tmp_path, untrained(GRU, 1, 4, WORDS, task=Task("words")), text="bear")["notice"]


@pytest.mark.parametrize("example", [(), ROWS, ((1.0,),), "text"])
def test_a_network_of_numbers_opens_with_its_example_or_with_waves(tmp_path, example):
    task = Task("values", "classes", "many-to-one", KINDS.labels, example=example)
    carried = opened(tmp_path, untrained(GRU, 1, 4, [], task=task, channels=2, outputs=2))
    values = [[float(number) for number in row.split(",")] for row in carried["address"]["values"].split(";")]
    assert values == carried["events"][0][1]["values"] and "text" not in carried["address"]
    assert values == [list(row) for row in ROWS] if example == ROWS else len(values) == 24
    assert carried["events"][-2][0] == "backward" and "notice" not in carried and "target" not in carried["address"]


def test_values_and_target_in_the_address_are_what_is_read(tmp_path):
    network = untrained(GRU, 1, 4, [], task=KINDS, channels=2, outputs=2)
    asked = {"values": "0.1,0.2;0.3,0.4", "target": "wave"}
    carried = opened(tmp_path, network, **asked)
    assert asked.items() <= carried["address"].items() and carried["events"][-1][1]["targets"] == [1]
    for wrong, field in [
        ({"values": "1"}, "values"),
        ({"text": "abc"}, "text"),
        (asked | {"target": "storm"}, "target"),
        (asked | {"target": "wave;calm"}, "target"),
    ]:
        notice = opened(tmp_path, network, **wrong)["notice"]
        assert f"wrong “{field}”" in notice


@pytest.mark.parametrize("reads", ["characters", "values"])
def test_what_goes_on_from_one_input_opens_with_one(tmp_path, reads):
    task = Task(reads, "values", "one-to-many", steps=7)
    read = {"vocabulary": [*"abT"]} if reads == "characters" else {"vocabulary": [], "channels": 300}
    carried = opened(tmp_path, untrained(GRU, 1, 4, task=task, outputs=2, **read))
    assert len(carried["events"][0][1]["tokens" if reads == "characters" else "values"]) == 7
    assert carried["events"][-1][0] == "end" and "notice" not in carried
    assert len(carried["arithmetic"]["terms"]["z"][0]["values"]) == 7


def test_layers_in_both_directions_are_chosen_one_by_one(tmp_path):
    network = untrained(cells()["lstm"], 1, 4, [*"To be"[:3]], directions=2)
    carried = opened(tmp_path, network, layer="1")
    assert carried["arithmetic"]["layer"] == 1 and "notice" not in carried
    assert "between 0 and 1" in opened(tmp_path, network, layer="2")["notice"]
