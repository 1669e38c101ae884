"""Weights of other makers: PyTorch checkpoints, and Keras' two layouts against its equations written out by hand."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from models.convert import convert, read_vocabulary
from models.network import BadNetwork, Network
from models.trace import trace
from tests.foreign import CHARACTERS, KINDS, Theirs
from tests.oracle import furthest

TOKENS = [0, 3, 1, 4, 1, 5, 2]
V, E, H = 6, 4, 5
CLASSES = {"SimpleRNN": ("simple_rnn", 1), "GRU": ("gru", 3), "LSTM": ("lstm", 4)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrapped", [None, "state_dict", "checkpoint"])
def test_a_checkpoint_is_the_network_it_was(tmp_path, kind, wrapped):
    module, path = Theirs(kind, layers=2), tmp_path / "model.pt"
    optimizer = torch.optim.Adam(module.parameters())
    saved = {None: module.state_dict(), "state_dict": {"epoch": 3, "state_dict": module.state_dict()}}
    nested = {"model": {"net": module.state_dict()}, "optimizer": optimizer.state_dict(), "best": 1.5}
    torch.save(saved.get(wrapped, nested), path)
    network, said = convert(path, CHARACTERS, "Mine", kind if kind == "relu" else None)
    assert network.title == "Mine" and network.vocabulary == CHARACTERS and said["numbers"] == "float64"
    logits = trace(network, TOKENS, precision="float64").tensors["logits"]
    assert furthest(logits, module(torch.tensor(TOKENS))[1].detach().numpy()) <= 1e-9


def test_half_precision_is_widened(tmp_path):
    module = Theirs("gru").to(torch.bfloat16)
    torch.save(module.state_dict(), tmp_path / "half.pt")
    network, said = convert(tmp_path / "half.pt")
    assert said["numbers"] == "float32" and network.title == "half"
    weights = module.net["memory"]["rnn"].weight_hh_l0.float().detach().numpy()
    np.testing.assert_array_equal(network.parameters["rnn.weight_hh_l0"], weights)


class Trap:
    """What runs a program when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, (str(Path(os.environ["TRAP"])),)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda: Theirs("gru"), "model.state_dict()"),
        (lambda: {"state_dict": Theirs("gru").state_dict(), "trap": Trap()}, "could run a program"),
        (lambda: {"a": Theirs("gru").state_dict(), "b": Theirs("gru").state_dict()}, "found in: a, b"),
        (lambda: {"weight": torch.zeros(2, 2)}, "found in: nowhere"),
        (lambda: torch.zeros(3), "must hold one state_dict"),
        (lambda: Theirs("gru").state_dict() | {"steps": torch.tensor(3)}, "steps"),
        (lambda: Theirs("gru").state_dict() | {"norm.weight": torch.zeros(6)}, "norm.weight"),
    ],
)
def test_a_checkpoint_that_holds_more_is_refused(tmp_path, monkeypatch, content, said):
    monkeypatch.setenv("TRAP", str(tmp_path / "sprung"))
    torch.save(content(), tmp_path / "model.pt")
    with pytest.raises(BadNetwork) as caught:
        convert(tmp_path / "model.pt")
    assert said in str(caught.value)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 not a zip", pickle.dumps({"a": 1})[:9]])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(BadNetwork, match="model.pt"):
        convert(tmp_path / "model.pt")


