"""A network of one's own brought over HTTP: its numbers against PyTorch's, who may have it, and what is refused."""

import json
import socket
import struct
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

from gatescope.app.networks.catalog import Networks
from gatescope.app.settings import Settings
from gatescope.models.network.network import Network
from tests import oracle
from tests.foreign import CHARACTERS, KINDS, Theirs
from tests.service import errors_of, events_of, serve

BYTES = {"Content-Type": "application/octet-stream"}
TEXT = "a bad cab\ngé fed a bee"
TOKENS = [CHARACTERS.index(character) for character in TEXT]


def uploaded(client: httpx.Client, content: bytes, **params: object) -> dict:
    response = client.post("/api/models", content=content, headers=BYTES, params=params)
    assert response.status_code == (200 if params else 201), response.text
    return response.json()


def of_torch(module: Theirs, loss: str) -> dict[str, np.ndarray]:
    """What the module itself computes: the upper layer's output, logits, losses, and the parameters' gradients by the
    module's own names.
    """
    tokens = torch.tensor(TOKENS)
    output, logits = module(tokens)
    losses = torch.nn.functional.cross_entropy(logits[:-1], tokens[1:], reduction="none")
    (losses.sum() if loss == "every" else losses[-1]).backward()
    gradients = {name: weights.grad for name, weights in module.named_parameters()}
    found = {"output": output, "logits": logits, "loss": losses} | gradients
    return {name: tensor.detach().numpy() for name, tensor in found.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", ["every", "last"])
def test_a_text_read_by_ones_own_network_equals_autograd(client, data, kind, loss):
    layers, module = 2, Theirs(kind, layers=2)
    made = uploaded(client, module.saved())
    asked = {"model": made["id"], "text": TEXT, "precision": "float64", "loss": loss}
    ours = load(client.get("/api/trace.safetensors", params=asked).content)
    theirs = of_torch(module, loss)
    assert oracle.furthest(ours[f"layer{layers - 1}.h"], theirs["output"]) <= 1e-9
    names = made["recognised"]["names"]
    assert set(names.values()) == set(module.state_dict())
    expected = {f"grad.parameters.{name}": theirs[file] for name, file in names.items()}
    expected |= {name: theirs[name] for name in ("logits", "loss")}
    expected |= oracle.read(Networks(data).get(made["id"]), TOKENS, loss)
    assert set(expected) == {name for name in ours if not name.startswith("norm.")}
    for name, tensor in expected.items():
        assert ours[name].shape == tensor.shape and oracle.furthest(ours[name], tensor) <= 1e-9, name


def test_the_documented_recipe_goes_from_a_training_script_to_the_bench(client, address, capsys):
    page = Path(__file__).parent.parent / "templates" / "docs" / "07-your-network.md"
    section = page.read_text().partition("## From a training script")[2].partition("\n## ")[0]
    recipe = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    program = "\n".join(recipe).replace("http://127.0.0.1:8000", address)
    exec(compile(program, page.name, "exec"), {"model": Theirs("gru"), "characters": CHARACTERS})
    made = json.loads(capsys.readouterr().out)
    assert client.get(f"/api/models/{made['id']}").json()["title"] == "Mine"


def test_a_dry_run_says_what_is_recognised_and_stores_nothing(client, data):
    before = sorted((data / "uploads").glob("*")) if (data / "uploads").exists() else []
    said = uploaded(client, Theirs("gru").saved(), dry_run="true")
    assert said["recognised"]["names"]["embedding.weight"] == "net.encoder.weight"
    assert said["id"] is None and said["cell"] == "gru" and "owner_token" not in said
    assert sorted((data / "uploads").glob("*")) == before if before else not (data / "uploads").exists()
    response = client.post("/api/models?speed=9", content=b"", headers=BYTES)
    assert "is not a field" in errors_of(response)["speed"]


def test_it_is_had_by_its_id_and_not_listed(client, data):
    made = uploaded(client, Theirs("lstm").saved())
    assert made["origin"] == "upload" and made["title"] == "Theirs" and len(made["id"]) == 32
    assert made["id"] not in client.get("/api/models").text
    unknown = client.get("/api/trace", params={"model": "none", "text": "a"})
    assert made["id"] not in unknown.text and made["id"] not in client.get("/").text
    about = client.get(f"/api/models/{made['id']}").json()
    assert about["vocabulary"] == CHARACTERS and about["training"]["recognised"] == made["recognised"]
    assert load(client.get(f"/api/models/{made['id']}/weights").content)["rnn.weight_hh_l0"].dtype == np.float64
    page = client.get("/", params={"model": made["id"], "text": "abc"}).text
    assert "notice" not in page.partition('"events"')[0] and f'"model":"{made["id"]}"' in page
    kept = sorted((data / "uploads").glob(f"*{made['id']}*"))
    assert [path.suffix for path in kept] == [".owner", ".safetensors"]
    assert made["owner_token"] not in kept[0].read_text()
    assert events_of(client.post("/api/generate", json={"model": made["id"], "prompt": "a"}))[-1][0] == "end"
    arithmetic = client.get("/api/arithmetic", params={"model": made["id"], "text": "ab"}).json()
    assert set(arithmetic["terms"]) == {"f", "i", "g", "o"}
    assert client.get("/api/verification", params={"model": made["id"], "text": "abcd"}).json()["verified"]


def test_only_its_owner_deletes_it(client):
    made = uploaded(client, Theirs("gru").saved())
    path = f"/api/models/{made['id']}"
    for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {made['owner_token']}"}):
        assert "owner_token" in errors_of(client.delete(path, headers=wrong), 403)["authorization"]
    right = {"Authorization": f"Bearer {made['owner_token']}"}
    assert client.delete(path, headers=right).status_code == 204
    assert client.get(path).status_code == 404
    for id in (made["id"], "shakespeare-lstm", "small-lstm", "..%2fsmall-lstm"):
        response = client.delete(f"/api/models/{id}", headers=right)
        assert response.status_code == 404, response.text


def test_the_arithmetic_of_a_network_without_biases_has_none(client):
    made = uploaded(client, Theirs("gru", bias=False).saved())
    terms = client.get("/api/arithmetic", params={"model": made["id"], "text": "abc"}).json()["terms"]
    assert [term["reads"] for term in terms["z"]] == ["x", "h_prev"]
    assert client.get("/api/verification", params={"model": made["id"], "text": "abcd"}).json()["verified"]


def test_without_a_vocabulary_it_takes_tokens(client):
    module = Theirs("lstm")
    made = uploaded(client, save({name: tensor.numpy() for name, tensor in module.state_dict().items()}))
    assert made["task"] == "tokens" and made["vocabulary_size"] == len(CHARACTERS) and made["title"]
    found = client.post("/api/trace.json", json={"model": made["id"], "tokens": TOKENS, "precision": "float64"}).json()
    assert oracle.furthest(np.array(found["tensors"]["logits"]), of_torch(module, "every")["logits"]) <= 1e-9
    for path in ("/api/trace", "/api/arithmetic", "/api/verification"):
        asked = {"model": made["id"], "text": "abc"}
        assert "send tokens" in errors_of(client.get(path, params=asked))["text"]
    beyond = {"model": made["id"], "tokens": [len(CHARACTERS)]}
    assert f"0 to {len(CHARACTERS) - 1}" in errors_of(client.post("/api/trace", json=beyond))["tokens"]
    errors_of(client.post("/api/generate", json={"model": made["id"], "prompt": "a"}))


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_readout_it_is_read_forwards_only(client, kind):
    module = Theirs(kind, layers=2, readout=False)
    made = uploaded(client, module.saved())
    assert made["task"] == "states" and "readout.weight" in made["recognised"]["absent"]
    asked = {"model": made["id"], "text": TEXT}
    ours = load(client.get("/api/trace.safetensors", params=asked | {"precision": "float64"}).content)
    assert oracle.furthest(ours["layer1.h"], module(torch.tensor(TOKENS))[0].detach().numpy()) <= 1e-9
    assert ours["loss"].shape == (0,) and not [name for name in ours if name.startswith("grad")]
    events = events_of(client.get("/api/trace", params=asked | {"backward": "true", "encoding": "json"}))
    assert {name for name, _ in events} == {"begin", "forward", "end"}
    assert events[0][1]["task"] == "states" and events[1][1]["loss"] == [] and events[1][1]["top"][0] == []
    assert events[-1][1]["loss"] is None and events[-1][1]["gradient_norm"] is None
    assert "readout" in errors_of(client.get("/api/verification", params=asked))["model"]
    assert "readout" in errors_of(client.post("/api/generate", json={"model": made["id"], "prompt": "a"}))["model"]


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "multipart/form-data; boundary=x", None])
def test_another_content_type_is_refused(client, kind):
    response = client.post("/api/models", content=b"{}", headers={"Content-Type": kind} if kind else {})
    assert "application/octet-stream" in errors_of(response, 415)["content-type"]


