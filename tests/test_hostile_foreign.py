"""Checkpoints and HDF5 files made to hurt: one sentence each, nothing outside of them is read, no memory taken."""

import json
import os
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from gatescope.models.formats.convert import convert, read_vocabulary
from gatescope.models.network.network import BadNetwork
from gatescope.models.refused import SENTENCE_LENGTH
from tests.foreign import Theirs
from tests.test_keras import keras_2, keras_3, keras_layers

E, H = 4, 5


def refused(path: Path) -> str:
    began = time.monotonic()
    with pytest.raises(BadNetwork) as caught:
        convert(path)
    said = str(caught.value)
    assert len(said) <= SENTENCE_LENGTH + 1 and said.isprintable() and time.monotonic() - began < 20
    return said


def in_place_of_a_kernel(path: Path, put) -> Path:
    """A file of Keras' with something else in place of its LSTM's kernel."""
    keras_3(path, keras_layers("LSTM", 1, True))
    with h5py.File(path, "a") as file:
        group = file["layers/lstm/cell/vars"]
        del group["0"]
        put(group)
    return path


def outside(group: h5py.Group) -> None:
    secret = Path(group.file.filename).with_name("secret")
    secret.write_bytes(np.ones((E, 4 * H), "float32").tobytes())
    group.create_dataset("0", (E, 4 * H), "float32", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


def virtual(group: h5py.Group) -> None:
    layout = h5py.VirtualLayout((E, 4 * H), "float32")
    layout[:] = h5py.VirtualSource("other.h5", "data", (E, 4 * H))
    group.create_virtual_dataset("0", layout)


def external(group: h5py.Group) -> None:
    group["0"] = h5py.ExternalLink("other.h5", "/data")


def soft(group: h5py.Group) -> None:
    group["0"] = h5py.SoftLink("/layers/lstm/cell/vars/1")


def circle(group: h5py.Group) -> None:
    group.file["layers/circle"] = group.file["layers"]
    group.create_dataset("0", data=np.zeros((E, 4 * H)))


def deep(group: h5py.Group) -> None:
    group.file.create_group("/".join("a" * 60))
    group.create_dataset("0", data=np.zeros((E, 4 * H)))


def unwritten(group: h5py.Group) -> None:
    group.create_dataset("0", (10**6, 10**6), "float32", chunks=(1000, 1000))


def packed(group: h5py.Group) -> None:
    group.create_dataset("0", data=np.zeros((2000, 5000), "float32"), compression="gzip", chunks=(2000, 5000))


def texts(group: h5py.Group) -> None:
    group.create_dataset("0", data=["a"] * 4, dtype=h5py.string_dtype())


def objects(group: h5py.Group) -> None:
    group.create_dataset("0", (2,), h5py.ref_dtype)


def ragged(group: h5py.Group) -> None:
    group.create_dataset("0", (2,), h5py.vlen_dtype(np.float32))


HDF5 = {
    "external storage": (outside, "has its numbers in another file"),
    "virtual": (virtual, "has its numbers in another file"),
    "external link": (external, "0 is a link to elsewhere"),
    "soft link": (soft, "0 is a link to elsewhere"),
    "circle": (circle, "more than 16 deep"),
    "deep": (deep, "more than 16 deep"),
    "unwritten": (unwritten, "far more numbers than the file has room for"),
    "packed": (packed, "far more numbers than the file has room for"),
    "texts": (texts, "holds no weights but"),
    "objects": (objects, "holds no weights but"),
    "ragged": (ragged, "holds no weights but"),
    "group": (lambda group: group.create_group("0"), "is no array"),
    "nothing": (lambda group: group.create_dataset("0", data=h5py.Empty("f")), "holds no weights but"),
    "one number": (lambda group: group.create_dataset("0", data=1.0), "no SimpleRNN"),
    "whole": (lambda group: group.create_dataset("0", data=np.zeros((E, 4 * H), int)), "no weights but int64"),
    "long": (lambda group: group.create_dataset("0", data=np.zeros((E, 4 * H), "longdouble")), "no weights but"),
    "complex": (lambda group: group.create_dataset("0", data=np.zeros((E, 4 * H), complex)), "no weights but"),
    "huge": (lambda group: group.create_dataset("0", data=np.full((E, 4 * H), 1e300)), "not in single precision"),
    "odd": (lambda group: group.create_dataset("0", data=np.zeros((E, 7))), "equally many columns"),
    "empty": (lambda group: group.create_dataset("0", data=np.zeros((0, 4 * H))), "must have shape"),
    "missing": (lambda group: None, "not readable"),
}


@pytest.mark.parametrize("kind", HDF5)
def test_hdf5_is_numbers_in_the_file_itself_or_refused(tmp_path, kind):
    put, words = HDF5[kind]
    assert words in refused(in_place_of_a_kernel(tmp_path / "model.weights.h5", put))


def test_a_filter_that_a_library_would_be_looked_for_is_not_used(tmp_path):
    def put(group: h5py.Group) -> None:
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_chunk((E, 4 * H))
        made.set_filter(32_013, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((E, 4 * H))
        h5py.h5d.create(group.id, b"0", h5py.h5t.IEEE_F32LE, space, made)

    assert "is packed otherwise than by gzip" in refused(in_place_of_a_kernel(tmp_path / "model.weights.h5", put))


@pytest.mark.parametrize("dtype", [">f4", "<f2", ">f8"])
def test_other_ways_to_write_a_number_are_read(tmp_path, dtype):
    layers = {name: [array.astype(dtype) for array in arrays] for name, arrays in keras_layers("GRU", 1, True).items()}
    network, _ = convert(keras_3(tmp_path / "model.weights.h5", layers))
    assert all(array.dtype.str in ("<f4", "<f8") for array in network.parameters.values())
    np.testing.assert_array_equal(network.parameters["embedding.weight"], layers["embedding"][0])


@pytest.mark.parametrize(
    "config",
    [
        [],
        {"class_name": [], "config": 5},
        {"class_name": "LSTM", "config": []},
        {"class_name": "LSTM", "config": {"activation": {}}},
        {"class_name": "Bidirectional", "config": {}},
        {"class_name": "Bidirectional", "config": {"layer": 5}},
        json.loads('{"config":' * 400 + "{}" + "}" * 400),
    ],
    ids=range(7),
)
def test_any_description_of_a_model_is_read_or_refused(tmp_path, config):
    path = keras_2(tmp_path / "model.h5", keras_layers("LSTM", 1, True), "model_weights", {"a": config})
    try:
        convert(path)
    except BadNetwork as bad:
        assert str(bad).isprintable()


def test_names_of_layers_lead_nowhere_else(tmp_path):
    path = keras_2(tmp_path / "model.h5", keras_layers("LSTM", 1, True), "model_weights")
    with h5py.File(path, "a") as file:
        file["elsewhere"] = h5py.ExternalLink("other.h5", "/")
        file["model_weights"].attrs["layer_names"] = np.array(["../elsewhere", "lstm"], "S")
    assert "not readable" in refused(path)
    with h5py.File(path, "a") as file:
        file["model_weights/there"] = h5py.SoftLink("/elsewhere")
        file["model_weights"].attrs["layer_names"] = np.array(["there"], "S")
    assert "there is a link to elsewhere" in refused(path)
    with h5py.File(path, "a") as file:
        file["model_weights"].attrs["layer_names"] = 5
    assert "not readable" in refused(path)


def cycle() -> dict:
    inside: dict = {}
    inside["again"] = {"more": inside}
    return inside


def nested(depth: int) -> dict:
    return {"a": nested(depth - 1)} if depth else Theirs("gru").state_dict()


STATE = Theirs("gru").state_dict()
KERNEL = next(name for name in STATE if name.endswith("weight_hh_l0"))
TENSORS = {
    "meta": (STATE | {KERNEL: torch.zeros(18, 6, device="meta")}, "has no numbers (it is a meta tensor)"),
    "sparse": (STATE | {KERNEL: torch.zeros(18, 6).to_sparse()}, "is sparse"),
    "expanded": (STATE | {KERNEL: torch.zeros(1, 1).expand(10**6, 10**6)}, "repeats its numbers"),
    "expanded a little": (STATE | {KERNEL: torch.zeros(18, 1).expand(18, 6)}, "repeats its numbers"),
    "whole": (STATE | {KERNEL: torch.zeros(18, 6).int()}, "hold no weights but whole numbers"),
    "complex": (STATE | {KERNEL: torch.zeros(18, 6, dtype=torch.complex64)}, "hold no weights but whole numbers"),
    "infinite": (STATE | {KERNEL: torch.full((18, 6), torch.inf)}, "not finite"),
    "numbers as names": (STATE | {5: torch.zeros(2)}, "5 in model.pt cannot be the names"),
    "half a surrogate": (STATE | {"\ud800": torch.zeros(2)}, "cannot be the names"),
    "metadata": (STATE | {"__metadata__": torch.zeros(2)}, "cannot be the names"),
    "long names": (STATE | {"n" * 300: torch.zeros(2)}, "cannot be the names"),
    "a circle": (cycle(), "found in: nowhere"),
    "deep": (nested(60), "more than 32 deep"),
    "many": ({f"m{n}\n": dict(STATE) for n in range(40)}, r"found in: m0\n"),
    "wide": ({number: {} for number in range(30_000)}, "more than 20,000"),
    "list": ([STATE], "found in: nowhere"),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_a_checkpoint_is_usual_tensors_or_refused(tmp_path, kind):
    content, words = TENSORS[kind]
    torch.save(content, tmp_path / "model.pt")
    assert words in refused(tmp_path / "model.pt")


def test_shared_and_transposed_weights_are_usual(tmp_path):
    state = Theirs("gru").state_dict()
    torch.save(state | {KERNEL: state[KERNEL].T.contiguous().T}, tmp_path / "model.pt")
    network, _ = convert(tmp_path / "model.pt")
    np.testing.assert_array_equal(network.parameters["rnn.weight_hh_l0"], state[KERNEL])


def test_a_packed_checkpoint_may_not_grow(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.pt", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("archive/data.pkl", b"\0" * 50_000_000)
    assert "would unpack to 50,000,000 bytes" in refused(tmp_path / "model.pt")


@pytest.mark.parametrize("name", ["model.pt", "model.weights.h5"])
def test_what_is_no_file_is_not_waited_for(tmp_path, name):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / name)
    assert "no regular file" in refused(tmp_path / name) and "no regular file" in refused(tmp_path / "folder")
    with pytest.raises(BadNetwork, match="must be a file of at most"):
        read_vocabulary(tmp_path / name)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 200_000,
        b"{}x",
        b'{"a": 1e999}',
        b'{"a": true}',
        b"[1]",
        b"\xff",
        b'"a"',
        b"9" * 5000,
        b'{"a": null}',
        b"",
    ],
)
def test_a_vocabulary_that_is_none_is_refused(tmp_path, content):
    torch.save(STATE, tmp_path / "model.pt")
    (tmp_path / "v.json").write_bytes(content)
    with pytest.raises(BadNetwork):
        convert(tmp_path / "model.pt", read_vocabulary(tmp_path / "v.json"))


def test_the_command_says_one_line(gatescope, tmp_path):
    path = in_place_of_a_kernel(tmp_path / "model.weights.h5", outside)
    done = gatescope("convert", path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "in another file" in done.stderr
    assert not (tmp_path / "model.safetensors").exists()