# -- Keras ------------------------------------------------------------------------------------------------------------


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def by_hand(kind: str, inputs: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A recurrent layer as Keras defines it, gates in Keras' order: (N, I) → (N, H)."""
    h, c, outputs = np.zeros(H), np.zeros(H), []
    for x in inputs:
        if kind == "SimpleRNN":
            h = np.tanh(x @ kernel + h @ recurrent + bias)
        elif kind == "LSTM":
            i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            xz, xr, xh = np.split(x @ kernel + bias[0], 3)
            rz, rr, rh = np.split(h @ recurrent + bias[1], 3)
            z = sigmoid(xz + rz)
            h = z * h + (1 - z) * np.tanh(xh + sigmoid(xr + rr) * rh)
        outputs.append(h)
    return np.array(outputs)


def keras_layers(kind: str, layers: int, embedding: bool, bias: bool = True) -> dict[str, list[np.ndarray]]:
    """Random weights by the layer's name: kernel, recurrent kernel, bias, as Keras shapes them."""
    random = np.random.default_rng(layers)
    name, blocks = CLASSES[kind]
    found = {"embedding": [random.standard_normal((V, E))]} if embedding else {}
    for index in range(layers):
        inputs = H if index else E if embedding else V
        shapes = [(inputs, blocks * H), (H, blocks * H)]
        shapes += [(2, blocks * H) if kind == "GRU" else (blocks * H,)] if bias else []
        arrays = [random.standard_normal(shape) for shape in shapes]
        found[f"{name}_{index}" if index else name] = arrays
    return found | {"dense": [random.standard_normal((H, V)), random.standard_normal(V)][: 2 if bias else 1]}


def keras_3(path: Path, layers: dict[str, list[np.ndarray]]) -> Path:
    """The layout of Keras 3's `model.save_weights("….weights.h5")`, dropout's and the optimizer's entries included."""
    with h5py.File(path, "w") as file:
        for name, arrays in layers.items():
            cell = name.startswith(tuple(prefix for prefix, _ in CLASSES.values()))
            group = file.create_group(f"layers/{name}/{'cell/vars' if cell else 'vars'}")
            for index, array in enumerate(arrays):
                group[str(index)] = array
        file.create_group("layers/dropout/vars")
        file["layers/dropout/seed_generator/vars/0"] = np.zeros(2, "uint32")
        file["optimizer/vars/0"] = np.zeros((3, 3))
    return path


def keras_2(path: Path, layers: dict[str, list[np.ndarray]], root: str = "", config: dict | None = None) -> Path:
    """The layout of the older `model.save_weights("….h5")`, and of `model.save("….h5")` inside `model_weights`."""
    with h5py.File(path, "w") as file:
        if config:
            file.attrs["model_config"] = json.dumps(config)
        group = file.require_group(root) if root else file
        group.attrs["layer_names"] = np.array([*layers, "dropout"], "S")
        group.create_group("dropout").attrs["weight_names"] = np.zeros(0, "S1")
        for name, arrays in layers.items():
            words = ["kernel", "recurrent_kernel", "bias"] if "dense" not in name else ["kernel", "bias"]
            words = ["embeddings"] if "embedding" in name else words
            names = [f"{name}/cell/{word}:0" for word in words[: len(arrays)]]
            group.create_group(name).attrs["weight_names"] = np.array(names, "S")
            for place, array in zip(names, arrays, strict=True):
                group[name][place] = array
    return path


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("embedding", [True, False])
@pytest.mark.parametrize("layout", ["3", "2", "2 whole"])
def test_keras_weights_are_the_network_that_keras_defines(tmp_path, kind, layers, embedding, layout):
    theirs = keras_layers(kind, layers, embedding)
    if layout == "3":
        path = keras_3(tmp_path / "model.weights.h5", theirs)
    else:
        path = keras_2(tmp_path / "model.h5", theirs, "model_weights" if layout == "2 whole" else "")
    network, said = convert(path, [*"abcdef"])
    signal = theirs["embedding"][0][TOKENS] if embedding else np.eye(V)[TOKENS]
    for name, arrays in theirs.items():
        signal = by_hand(kind, signal, *arrays) if name.startswith(CLASSES[kind][0]) else signal
    logits = signal @ theirs["dense"][0] + theirs["dense"][1]
    ours = trace(network, TOKENS, precision="float64").tensors
    assert furthest(ours[f"layer{layers - 1}.h"], signal) <= 1e-9 and furthest(ours["logits"], logits) <= 1e-9
    one_bias = [f"rnn.bias_hh_l{layer}" for layer in range(layers)]
    assert said["absent"] == ([] if kind == "GRU" else one_bias)
    assert {f"grad.parameters.{name}" for name in network.parameters} <= set(ours)


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM"])
def test_keras_layers_without_biases(tmp_path, kind):
    path = keras_3(tmp_path / "model.weights.h5", keras_layers(kind, 1, True, bias=False))
    assert not convert(path)[1]["biases"]


def described(kind: str, **options: object) -> dict:
    return {"class_name": "Sequential", "config": {"layers": [{"class_name": kind, "config": options}]}}


def test_a_whole_keras_model_says_its_activations(tmp_path):
    layers = keras_layers("SimpleRNN", 1, True)
    path = keras_2(tmp_path / "m.h5", layers, "model_weights", described("SimpleRNN", activation="relu"))
    assert convert(path)[0].cell.chosen == {"nonlinearity": "relu"}
    for option in ({"activation": "elu"}, {"recurrent_activation": "hard_sigmoid"}, {"go_backwards": True}):
        config = described("LSTM", **({"activation": "tanh"} | option))
        path = keras_2(tmp_path / "m.h5", keras_layers("LSTM", 1, True), "model_weights", config)
        with pytest.raises(BadNetwork, match=f"{next(iter(option))} of LSTM must be"):
            convert(path)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"gru": [np.ones((E, 15)), np.ones((H, 15)), np.ones(15)]}, "reset_after=False"),
        ({"gru": [np.ones((E, 15)), np.ones((H, 15))]}, "reset_after=False"),
        ({"gru": [np.ones((E, 10)), np.ones((H, 10)), np.ones(10)]}, "must be"),
        ({"gru_1": [np.ones((H, 20)), np.ones((H, 20)), np.ones(20)]}, "gru_1/cell is not of the same kind"),
        ({"gru": [np.ones((E + 1, 15)), np.ones((H, 15)), np.ones((2, 15))]}, "gru/cell has shape"),
        ({"dense": [np.ones((H, 2)), np.ones(2)]}, "dense has shape"),
        ({"dense_1": [np.ones((V, V)), np.ones(V)]}, "cannot place layers/dense_1"),
        ({"batch_normalization": [np.ones(H)] * 4}, "cannot place layers/batch_normalization"),
        ({"lstm": [np.ones((H, 20)), np.ones((H, 20)), np.ones(20)]}, "comes first"),
        ({"gru": [np.full((E, 15), np.nan), np.ones((H, 15)), np.ones((2, 15))]}, "not finite"),
        ({"gru": None}, "no SimpleRNN, GRU or LSTM"),
    ],
)
def test_keras_layers_that_cannot_be_placed_are_named(tmp_path, changed, said):
    layers = {name: arrays for name, arrays in (keras_layers("GRU", 1, True) | changed).items() if arrays}
    with pytest.raises(BadNetwork) as caught:
        convert(keras_3(tmp_path / "model.weights.h5", layers))
    assert said in str(caught.value)


