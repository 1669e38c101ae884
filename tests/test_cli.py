import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from safetensors.numpy import load_file

from gatescope.models.network.network import Network
from gatescope.models.training.recipe import Recipe

GATESCOPE = str(Path(sys.executable).with_name("gatescope"))


@pytest.mark.slow
def test_models_are_listed_by_a_process_of_its_own(data):
    environment = {**os.environ, "GATESCOPE_DATA": str(data), "COLUMNS": "200"}
    listed = subprocess.run([GATESCOPE, "models"], capture_output=True, text=True, env=environment)
    assert listed.returncode == 0 and "small-lstm" in listed.stdout and "Small gru" in listed.stdout
    wrong = subprocess.run([GATESCOPE, "trace", "a", "--model", "none"], capture_output=True, text=True)
    assert wrong.returncode == 2 and wrong.stderr.startswith("gatescope: model: must be one of")
    assert "Traceback" not in wrong.stderr


def test_a_trace_goes_to_a_file_or_to_standard_output(gatescope, tmp_path):
    printed = gatescope("trace", "-", "--model", "small-lstm", "--signals", "f,c", input="To be")
    tensors = json.loads(printed.stdout)["tensors"]
    assert len(tensors["layer1.f"]) == 5 and "layer0.i" not in tensors
    for name in ("trace.safetensors", "trace.json"):
        arguments = ("--model", "small-lstm", "--no-backward", "--precision", "float64", "--out", str(tmp_path / name))
        assert gatescope("trace", "To be", *arguments).returncode == 0
    written = load_file(tmp_path / "trace.safetensors")
    assert written["layer0.c"].dtype == "float64" and "grad.layer0.c" not in written
    assert json.loads((tmp_path / "trace.json").read_text())["tensors"]["layer0.c"] == written["layer0.c"].tolist()


@pytest.mark.slow
def test_a_network_is_trained_and_then_offered(gatescope, tmp_path):
    text = tmp_path / "rhyme.txt"
    text.write_text("one two three four five, once I caught a fish alive. " * 40)
    quick = ["--hidden", "8", "--embedding", "4", "--epochs", "2", "--batch-size", "4", "--sequence-length", "16"]
    env = {"GATESCOPE_DATA": str(tmp_path / "own")}
    trained = gatescope("train", str(text), "--cell", "gru", "--title", "Rhyme", *quick, env=env)
    assert trained.returncode == 0, trained.stderr
    assert "on what was held out" in trained.stdout
    assert json.loads((tmp_path / "own" / "rhyme-gru.json").read_text())["recipe"]["hidden"] == 8
    assert "rhyme-gru" in gatescope("models", env=env).stdout


@pytest.mark.slow
def test_ctrl_c_ends_a_training_and_keeps_what_was_learnt(data, tmp_path):
    (tmp_path / "rhyme.txt").write_text("one two three four five, once I caught a fish alive. " * 40)
    out = tmp_path / "rhyme.safetensors"
    command = [GATESCOPE, "train", tmp_path / "rhyme.txt", "--steps", "100000", "--sample-every", "5", "--out", out]
    training = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while not training.stdout.readline().startswith("      5  "):  # the first sample but the untrained one
            assert training.poll() is None
        training.send_signal(signal.SIGINT)
        said, wrong = training.communicate(timeout=60)
    finally:
        training.kill()
    assert (training.returncode, wrong) == (0, "")
    network = Network.load(out)
    assert 5 <= network.card["steps"] < 100_000 and network.card["validation_loss"] > 0
    assert f"{network.card['validation_loss']:.4f} a step on what was held out" in said


CHOSEN = {
    "cell": "elman",
    "options": [["nonlinearity", "relu"]],
    "layers": 2,
    "hidden": 6,
    "embedding": 4,
    "convolution": [3, 2],
    "batch_size": 5,
    "sequence_length": 9,
    "learning_rate": 0.002,
    "warm_up": 0.2,
    "weight_decay": 0.02,
    "clip": 0.5,
    "dropout": 0.1,
    "steps": 4,
    "patience": 3,
    "update_every": 2,
    "validation": 0.2,
    "validate_every": 3,
    "report_every": 2,
    "sample_every": 4,
    "checkpoint_every": 3,
    "seed": 7,
    "threads": 2,
}


