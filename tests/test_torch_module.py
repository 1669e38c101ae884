"""Weights of anybody's making: what is recognised, and what is refused with which names."""

import json
import struct

import numpy as np
import pytest
import torch
from safetensors.numpy import save
from safetensors.torch import save as save_tensors

from gatescope.models.cells import cells
from gatescope.models.formats.safetensors import HEADER_LIMIT
from gatescope.models.formats.torch_module import LARGEST, recognise
from gatescope.models.inspection.trace import trace
from gatescope.models.network.network import BadNetwork, Network, untrained
from tests.foreign import CHARACTERS, KINDS, Theirs

V, E, H = 5, 3, 4


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype("float32")


def lstm(inputs: int = E, hidden: int = H, prefix: str = "") -> dict[str, np.ndarray]:
    rows = 4 * hidden
    shapes = {
        "weight_ih_l0": (rows, inputs),
        "weight_hh_l0": (rows, hidden),
        "bias_ih_l0": (rows,),
        "bias_hh_l0": (rows,),
    }
    return {prefix + name: floats(*shape) for name, shape in shapes.items()}


WHOLE = lstm(prefix="lstm.") | {"emb.weight": floats(V, E), "fc.weight": floats(V, H), "fc.bias": floats(V)}


def refused(tensors: dict[str, np.ndarray], **facts: str) -> str:
    with pytest.raises(BadNetwork) as caught:
        recognise(save(tensors, facts))
    return str(caught.value)


def test_what_was_recognised_is_described():
    network, said = recognise(save(WHOLE, {"vocabulary": json.dumps([*"abcde"]), "title": "Five"}))
    assert (said["cell"], said["module"], said["layers"], said["hidden"]) == ("lstm", "torch.nn.LSTM", 1, H)
    assert (said["input"], said["embedding"], said["tokens"], said["vocabulary"]) == ("embedding", E, V, True)
    assert said["readout"] and said["biases"] and not said["tied"] and said["absent"] == []
    assert said["names"]["rnn.weight_ih_l0"] == "lstm.weight_ih_l0" and said["names"]["readout.bias"] == "fc.bias"
    assert network.title == "Five" and network.size == sum(array.size for array in WHOLE.values())
    np.testing.assert_array_equal(network.parameters["embedding.weight"], WHOLE["emb.weight"])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_absent_is_said_and_has_no_gradient(kind, tmp_path):
    network, said = recognise(Theirs(kind, layers=2, bias=False).saved())
    assert not said["biases"] and "rnn.bias_hh_l1" in said["absent"] and "readout.bias" in said["absent"]
    tensors = trace(network, network.tokens("abc")).tensors
    assert not [name for name in tensors if "bias" in name]
    assert network.describe()["parameters"] == sum(weights.numel() for weights in Theirs(kind, 2, False).parameters())
    path = tmp_path / "back.safetensors"
    path.write_bytes(network.to_bytes())
    again = Network.load(path)
    assert again.absent == network.absent and again.describe() == network.describe() | {"id": "back"}


def test_without_a_readout_there_is_a_forward_pass_only():
    network, said = recognise(Theirs("gru", readout=False).saved())
    assert not said["readout"] and network.output_kind == "states"
    found = trace(network, network.tokens("abc"), backward=True)
    assert found.tensors["loss"].shape == (0,) and found.tensors["logits"].shape == (3, 0)
    assert not [name for name in found.tensors if name.startswith(("grad.", "norm."))]
    assert found.metadata["loss"] is found.metadata["gradient_norm"] is found.metadata["bits_per_character"] is None


@pytest.mark.parametrize("cell", ["peephole", "jordan", "tdnn", "feedforward", "lstm"])
def test_files_of_this_product_come_back(cell):
    ours = untrained(cells()[cell], 2, H, [*"abc"], E, title="Ours")
    ours.card = {"validation_loss": "not a number"}
    network, said = recognise(ours.to_bytes())
    assert network.cell is ours.cell and network.title == "Ours" and said["cell"] == cell
    assert network.describe()["bits_per_character"] is None


def widths(dtype: str) -> tuple[bytes, np.ndarray]:
    """A file in a half precision, and its weight_hh_l0 widened."""
    tensors = {name: torch.tensor(array).to(getattr(torch, dtype)) for name, array in WHOLE.items()}
    return save_tensors(tensors), tensors["lstm.weight_hh_l0"].float().numpy()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_half_precisions_are_widened_and_double_is_kept(dtype):
    content, weights = widths(dtype)
    network, said = recognise(content)
    assert said["numbers"] == ("float64" if dtype == "float64" else "float32")
    np.testing.assert_array_equal(network.parameters["rnn.weight_hh_l0"], weights)


