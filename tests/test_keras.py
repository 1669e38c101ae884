"""Keras' weights in its two layouts of a file, against its equations written out by hand."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from gatescope.models.formats.convert import convert
from gatescope.models.inspection.trace import trace
from gatescope.models.network.network import BadNetwork
from tests.oracle import furthest

TOKENS = [0, 3, 1, 4, 1, 5, 2]
V, E, H = 6, 4, 5
CLASSES = {"SimpleRNN": ("simple_rnn", 1), "GRU": ("gru", 3), "LSTM": ("lstm", 4)}


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
        elif bias.ndim == 1:  # reset_after=False
            xz, xr, xh = np.split(x @ kernel + bias, 3)
            uz, ur, uh = np.split(recurrent, 3, axis=1)
            z, r = sigmoid(xz + h @ uz), sigmoid(xr + h @ ur)
            h = z * h + (1 - z) * np.tanh(xh + (r * h) @ uh)
        else:
            xz, xr, xh = np.split(x @ kernel + bias[0], 3)
            rz, rr, rh = np.split(h @ recurrent + bias[1], 3)
            z = sigmoid(xz + rz)
            h = z * h + (1 - z) * np.tanh(xh + sigmoid(xr + rr) * rh)
        outputs.append(h)
    return np.array(outputs)


def keras_layers(
    kind: str, layers: int, embedding: bool, bias: bool = True, after: bool = True, both_ways: bool = False
) -> dict[str, list[np.ndarray]]:
    """Random weights by the layer's name: kernel, recurrent kernel, bias, as Keras shapes them; of a Bidirectional
    one those of both directions.
    """
    random = np.random.default_rng(layers)
    (name, blocks), ways = CLASSES[kind], 2 if both_ways else 1
    name = "bidirectional" if both_ways else name
    found = {"embedding": [random.standard_normal((V, E))]} if embedding else {}
    for index in range(layers):
        inputs = ways * H if index else E if embedding else V
        shapes = [(inputs, blocks * H), (H, blocks * H)]
        shapes += [(2, blocks * H) if kind == "GRU" and after else (blocks * H,)] if bias else []
        arrays = [random.standard_normal(shape) for shape in shapes * ways]
        found[f"{name}_{index}" if index else name] = arrays
    dense = [random.standard_normal((ways * H, V)), random.standard_normal(V)]
    return found | {"dense": dense[: 2 if bias else 1]}


def keras_3(path: Path, layers: dict[str, list[np.ndarray]]) -> Path:
    """The layout of Keras 3's `model.save_weights("….weights.h5")`, dropout's and the optimizer's entries included."""
    with h5py.File(path, "w") as file:
        for name, arrays in layers.items():
            cell = name.startswith(tuple(prefix for prefix, _ in CLASSES.values()))
            places = {"cell/vars" if cell else "vars": arrays}
            if name.startswith("bidirectional"):
                half = len(arrays) // 2
                ways = zip(("forward", "backward"), (arrays[:half], arrays[half:]), strict=True)
                places = {f"{way}_layer/cell/vars": mine for way, mine in ways}
            for place, mine in places.items():
                for index, array in enumerate(mine):
                    file[f"layers/{name}/{place}/{index}"] = array
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
            if name.startswith("bidirectional"):
                ways = [("forward", 1), ("backward", 2)]
                names = [f"{name}/{way}_rnn/rnn_cell_{cell}/{word}:0" for way, cell in ways for word in words]
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


@pytest.mark.parametrize("layout", ["3", "2"])
def test_a_keras_gru_with_the_reset_before_the_product(tmp_path, layout):
    theirs = keras_layers("GRU", 2, True, after=False)
    path = (keras_3 if layout == "3" else keras_2)(tmp_path / "model.weights.h5", theirs)
    network, said = convert(path)
    signal = theirs["embedding"][0][TOKENS]
    for name in ("gru", "gru_1"):
        signal = by_hand("GRU", signal, *theirs[name])
    ours = trace(network, TOKENS, precision="float64").tensors
    assert furthest(ours["layer1.h"], signal) <= 1e-9 and said["options"] == {"reset": "before"}
    assert set(said["absent"]) == {f"rnn.bias_{read}_l{layer}" for read in ("hh", "sh") for layer in (0, 1)}


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("layout", ["3", "2"])
def test_keras_layers_in_both_directions(tmp_path, kind, layers, layout):
    theirs = keras_layers(kind, layers, True, both_ways=True)
    network, said = convert((keras_3 if layout == "3" else keras_2)(tmp_path / "model.weights.h5", theirs))
    signal = theirs["embedding"][0][TOKENS]
    for layer in range(layers):
        arrays = theirs[f"bidirectional_{layer}" if layer else "bidirectional"]
        back = by_hand(kind, signal[::-1], *arrays[3:])[::-1]
        signal = np.concatenate([by_hand(kind, signal, *arrays[:3]), back], axis=1)
    ours = trace(network, TOKENS, precision="float64").tensors
    assert furthest(ours["logits"], signal @ theirs["dense"][0] + theirs["dense"][1]) <= 1e-9
    assert said["directions"] == 2 and furthest(ours[f"layer{layers - 1}_reverse.h"], back) <= 1e-9


