"""Whatever a file of weights holds, a network or one sentence comes of it; time and memory follow its length."""

import json
import struct
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from gatescope.app.networks.catalog import Networks
from gatescope.models.cells import cells
from gatescope.models.formats.convert import convert, read_vocabulary
from gatescope.models.formats.torch_module import recognise
from gatescope.models.network.metadata import Metadata
from gatescope.models.network.network import BadNetwork, Network, untrained
from gatescope.models.pretrained import shipped
from tests.searched import CHARACTERS, JSON, LEAVES, TEXTS, WHOLE, bounded, is_sentence, searched

OWN = untrained(cells()["lstm"], 1, 2, [*"abc"], 2).to_bytes()
PARTS = [
    "rnn",
    "lstm.",
    "a.b.",
    "emb",
    "fc",
    "weight",
    "bias",
    "_ih",
    "_hh",
    "_hr",
    "_l0",
    "_l1",
    "_reverse",
    ".weight",
    ".bias",
]
NAMES = st.one_of(st.lists(st.sampled_from(PARTS), min_size=1, max_size=6).map("".join), TEXTS)
SIZES = st.sampled_from([0, 1, 2, 3, 4, 6, 8, 12, 16])
KEYS = st.one_of(st.sampled_from([*Metadata.model_fields, "progress", "rnn.weight_ih_l0"]), TEXTS)


def written(value: object) -> str:
    """A value as a stranger writes it: JSON, or not quite."""
    return json.dumps(value)


FACTS = st.dictionaries(KEYS, st.one_of(TEXTS, JSON.map(written), LEAVES.map(written)), max_size=5)


def check(content: bytes) -> Network | None:
    """The network in a file, which comes back the same, or None where it is refused with a sentence."""
    with bounded(len(content)):
        try:
            network, said = recognise(content)
        except BadNetwork as bad:
            assert is_sentence(bad)
            return None
        again = network.to_bytes()
    assert orjson.dumps([network.describe(), network.details(), said, network.card])
    back, _ = recognise(again)
    assert back.describe() == network.describe() and back.details() == network.details()
    return network


def raw(header: bytes, data: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + data


@searched
@given(st.binary(max_size=300))
def test_any_bytes(content):
    assert check(content) is None


@searched
@given(st.integers(0, len(OWN)), st.binary(max_size=8), st.integers(0, 8))
def test_a_network_with_some_bytes_changed(place, instead, left_out):
    check(OWN[:place] + instead + OWN[place + left_out :])


ENTRIES = st.one_of(
    st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(["F32", "F64", "F16", "BF16", "I32", "", 5, None]),
            "shape": st.one_of(st.lists(WHOLE, max_size=4), JSON),
            "data_offsets": st.one_of(st.lists(WHOLE, min_size=2, max_size=2), JSON),
        }
    ),
    JSON,
)


@searched
@given(st.dictionaries(st.one_of(NAMES, st.just("__metadata__")), ENTRIES, max_size=6), st.binary(max_size=64))
def test_any_header(header, data):
    check(raw(json.dumps(header).encode(), data))


@searched
@given(st.dictionaries(NAMES, st.lists(SIZES, max_size=3), max_size=8), FACTS)
def test_any_tensors_and_facts(shapes, facts):
    def encodable(text: str) -> str:
        return text.encode(errors="replace").decode()

    tensors = {encodable(name): np.zeros(shape, "float32") for name, shape in shapes.items()}
    texts = {encodable(name): encodable(fact) for name, fact in facts.items()}
    tensors.pop("__metadata__", None)
    check(save(tensors, texts))


MODULE = {
    f"rnn.{name}": np.zeros(shape, "float32")
    for name, shape in {"weight_ih_l0": (8, 3), "weight_hh_l0": (8, 2), "bias_ih_l0": (8,), "bias_hh_l0": (8,)}.items()
}
AROUND = st.dictionaries(
    NAMES,
    st.sampled_from([(0, 3), (3, 3), (5, 3), (3, 2), (5, 2), (2, 2), (3,), (5,), (0,), (), (3, 2, 1)]),
    max_size=5,
)