def test_one_hot_input_is_seen_by_its_width():
    network, said = recognise(save(lstm(inputs=V) | {"out.weight": floats(V, H)}))
    assert said["input"] == "one-hot" and said["embedding"] is None and network.vocabulary_size == V
    assert network.output_kind == "tokens" and network.vocabulary == []


def test_equal_shapes_are_told_apart_by_their_names():
    same = lstm(inputs=H)
    for embedding, readout in [("embed", "head"), ("encoder", "decoder"), ("decoder.embedding", "decoder.fc")]:
        matrices = {f"{readout}.weight": floats(V, H), f"{embedding}.weight": floats(V, H) + 1}
        _, said = recognise(save(same | matrices))
        assert said["names"]["embedding.weight"] == f"{embedding}.weight", said["names"]
    said = refused(same | {"a.weight": floats(V, H), "b.weight": floats(V, H)})
    assert "a.weight, b.weight" in said and "readout.weight" in said
    biased = same | {"a.weight": floats(V, H), "b.weight": floats(V, H), "b.bias": floats(V)}
    assert recognise(save(biased))[1]["names"]["readout.weight"] == "b.weight"
    assert "emb.fc.weight" in refused(same | {"emb.fc.weight": floats(V, H)})  # both by its name


def test_tied_weights_are_one_matrix_twice():
    tied = lstm(inputs=H) | {"emb.weight": floats(V, H)}
    assert recognise(save(tied | {"fc.weight": floats(V, H)}))[1]["tied"]
    network, said = recognise(save(tied, {"fc.weight": "emb.weight"}))  # as safetensors.torch.save_model writes it
    assert said["tied"] and network.predicts


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"lstm.weight_hh_l0": None}, ["weight_hh_l0", "lstm.weight_ih_l0"]),
        ({"lstm.bias_hh_l0": None}, ["bias_hh_l0", "missing"]),
        ({"lstm.weight_ih_l1": floats(4 * H, H)}, ["weight_hh_l1", "missing"]),
        ({"lstm.weight_ih_l5": floats(4 * H, H)}, ["weight_ih_l1", "missing"]),
        ({"lstm.bias_ih_l0": floats(4 * H + 1)}, ["lstm.bias_ih_l0", "(17,)", "(16,)"]),
        ({"lstm.weight_ih_l0": floats(3 * H, E)}, ["lstm.weight_ih_l0", "(16, 3)"]),
        ({"lstm.weight_ih_l0": floats(16)}, ["lstm.weight_ih_l0"]),
        ({"lstm.weight_hh_l0": floats(2 * H, H)}, ["lstm.weight_hh_l0", "(8, 4)", "torch.nn.GRU"]),
        ({"lstm.weight_hh_l0_reverse": floats(4 * H, H)}, ["weight_ih_l0_reverse is missing"]),
        (
            {f"lstm.weight_{read}_l0_reverse": floats(4 * H, size) for read, size in (("ih", E), ("hh", H))},
            ["fc.weight (5, 4)", "(outputs, 8)"],
        ),
        (
            {f"lstm.weight_{read}_l0_reverse": floats(4 * H, size) for read, size in (("ih", E), ("hh", H))}
            | {"fc.weight": floats(V, 2 * H)},
            ["bias_ih_l0_reverse", "missing"],
        ),
        ({"lstm.weight_hr_l0": floats(2, H)}, ["lstm.weight_hr_l0 (P, H)", "lstm.weight_hh_l0", "(16, 4)"]),
        ({"lstm.weight_hr_l0": floats(H, 3)}, ["lstm.weight_hr_l0 (P, H)", "4·H for torch.nn.LSTM"]),
        ({"lstm.weight_hr_l1": floats(2, H)}, ["lstm.weight_hr_l1 does not belong"]),
        ({"other.weight_hh_l0": floats(4 * H, H)}, ["one recurrent module", "other.weight_hh_l0"]),
        ({"fc.weight": floats(2, H + 1), "fc.bias": floats(2)}, ["fc.weight (2, 5)", "fc.bias"]),
        ({"fc.bias": floats(3)}, ["fc.bias (3,)"]),
        ({"norm.weight": floats(H)}, ["norm.weight (4,)"]),
        ({"fc2.weight": floats(V, V)}, ["fc2.weight (5, 5)"]),
        ({"lstm.bias_hh_l0": np.full(4 * H, np.nan, "float32")}, ["lstm.bias_hh_l0", "not finite"]),
        ({"fc.bias": np.full(V, 1e300)}, ["fc.bias", "single precision"]),
        ({"fc.bias": np.zeros(V, "int32")}, ["fc.bias", "F16"]),
        ({"emb.weight": floats(0, E), "fc.weight": floats(0, H), "fc.bias": floats(0)}, ["one token"]),
        (
            {"emb.weight": floats(70_000, E), "fc.weight": None, "fc.bias": None},
            ["70,000", f"{LARGEST['vocabulary_size']:,}"],
        ),
        (dict.fromkeys(n for n in WHOLE if n.startswith("lstm.")), ["nn.LSTM", "emb.weight"]),
    ],
)
def test_what_cannot_be_placed_is_named(changed, names):
    said = refused({name: array for name, array in (WHOLE | changed).items() if array is not None})
    assert [name for name in names if name not in said] == [], said


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"vocabulary": '["a", "b"]'}, "the vocabulary has 2 entries, and emb.weight is made for 5"),
        ({"vocabulary": '["a", "b", "c", "d", "a"]'}, "twice"),
        ({"vocabulary": '["a", "b", "c", "d", 5]'}, "list of characters"),
        ({"vocabulary": '["a", "b", "c", "d", ""]'}, "list of characters"),
        ({"vocabulary": r'["a", "b", "c", "d", "\ud800"]'}, "the vocabulary in the file is not JSON"),
        ({"vocabulary": "[" * 100_000}, "the vocabulary in the file is not JSON"),
        ({"vocabulary": "{}"}, "must be a list of characters"),
        ({"nonlinearity": "relu"}, "no option nonlinearity"),
        ({"reads": "sounds"}, "reads: must be one of characters, words, values"),
        ({"reads": "values"}, "reads numbers has no embedding"),
        ({"gives": "next", "pattern": "many-to-one"}, "pattern: what predicts the next input does so at every step"),
        ({"pattern": "some-to-one"}, "pattern: must be one of"),
        ({"gives": "classes", "labels": '["a", "b"]'}, "there are 2 labels for 5 outputs"),
        ({"labels": r'["a", "b", "c", "d", "\ud800"]'}, "the labels in the file is not JSON"),
        ({"labels": '["a", "b", "c", "d", ""]'}, "labels: must be names of 1 to 200 characters"),
        ({"labels": '["a", "b", "c", "d", 5]'}, "the labels in the file must be a list of names"),
        ({"labels": "a, b"}, "the labels in the file is not JSON"),
        ({"steps": '"many"', "pattern": "one-to-many"}, "the steps in the file must be a whole number"),
        ({"steps": "0", "pattern": "one-to-many"}, "steps: must be between 1 and 10000"),
        ({"example": '"abc"'}, "the example in the file cannot be read"),
        ({"example": "[[1, 2]]"}, "the example in the file must be a text of characters"),
        ({"example": '{"a": 1}'}, "the example in the file must be a text, or a list with the numbers of each step"),
        ({"cell": "transformer"}, "names no known cell"),
        ({"cell": "lstm"}, "rnn.weight_ih_l0 is missing"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(facts, said):
    tensors = WHOLE if "cell" not in facts else {name: WHOLE[name] for name in lstm(prefix="lstm.")}
    tensors = tensors | ({"readout.weight": floats(V, H)} if "cell" in facts else {})
    assert said in refused(tensors, **facts)


def test_relu_must_be_relu_or_tanh():
    with pytest.raises(BadNetwork, match="nonlinearity must be tanh or relu"):
        recognise(Theirs("relu").saved(nonlinearity="gelu"))


def numbers(**facts: str) -> dict:
    """The form of a network that is given three numbers a step and has two outputs."""
    tensors = lstm() | {"head.weight": floats(2, H), "head.bias": floats(2)}
    return recognise(save(tensors, facts))[1]["form"]


def test_what_it_reads_and_gives_is_guessed_from_its_sizes_unless_it_is_said():
    assert {"reads": "values", "gives": "classes", "pattern": "many-to-one"}.items() <= numbers().items()
    assert {"reads": "characters", "gives": "next"}.items() <= recognise(save(WHOLE))[1]["form"].items()
    classifier = WHOLE | {"fc.weight": floats(2, H), "fc.bias": floats(2)}
    network, said = recognise(save(classifier, {"labels": '["good", "bad"]'}))
    assert network.task.labels == ("good", "bad") and network.output_kind == "classes" and said["outputs"] == 2
    assert {"reads": "characters", "gives": "classes", "pattern": "many-to-one"}.items() <= said["form"].items()
    one = recognise(save(lstm() | {"head.weight": floats(1, H)}))[1]["form"]
    assert (one["reads"], one["gives"]) == ("values", "values")
    words = recognise(save(WHOLE, {"vocabulary": '["the", "wolf", "sleeps", "in", "a"]'}))[0]
    assert words.task.reads == "words" and words.tokens("a wolf sleeps") == [4, 1, 2]
    same = {"reads": "values", "gives": "values", "pattern": "many-to-many", "labels": '["x", "y"]'}
    assert same.items() <= (numbers(**same) | {"labels": '["x", "y"]'}).items()
    assert numbers(gives="values", pattern="one-to-many", steps="7", example="[[1, 2, 3]]")["steps"] == 7
    assert recognise(save(lstm(inputs=V) | {"out.weight": floats(V, H)}, {"reads": "values"}))[0].task.is_regression


def test_a_network_without_a_readout_gives_nothing():
    tensors = {name: array for name, array in WHOLE.items() if "fc" not in name}
    assert "no readout" in refused(tensors, labels='["a"]') and "no readout" in refused(tensors, gives="classes")
    assert recognise(save(lstm(), {"reads": "values"}))[0].channels == E


def raw(header: dict | bytes, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(first: int, last: int, shape: list = (2,), dtype: str = "F32") -> dict:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [first, last]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "too short"),
        (raw({}), "no tensors"),
        (b"\x80\x04N.", "a pickle"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "gatescope convert model.pt"),
        (b"\x80\x04\x95\x0a\x00\x00\x00\x00\x00\x00\x00", "gatescope convert model.pt"),
        (b"PK\x03\x04\x00\x00\x08\x08\x00\x00", "gatescope convert model.pt"),
        (b"\x89HDF\r\n\x1a\n\x00", "gatescope convert model.weights.h5"),
        (struct.pack("<Q", 100 * 2**20) + b"{", f"at most {HEADER_LIMIT:,}"),
        (struct.pack("<Q", 2**64 - 1) + b"{", "too long"),
        (struct.pack("<Q", 1000) + b"{}", "ends within its header"),
        (raw(b"[1]"), "not a JSON object"),
        (raw(b"{" * 200), "not JSON"),
        (raw(b"[" * 200_000), "not JSON"),
        (raw(b'{"a": \xff}'), "not JSON"),
        (raw(b'{"a": 1, "a": 2}'), "names 'a' twice"),
        (raw({"a": entry(0, 8), "b": entry(4, 12)}, b"\0" * 12), "invalid offset for tensor `b`"),
        (raw({"a": entry(0, 8), "b": entry(12, 20)}, b"\0" * 20), "invalid offset for tensor `b`"),
        (raw({"a": entry(0, 8), "b": entry(8, 16)}, b"\0" * 8), "file not fully covered"),
        (raw({"a": entry(0, 8)}, b"\0" * 9), "file not fully covered"),
        (raw({"a": entry(0, 4)}, b"\0" * 4), "invalid shape, data type, or offset"),
        (raw({"a": entry(8, 0)}, b"\0" * 8), "invalid offset for tensor `a`"),
        (raw({"a": entry(0, 8, [-2])}, b"\0" * 8), "no whole numbers"),
        (raw({"a": entry(0, 8, [2.0])}, b"\0" * 8), "no whole numbers"),
        (raw({"a": entry(0, 8, [True, 2])}, b"\0" * 8), "no whole numbers"),
        (raw({"a": entry(0, 8, [2**62, 2**62])}, b"\0" * 8), "does not fit"),
        (raw({"a": entry(0, 8) | {"more": 1}}, b"\0" * 8), "must have dtype, shape and data_offsets"),
        (raw({"a": entry(0, 8, dtype="I32")}, b"\0" * 8), "the tensor a must hold weights"),
        (raw({"a": entry(0, 8, dtype=[])}, b"\0" * 8), "the tensor a must hold weights"),
        (raw({"\ud800": entry(0, 8)}, b"\0" * 8), "printable"),
        (raw({"__metadata__": {"title": 1}}), "metadata"),
        (raw({"__metadata__": {"title": "\ud800"}}), "metadata"),
        (raw({"__metadata__": []}), "metadata"),
    ],
)
def test_a_file_is_refused_before_it_is_believed(content, said):
    with pytest.raises(BadNetwork) as caught:
        recognise(content)
    assert said in str(caught.value)


def test_a_vocabulary_may_name_what_no_text_holds():
    network, _ = recognise(Theirs("lstm").saved())
    assert network.vocabulary == CHARACTERS and network.tokens("é") == [CHARACTERS.index("é")]
