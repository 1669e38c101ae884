"""PyTorch checkpoints made into networks, the command that does it, and what it refuses."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from gatescope.models.formats.convert import convert, read_vocabulary
from gatescope.models.inspection.trace import trace
from gatescope.models.network.network import BadNetwork, Network
from tests.foreign import CHARACTERS, KINDS, Theirs
from tests.oracle import furthest

TOKENS = [0, 3, 1, 4, 1, 5, 2]


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


def test_a_vocabulary_is_a_list_or_numbers_by_text(tmp_path):
    path = tmp_path / "vocabulary.json"
    for value in (["b", "a", "é"], {"a": 1, "b": 0, "é": 2}):
        path.write_text(json.dumps(value))
        assert read_vocabulary(path) == ["b", "a", "é"]
    for value in ({"a": 1}, {"a": True, "b": 0}, {"a": "0"}, "ab", 3):
        path.write_text(json.dumps(value))
        with pytest.raises(BadNetwork, match="vocabulary.json must"):
            read_vocabulary(path)


def test_the_command_writes_what_the_service_reads(gatescope, tmp_path):
    torch.save(Theirs("gru", bias=False).state_dict(), tmp_path / "model.pt")
    (tmp_path / "vocab.json").write_text(json.dumps({text: number for number, text in enumerate(CHARACTERS)}))
    command = ["convert", tmp_path / "model.pt"]
    done = gatescope(*command, "--vocabulary", tmp_path / "vocab.json", "--title", "Mine")
    assert done.returncode == 0, done.stderr
    assert "readout.weight (11, 6) from net.fc.weight" in done.stdout and "rnn.bias_ih_l0 is absent" in done.stdout
    network = Network.load(tmp_path / "model.safetensors")
    assert network.title == "Mine" and network.vocabulary == CHARACTERS
    wrong = gatescope(*command, "--nonlinearity", "relu")
    assert wrong.returncode == 2 and "no option nonlinearity" in wrong.stderr


def test_the_command_is_told_what_a_network_reads_and_gives_and_traces_it(gatescope, tmp_path):
    module = Theirs("lstm", both_ways=True, projection=2, channels=2, outputs=2)
    torch.save(module.state_dict(), tmp_path / "model.pt")
    (tmp_path / "labels.json").write_text('["calm", "storm"]')
    options = ["--pattern", "many-to-many", "--labels", tmp_path / "labels.json"]
    done = gatescope("convert", tmp_path / "model.pt", *options)
    assert done.returncode == 0, done.stderr
    assert "reads values, gives classes, many-to-many; directions 2" in done.stdout
    asked = ["trace", "0.5,1;2,-0.25", "--model", "model", "--precision", "float64", "--target"]
    here = {"GATESCOPE_DATA": str(tmp_path)}
    found = json.loads(gatescope(*asked, "storm;0", env=here).stdout)
    logits = module(torch.tensor([[0.5, 1], [2, -0.25]], dtype=torch.float64))[1]
    assert furthest(np.array(found["tensors"]["logits"]), logits.detach().numpy()) <= 1e-9
    losses = torch.nn.functional.cross_entropy(logits, torch.tensor([1, 0]), reduction="none")
    assert furthest(np.array(found["tensors"]["loss"]), losses.detach().numpy()) <= 1e-9
    wrong = gatescope(*asked, "storm", env=here)
    assert wrong.returncode == 2 and "--target: 2 are needed" in wrong.stderr