@searched
@given(AROUND, FACTS)
def test_a_recurrent_module_with_anything_around_it(around, facts):
    def encodable(text: str) -> str:
        return text.encode(errors="replace").decode()

    tensors = {encodable(name): np.zeros(shape, "float32") for name, shape in around.items()}
    tensors.pop("__metadata__", None)
    check(save(tensors | MODULE, {encodable(name): encodable(fact) for name, fact in facts.items()}))


@searched
@given(FACTS)
def test_a_network_that_says_anything_of_itself(facts):
    """As a file of the data directory says it."""
    network = untrained(cells()["elman"], 1, 2, [*"abc"], 2)
    known = network.facts() | {name: fact for name, fact in facts.items() if name in Metadata.model_fields}
    try:
        with bounded(sum(map(len, known.values()))):
            found = Network.of(network.parameters, known, "id", "the file")
    except BadNetwork as bad:
        assert is_sentence(bad)
    else:
        assert orjson.dumps([found.describe(), found.details(), found.card])


@searched
@given(st.one_of(JSON.map(written).map(str.encode), st.binary(max_size=60)))
def test_any_file_as_a_vocabulary(content):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "vocabulary.json"
        path.write_bytes(content)
        try:
            with bounded(len(content)):
                assert isinstance(read_vocabulary(path), list)
        except BadNetwork as bad:
            assert is_sentence(bad)


ARRAYS = st.tuples(st.lists(SIZES, max_size=3), st.sampled_from(["<f4", "<f8", ">f4", "<f2", "<i4", "S3", "?"]))
WORDS = st.sampled_from(["layers", "lstm", "gru_1", "dense", "embedding", "cell", "vars", "0", "1", "2"])
PLACES = st.lists(WORDS, min_size=1, max_size=5)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["layer_names", "weight_names", "model_config"]),
    st.one_of(
        st.lists(st.sampled_from([b"lstm", b"dense", b"..", b"0", b""]), max_size=3), st.integers(), JSON.map(written)
    ),
    max_size=2,
)


@searched
@given(st.lists(st.tuples(PLACES, ARRAYS), max_size=8), ATTRIBUTES)
def test_any_hdf5(arrays, attributes):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.weights.h5"
        with h5py.File(path, "w") as file:
            for place, (shape, dtype) in arrays:
                try:
                    file.create_dataset("/".join(place), shape, dtype)
                except (ValueError, TypeError, OSError):  # a group is there, or an array where a group should be
                    continue
            for name, value in attributes.items():
                file.attrs[name] = np.array(value, "S") if isinstance(value, list) else str(value)
        try:
            with bounded(path.stat().st_size):
                network, _ = convert(path)
        except BadNetwork as bad:
            assert is_sentence(bad)
        else:
            assert recognise(network.to_bytes())[0].describe()


KINDS = st.sampled_from(["network", "bytes", "folder", "link", "nothing"])


@searched
@given(
    st.dictionaries(st.text(CHARACTERS, min_size=1, max_size=12), st.tuples(KINDS, st.binary(max_size=20)), max_size=6)
)
def test_any_folder(files):
    with TemporaryDirectory() as folder:
        good = set()
        for name, (kind, content) in files.items():
            try:
                path = Path(folder) / f"{name}.safetensors"
                if kind == "folder":
                    path.mkdir()
                elif kind == "link":
                    path.symlink_to(next(iter(shipped().values())))
                elif kind != "nothing":
                    path.write_bytes(OWN if kind == "network" else content)
            except (OSError, ValueError, UnicodeEncodeError):  # no file can be called so
                continue
            good |= {name} if kind == "network" and path.parent == Path(folder) and name[0] != "." else set()
        networks = Networks(Path(folder))
        assert set(networks.all()) - set(shipped()) == {
            name for name in good if name not in shipped() and is_text(name)
        }
        assert orjson.dumps([listed.describe() for listed in networks.all().values()])


def is_text(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


@pytest.mark.parametrize("factor", [1, 4])
def test_the_bound_itself_can_fail(factor):
    with pytest.raises(AssertionError, match="bytes for 10"), bounded(10, constant=1000):
        assert len(bytes(factor * 10**5)) == factor * 10**5