LSTM = {name: tensor.numpy() for name, tensor in Theirs("lstm", readout=False, embedding=False).state_dict().items()}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "too short"),
        (b"PK\x03\x04" + b"\0" * 100, "gatescope convert model.pt"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + b"\0" * 100, "gatescope convert model.pt"),
        (struct.pack("<Q", 100 * 2**20) + b"{" * 100, "header is too long"),
        (save({"model.weight": np.zeros((2, 2), "float32")}), "model.weight"),
        (Theirs("lstm").saved(vocabulary='["a"]'), "the vocabulary has 1 entries"),
        (Theirs("lstm").saved(cell="lstm", options=r'{"\ud800": 1}'), "the options in the file is not JSON"),
        (
            Theirs("lstm").saved(cell="lstm", options='{"projection": 5.0}'),
            "must be an object of whole numbers and words",
        ),
        (Theirs("lstm").saved(cell="lstm", options='{"projection": true}'), "must be an object of whole numbers"),
        (Theirs("lstm", channels=1, outputs=2).saved(example=f"[[{'9' * 400}]]"), "the example in the file"),
        (Theirs("lstm", channels=1, outputs=2).saved(example="[[]]"), "the example in the file cannot be read"),
        (Theirs("lstm").saved(form="[]"), "the form in the file must be an object"),
        (save({name: np.zeros((9, 9), "float32") for name in map(str, range(9))} | LSTM), "cannot place 0, 1, 2"),
    ],
)
def test_a_bad_file_is_a_problem_that_says_why(client, content, said):
    for params in ({}, {"dry_run": "true"}):
        response = client.post("/api/models", content=content, headers=BYTES, params=params)
        assert said in errors_of(response)["body"]