def test_every_part_of_a_recipe_can_be_chosen(gatescope, tmp_path):
    assert list(CHOSEN) == list(Recipe.__dataclass_fields__)
    text, out = tmp_path / "rhyme.txt", tmp_path / "rhyme.safetensors"
    text.write_text("one two three four five, once I caught a fish alive. " * 40)
    spelled = CHOSEN | {"options": "nonlinearity=relu", "convolution": "3x2"}
    flags = [part for name, value in spelled.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    trained = gatescope("train", str(text), "--out", str(out), *flags)
    assert trained.returncode == 0, trained.stderr
    assert json.loads(out.with_suffix(".json").read_text())["recipe"] == CHOSEN


@pytest.mark.slow
def test_serve_listens_where_it_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    (tmp_path / "broken.safetensors").write_bytes(b"no network")
    environment = {**os.environ, "GATESCOPE_DATA": str(tmp_path), "GATESCOPE_PORT": "1"}
    server = subprocess.Popen([GATESCOPE, "serve", "--port", str(port)], env=environment, stderr=subprocess.PIPE)
    try:
        until = time.monotonic() + 20
        while True:
            try:
                assert httpx.get(f"http://127.0.0.1:{port}/healthz").json() == {"status": "ok"}
                assert "broken" not in httpx.get(f"http://127.0.0.1:{port}/api/models").text
                break
            except httpx.TransportError:
                assert time.monotonic() < until and server.poll() is None
                time.sleep(0.1)
    finally:
        server.terminate()
        said = server.communicate(timeout=20)[1].decode()
    assert "Traceback" not in said and "broken.safetensors is left out" in said and "running on http" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trace", "a", "--model", "none"], "model: must be one of"),
        (["trace", "\u2603", "--model", "small-lstm"], "☃ (U+2603)"),
        (["trace", "", "--model", "small-lstm"], "1 to 20,000 characters"),
        (["trace", "a", "--model", "small-lstm", "--signals", "x"], "signals: must be one of f, i, g, o, c, h"),
        (["trace", "a", "--model", "small-lstm", "--out", "trace.csv"], "must end in .safetensors or .json"),
        (["trace", "a", "--model", "small-lstm", "--out", "/none/trace.json"], "/none/trace.json: No such file"),
        (["trace", "a", "--loss", "first"], "'every', 'last'"),
        (["serve", "--port", "0"], "GATESCOPE_PORT: "),
        (["train", "/none.txt"], "/none.txt: No such file"),
        (["train", GATESCOPE, "--hidden", "0"], "hidden: must be a whole number between"),
        (["train", GATESCOPE, "--hidden", "1000000"], "hidden: this network would have 4,000,"),
        (["train", GATESCOPE, "--cell", "none"], "cell: must be one of"),
        (["train", GATESCOPE, "--options", "window"], "--options: must be name=value"),
        (["train", GATESCOPE, "--learning-rate", "1e30", "--hidden", "4", "--steps", "9"], "diverged at step"),
        (["train", GATESCOPE, "--embedding", "many"], "--embedding: must be a whole number or none"),
        (["train", GATESCOPE, "--out", "network.pt"], "must end in .safetensors"),
        (["train", os.devnull], "text: must have at least two different characters"),
        (["train", sys.executable], "is not text"),
        (["play"], "No such command"),
    ],
)
def test_a_mistake_is_one_clear_line(gatescope, arguments, said):
    done = gatescope(*arguments)
    assert done.returncode == 2 and said in done.stderr


def test_a_wrong_setting_is_named(gatescope):
    done = gatescope("serve", env={"GATESCOPE_PORT": "many"})
    assert done.returncode == 2 and done.stderr.startswith("gatescope: GATESCOPE_PORT: ")
