"""Files of weights made to hurt: whatever they hold, they are refused in words at once, and in little memory."""

import gc
import json
import struct
import time
import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import save

from gatescope.models.cells import cells
from gatescope.models.formats.safetensors import HEADER_LIMIT, MOST_TENSORS, import_price
from gatescope.models.formats.torch_module import recognise
from gatescope.models.graph.cell import _CHOSEN, _GRAPHS
from gatescope.models.network.network import BadNetwork, Network, untrained
from gatescope.models.network.task import Task
from gatescope.models.refused import SENTENCE_LENGTH, Refused

FAR = 10.0  # seconds, some hundred times what it takes


def raw(header: dict | bytes, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(shape: list, last: int = 0) -> dict:
    return {"dtype": "F32", "shape": shape, "data_offsets": [0, last]}


def rnn(inputs: int = 4, prefix: str = "rnn.", outputs: int | None = None) -> dict[str, np.ndarray]:
    shapes = {"weight_ih_l0": (4, inputs), "weight_hh_l0": (4, 4), "bias_ih_l0": (4,), "bias_hh_l0": (4,)}
    found = {prefix + name: np.zeros(shape, "float32") for name, shape in shapes.items()}
    return found | ({} if outputs is None else {"readout.weight": np.zeros((outputs, 4), "float32")})


def bounded(content: bytes) -> tuple[Network | None, str]:
    """The network in a file, or what it is refused with; neither takes long nor more memory than its price."""
    tracemalloc.start()
    began = time.monotonic()
    network, said = None, ""
    try:
        network, _ = recognise(content)
        network.to_bytes()
    except BadNetwork as bad:
        said = str(bad)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.monotonic() - began < FAR
    assert peak <= import_price(len(content)) + 2**20
    assert len(said) <= SENTENCE_LENGTH + 1 and said.isprintable()
    return network, said


EMPTY = np.zeros((0, 4), "float32")
MANY = {
    "duplicates": (lambda: raw(b"{" + b",".join(b'"a%d":1' % (i % 99_999) for i in range(100_000)) + b"}"), "twice"),
    "one name": (lambda: raw(b"{" + b",".join([b'"a":1'] * 200_000) + b"}"), "'a' twice"),
    "tensors": (lambda: raw({f"a{i}": entry([0]) for i in range(50_000)}), f"more than {MOST_TENSORS:,}"),
    "escaped": (
        lambda: raw(json.dumps({f"a{i}": entry([0]) for i in range(5_000)}).replace("data_", r"data\u005f").encode()),
        f"more than {MOST_TENSORS:,}",
    ),
    "facts": (lambda: raw({"__metadata__": {f"{i}": "" for i in range(200_000)}}), f"more than {MOST_TENSORS:,}"),
    "matrices": (lambda: save(rnn() | {f"m{i}": EMPTY for i in range(4_000)}), "cannot place m0"),
    "vectors": (lambda: save(rnn() | {f"m{i}": EMPTY[:, 0] for i in range(4_000)}), "cannot place m0"),
    "modules": (lambda: save({f"m{i}.weight_hh_l0": EMPTY for i in range(4_000)}), "there are 4000"),
    "layers": (lambda: save(rnn() | {f"rnn.weight_ih_l{i}": EMPTY for i in range(1, 4_000)}), "missing beside"),
    "own layers": (
        lambda: save(rnn(outputs=4) | {f"rnn.weight_ih_l{i}": EMPTY for i in range(1, 4_000)}, {"cell": "elman"}),
        "must have shape",
    ),
    "long names": (lambda: save(rnn() | {"n" * 190 + str(i): EMPTY for i in range(4_000)}), "cannot place nnn"),
    "shared names": (lambda: save(rnn(), {f"{i}": "rnn.bias_ih_l0" for i in range(4_000)}), "cannot place"),
    "objects": (lambda: raw(b'{"a":' * 800_000), "not JSON"),
    "lists": (lambda: raw(b'{"a":' + b"[" * 4_000_000), "not JSON"),
    "digits": (lambda: raw(b'{"a":' + b"9" * 4_000_000 + b"}"), "not JSON"),
    "blocks": (lambda: save(rnn(outputs=4), {"cell": "elman", "blocks": json.dumps(["a"] * 400_000)}), "list of names"),
    "absent": (lambda: save(rnn(outputs=4), {"cell": "elman", "absent": json.dumps(["a"] * 400_000)}), "list of names"),
    "words": (lambda: save(rnn(), {"vocabulary": json.dumps([*map(str, range(300_000))])}), "at most 65,536"),
    "labels": (lambda: save(rnn(), {"labels": json.dumps([*map(str, range(300_000))])}), "at most 65,536"),
    "steps": (lambda: save(rnn(), {"example": json.dumps([[1]] * 500_000)}), "more than 524,288 characters"),
    "deep": (
        lambda: save(rnn(outputs=4), {"cell": "elman", "form": '{"a":' * 400_000}),
        "the form in the file is not JSON",
    ),
    "form": (lambda: save(rnn(outputs=4), {"cell": "elman", "form": " " * 3_000_000}), "more than 2,097,152"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", MANY)
def test_of_whatever_there_are_too_many_the_file_is_refused_at_once(kind):
    make, words = MANY[kind]
    content = make()
    network, said = bounded(content)
    assert network is None and words in said and len(content) < HEADER_LIMIT + 2**20


@pytest.mark.parametrize(
    ("shape", "last", "words"),
    [
        ([1] * 65, 4, "8 axes"),
        ([1] * 300_000, 4, "8 axes"),
        ([0, 2**62], 0, "does not fit any file"),
        ([0, 2**63], 0, "does not fit any file"),
        ([0, 2**31, 2**31, 2**31], 0, "does not fit any file"),
        ([2**40, 2**40], 0, "does not fit any file"),
        ([10**400], 4, "does not fit any file"),
        ([2**30], 4, "invalid shape, data type, or offset"),
        ({}, 4, "is no list"),
        ([[1]], 4, "no whole numbers"),
        (["1"], 4, "no whole numbers"),
        ([None], 4, "no whole numbers"),
    ],
)
def test_a_shape_that_no_array_can_have_is_refused(shape, last, words):
    assert words in bounded(raw({"a": entry(shape, last)}, b"\0" * last))[1]


@pytest.mark.parametrize(
    "facts",
    [
        {"pattern": "one-to-many", "steps": "10000", "example": "[[1, 2, 3, 4]]"},
        {"pattern": "many-to-many", "example": json.dumps([[1, 2, 3, 4]] * 2000)},
        {"pattern": "many-to-one", "example": json.dumps([[1, 2, 3, 4]] * 2000)},
    ],
)
def test_a_wide_network_with_a_long_example_costs_no_more_to_know_than_its_file(facts):
    """Its rows as a reading has them would take 5 GB."""
    content = save(rnn(outputs=65_536), {"reads": "values", "gives": "values"} | facts)
    network, _ = bounded(content)
    assert network.outputs == 65_536 and network.task.pattern == facts["pattern"]


def test_a_network_of_many_tokens_and_units_costs_no_more_to_know_than_its_file():
    """As a table of what each token gives to each gate it would take 4 GB."""
    hidden, tokens = 4096, 65_536
    shapes = {
        "emb.weight": (tokens, 1),
        "rnn.weight_ih_l0": (4 * hidden, 1),
        "rnn.weight_hh_l0": (4 * hidden, 1),
        "rnn.weight_hr_l0": (1, hidden),
        "fc.weight": (tokens, 1),
    }
    network, _ = bounded(save({name: np.zeros(shape, "float32") for name, shape in shapes.items()}))
    assert network.details()["vocabulary_size"] == tokens


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_price_of_taking_a_file_apart_holds(dtype):
    tensors = rnn() | {"readout.weight": np.zeros((60_000, 4))} | {"embedding.weight": np.zeros((60_000, 4))}
    assert bounded(save({name: array.astype(dtype) for name, array in tensors.items()}))[0] is not None


@pytest.mark.parametrize(
    "name", ["\u202egnp.exe", "a\nb", "\x1b[31m", "\u2028", "\ufeff", "n" * 201, "", "\u200f", "\u2066", "\x00"]
)
def test_a_name_that_does_not_show_is_refused_and_escaped(name):
    said = bounded(save(rnn() | {name: EMPTY}))[1]
    assert "printable" in said


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"card": '{"validation_loss": true}'}, "must have a number as its validation_loss"),
        ({"card": '{"validation_loss": "1"}'}, "must have a number"),
        ({"card": f'{{"validation_loss": {"9" * 400}}}'}, "holds what no answer can"),
        ({"card": f'{{"a": [{"9" * 30}]}}'}, "holds what no answer can"),
        ({"card": '{"a":' * 190 + "1" + "}" * 190}, ""),
        ({"card": '{"a":' * 5000}, "not JSON"),
        ({"options": '{"nonlinearity": 1}'}, "nonlinearity must be tanh or relu"),
        ({"options": f'{{"nonlinearity": {"9" * 400}}}'}, "nonlinearity must be tanh or relu"),
        ({"options": json.dumps({"\u202e" * 150: 1})}, r"has no option \u202e"),
        ({"options": json.dumps({str(i): i for i in range(9999)})}, "more than 4,096 characters"),
        ({"vocabulary": json.dumps(["a" * 201, "b", "c", "d"])}, "at most 200 characters each"),
        ({"blocks": '["h", "h"]'}, "stacks the blocks h, h"),
        ({"blocks": json.dumps(["\n" * 150] * 3000)}, r"stacks the blocks \n"),
        ({"absent": '["rnn.bias_hh_l0", "rnn.bias_hh_l0"]'}, "cannot be without"),
        ({"absent": '["rnn.weight_hh_l0"]'}, "cannot be without"),
        ({"form": '{"steps": true}'}, "must be an object of reads"),
        ({"form": '{"steps": 99999}'}, "steps: must be between 1 and 10000"),
        ({"form": f'{{"steps": {"9" * 400}}}'}, "steps: must be between 1 and 10000"),
        ({"form": '{"labels": ["a", "a"]}'}, "labels: hold a name twice"),
        ({"form": '{"example": [[1]]}'}, ""),
        ({"title": "\ud7ff\u202e" * 500}, ""),
    ],
)
def test_what_a_file_says_of_itself_is_strict_and_short(facts, words, tmp_path):
    """Read from the data directory as well as brought."""
    content = save(rnn(outputs=4), {"cell": "elman", "absent": '["readout.bias"]'} | facts)
    (tmp_path / "a.safetensors").write_bytes(content)
    if words:
        with pytest.raises(BadNetwork) as caught:
            Network.load(tmp_path / "a.safetensors")
        said = str(caught.value)
        assert words in said and len(said) <= SENTENCE_LENGTH + 1 and said.isprintable()
    elif "example" not in str(facts):
        network = Network.load(tmp_path / "a.safetensors")
        assert len(network.title) <= 200 and json.dumps(network.describe())
    network, said = bounded(content)
    assert (network is None) == (bool(words) and "card" not in facts or "example" in str(facts)), said