def test_what_one_file_says_of_a_cell_changes_nothing_for_the_next(client):
    """5.0 equals 5, so a cell with that many units projected could have been remembered as the one with 5."""
    content = Theirs("lstm", projection=5).saved()
    poison = Theirs("lstm", projection=5).saved(cell="lstm", options='{"projection": 5.0}')
    errors_of(client.post("/api/models", content=poison, headers=BYTES, params={"dry_run": "true"}))
    made = uploaded(client, content)
    assert made["recognised"]["options"] == {"projection": 5}
    assert client.get("/api/trace.json", params={"model": made["id"], "text": "abc"}).status_code == 200


def announced(address: str, length: int, start: bytes) -> bytes:
    """The first line that comes back when a body of this length is announced and only its start is sent."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        head = f"POST /api/models HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/octet-stream\r\n"
        connection.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode() + start)
        return connection.recv(1000).split(b"\r\n")[0]


def test_two_gigabytes_are_refused_at_the_announcement_and_a_long_header_at_its_length(address):
    assert announced(address, 2 * 2**30, b"").startswith(b"HTTP/1.1 413")
    assert announced(address, 60 * 2**20, struct.pack("<Q", 100 * 2**20)).startswith(b"HTTP/1.1 422")
    assert announced(address, 60 * 2**20, b"PK\x03\x04\x14\0\0\0").startswith(b"HTTP/1.1 422")


def test_what_there_is_no_room_for_is_refused_and_what_is_there_stays(tmp_path):
    content = Theirs("gru").saved()
    with serve(Settings(data=tmp_path, upload_count=1)) as address, httpx.Client(base_url=address) as client:
        made = uploaded(client, content)
        response = client.post("/api/models", content=content, headers=BYTES)
        assert "no room for another network" in errors_of(response, 507)["body"] and response.headers["retry-after"]
        assert client.post("/api/models?dry_run=true", content=content, headers=BYTES).status_code == 200
        authorization = {"Authorization": f"Bearer {made['owner_token']}"}
        assert client.delete(f"/api/models/{made['id']}", headers=authorization).status_code == 204
        uploaded(client, content)
    (kept,) = (tmp_path / "uploads").glob("*.safetensors")
    with serve(Settings(data=tmp_path, upload_space=2 * kept.stat().st_size - 1)) as address:
        errors_of(httpx.post(f"{address}/api/models", content=content, headers=BYTES), 507)
    assert sorted(path.suffix for path in (tmp_path / "uploads").iterdir()) == [".owner", ".safetensors"]


def test_the_size_limit_is_a_setting_and_for_uploads_alone(tmp_path):
    content = Theirs("lstm", layers=3).saved()
    with serve(Settings(data=tmp_path, upload_limit=len(content), body_limit=100)) as address:
        assert httpx.post(f"{address}/api/models", content=content, headers=BYTES).status_code == 201
        errors_of(httpx.post(f"{address}/api/models", content=content + b"\0", headers=BYTES), 413)
        errors_of(httpx.post(f"{address}/api/trace", content=b" " * 101), 413)
    (stored,) = (tmp_path / "uploads").glob("*.safetensors")
    assert Network.load(stored).title == "Theirs"
    assert len(list((tmp_path / "uploads").iterdir())) == 2