def test_what_a_keras_network_gives_is_said_by_the_whole_model_or_by_hand(tmp_path):
    layers = keras_layers("LSTM", 1, True) | {"dense": [np.ones((H, 2)), np.ones(2)]}
    path = keras_3(tmp_path / "model.weights.h5", layers)
    assert convert(path)[0].task.pattern == "many-to-one"
    network, said = convert(path, pattern="many-to-many", labels='["good", "bad"]')
    assert network.task.labels == ("good", "bad") and said["form"]["pattern"] == "many-to-many"
    for every in (False, True):
        config = described("LSTM", activation="tanh", return_sequences=every)
        found = convert(keras_2(tmp_path / "m.h5", layers, "model_weights", config))[0].task
        assert (found.gives, found.pattern) == ("classes", "many-to-many" if every else "many-to-one")
    ends = keras_layers("LSTM", 1, True, both_ways=True) | {"dense": [np.ones((2 * H, 2)), np.ones(2)]}
    path = keras_3(tmp_path / "ends.weights.h5", ends)
    with pytest.raises(BadNetwork, match="joins the ends of both directions"):
        convert(path)
    assert convert(path, pattern="many-to-many")[1]["directions"] == 2


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
    for after in (True, False):  # without a bias only the description tells
        config = described("GRU", activation="tanh", reset_after=after)
        path = keras_2(tmp_path / "m.h5", keras_layers("GRU", 1, True, bias=False), "model_weights", config)
        assert convert(path)[0].cell.chosen == ({} if after else {"reset": "before"})
    summed = {"class_name": "Bidirectional", "config": {"merge_mode": "sum", "layer": {}}}
    path = keras_2(tmp_path / "m.h5", keras_layers("LSTM", 1, True, both_ways=True), "model_weights", summed)
    with pytest.raises(BadNetwork, match="merge_mode of Bidirectional must be concat"):
        convert(path)
    for option in ({"activation": "elu"}, {"recurrent_activation": "hard_sigmoid"}, {"go_backwards": True}):
        config = described("LSTM", **({"activation": "tanh"} | option))
        path = keras_2(tmp_path / "m.h5", keras_layers("LSTM", 1, True), "model_weights", config)
        with pytest.raises(BadNetwork, match=f"{next(iter(option))} of LSTM must be"):
            convert(path)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"gru": [np.ones((E, 15)), np.ones((H, 15))]}, "no bias, which would tell whether"),
        ({"gru_1": [np.ones((H, 15)), np.ones((H, 15)), np.ones(15)]}, "gru_1/cell is not of the same kind"),
        ({"gru": [np.ones((E, 10)), np.ones((H, 10)), np.ones(10)]}, "must be"),
        ({"gru_1": [np.ones((H, 20)), np.ones((H, 20)), np.ones(20)]}, "gru_1/cell is not of the same kind"),
        ({"gru": [np.ones((E + 1, 15)), np.ones((H, 15)), np.ones((2, 15))]}, "gru/cell must have shape"),
        ({"dense": [np.ones((H + 1, 2)), np.ones(2)]}, "dense must have shape (5, 2), not (6, 2)"),
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


def test_half_of_both_ways_and_broken_files_are_refused(tmp_path):
    path = keras_3(tmp_path / "model.weights.h5", keras_layers("LSTM", 1, True))
    with h5py.File(path, "a") as file:
        file.move("layers/lstm", "layers/bidirectional/forward_layer")
    with pytest.raises(BadNetwork, match="every layer in both.*forward_layer"):
        convert(path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n broken")
    with pytest.raises(BadNetwork, match="not readable"):
        convert(path)