def test_a_number_that_equals_an_option_is_none_and_poisons_nothing():
    lstm = cells()["lstm"]
    for value in (5.0, True, np.int64(5)):
        with pytest.raises(ValueError, match="projection must be"):
            lstm.with_options(("projection", value))
    assert type(lstm.with_options(("projection", 5)).chosen["projection"]) is int
    assert (five := lstm.with_options(("projection", 5))) is lstm.with_options(("projection", 5)), five


def test_what_strangers_choose_of_a_cell_is_forgotten_with_their_networks():
    gc.collect()
    before = len(_CHOSEN), len(_GRAPHS)
    for size in range(1, 60):
        network = untrained(cells()["lstm"].with_options(("projection", size)), 1, 2, ["a"])
        network.describe()
    assert len(_CHOSEN) > before[0]
    del network
    gc.collect()
    assert (len(_CHOSEN), len(_GRAPHS)) <= before


def test_a_sentence_about_many_names_is_short():
    refused = Refused("text", "\u202e" * 10**6)
    assert len(str(refused)) < 7 * SENTENCE_LENGTH and str(refused).isprintable()
    with pytest.raises(Refused) as caught:
        untrained(cells()["gru"], 1, 2, ["a"], task=Task("words")).tokens(" ".join(f"w{i}" for i in range(10**5)))
    assert "and 99,990 more" in str(caught.value)