def test_both_ways_and_broken_files_are_refused(tmp_path):
    path = keras_3(tmp_path / "model.weights.h5", keras_layers("LSTM", 1, True))
    with h5py.File(path, "a") as file:
        file.move("layers/lstm", "layers/bidirectional/forward_layer")
    with pytest.raises(BadNetwork, match="bidirectional.*forward_layer"):
        convert(path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n broken")
    with pytest.raises(BadNetwork, match="not readable"):
        convert(path)


def test_a_vocabulary_is_a_list_or_numbers_by_text(tmp_path):
    path = tmp_path / "vocabulary.json"
    for value in (["b", "a", "é"], {"a": 1, "b": 0, "é": 2}):
        path.write_text(json.dumps(value))
        assert read_vocabulary(path) == ["b", "a", "é"]
    for value in ({"a": 1}, {"a": True, "b": 0}, {"a": "0"}, "ab", 3):
        path.write_text(json.dumps(value))
        with pytest.raises(BadNetwork, match="vocabulary.json must"):
            read_vocabulary(path)


def test_the_command_writes_what_the_service_reads(tmp_path):
    torch.save(Theirs("gru", bias=False).state_dict(), tmp_path / "model.pt")
    (tmp_path / "vocab.json").write_text(json.dumps({text: number for number, text in enumerate(CHARACTERS)}))
    gatescope = [str(Path(sys.executable).with_name("gatescope")), "convert", str(tmp_path / "model.pt")]
    done = subprocess.run(
        [*gatescope, "--vocabulary", str(tmp_path / "vocab.json"), "--title", "Mine"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "readout.weight (11, 6) from net.fc.weight" in done.stdout and "rnn.bias_ih_l0 is absent" in done.stdout
    network = Network.load(tmp_path / "model.safetensors")
    assert network.title == "Mine" and network.vocabulary == CHARACTERS
    wrong = subprocess.run([*gatescope, "--nonlinearity", "relu"], capture_output=True, text=True)
    assert wrong.returncode == 2 and "no option nonlinearity" in wrong.stderr and "Traceback" not in wrong.stderr
