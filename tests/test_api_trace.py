import base64
from urllib.parse import quote

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load

from gatescope.app.networks.catalog import Networks
from gatescope.models.inspection.trace import trace
from tests.service import errors_of, events_of

TEXT = "To be, or not"
ASKED = {"model": "small-lstm", "text": TEXT}


def read(array: str, width: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(array), "<f2").reshape(-1, width)


def test_events_come_in_order_and_every_step_once(client):
    events = events_of(client.get("/api/trace", params=ASKED))
    names = [name for name, _ in events]
    assert names == sorted(names, key=["begin", "forward", "backward", "end"].index)
    assert names.count("begin") == names.count("end") == 1
    upwards, downwards = [], []
    for name, data in events:
        if name == "forward":
            upwards += range(data["t"], data["t"] + data["n"])
        if name == "backward":
            downwards += range(data["t"], data["t"] - data["n"], -1)
    assert upwards == list(range(len(TEXT)))
    assert downwards == list(range(len(TEXT)))[::-1]
    assert {"model", "cell", "tokens", "layers", "hidden", "dtype"} <= set(events[0][1])
    assert {"loss", "bits_per_character", "gradient_norm"} <= set(events[-1][1])


def test_stream_holds_what_was_recorded(client, data):
    network = Networks(data).get("small-lstm")
    expected = trace(network, network.tokens(TEXT)).tensors
    gates, gradients = [], []
    for name, frame in events_of(client.get("/api/trace", params=ASKED)):
        if name == "forward":
            gates.append(read(frame["layers"][1]["f"], 8))
            assert all(len(step) == 5 for step in frame["top"])
        if name == "backward":
            gradients.append(read(frame["layers"][1]["c"], 8))
            assert set(frame["norms"][0]) >= {"weight_ih", "weight_hh"}
    np.testing.assert_array_equal(np.concatenate(gates), expected["layer1.f"].astype(np.float16))
    np.testing.assert_array_equal(np.concatenate(gradients)[::-1], expected["grad.layer1.c"].astype(np.float16))


def test_stream_as_json_lists(client):
    asked = ASKED | {"encoding": "json", "signals": "c", "backward": "false"}
    events = events_of(client.get("/api/trace", params=asked))
    assert [name for name, _ in events if name == "backward"] == []
    frames = [data for name, data in events if name == "forward"]
    assert list(frames[0]["layers"][0]) == ["c"]
    assert np.shape(frames[0]["layers"][0]["c"])[1] == 8
    assert frames[-1]["loss"][-1] is None  # the last character has no next one


def test_stream_is_not_buffered_or_compressed(client):
    headers = client.get("/api/trace", params=ASKED).headers
    assert headers["x-accel-buffering"] == "no" and "content-encoding" not in headers


def test_file_holds_tensors_and_metadata(client, tmp_path):
    response = client.get("/api/trace.safetensors", params=ASKED | {"precision": "float64"})
    assert "content-encoding" not in response.headers
    assert response.headers["content-disposition"] == 'attachment; filename="small-lstm.trace.safetensors"'
    file = tmp_path / "trace.safetensors"
    file.write_bytes(response.content)
    with safe_open(file, "np") as opened:
        assert opened.metadata()["model"] == "small-lstm"
        names = set(opened.keys())
        assert opened.get_tensor("grad.layer0.c").shape == (len(TEXT), 8)
        assert opened.get_tensor("logits").dtype == np.float64
        assert opened.get_tensor("loss").shape == (len(TEXT) - 1,)
    assert {"layer0.f", "grad.layer1.h", "norm.layer0.weight_hh", "grad.parameters.readout.weight"} <= names


def test_a_network_may_be_called_in_any_script(client, data):
    id = 'Книга "1"-gru'
    (data / f"{id}.safetensors").write_bytes((data / "small-gru.safetensors").read_bytes())
    try:
        response = client.get("/api/trace.safetensors", params={"model": id, "text": "To be"})
    finally:
        (data / f"{id}.safetensors").unlink()
    assert response.status_code == 200
    name = f"{quote(id, safe='')}.trace.safetensors"
    assert response.headers["content-disposition"] == f"attachment; filename*=UTF-8''{name}"


def test_file_and_lists_and_post_agree(client):
    tensors = load(client.get("/api/trace.safetensors", params=ASKED | {"loss": "last"}).content)
    lists = client.post("/api/trace.json", json=ASKED | {"loss": "last"}).json()["tensors"]
    assert set(lists) == set(tensors)
    for name, array in tensors.items():
        np.testing.assert_array_equal(np.array(lists[name], array.dtype), array)


def test_post_takes_tokens_or_a_text_longer_than_an_address(client):
    same = [client.post("/api/trace.safetensors", json=body).content for body in (ASKED, ASKED)]
    assert load(same[0])["loss"].tolist() == load(same[1])["loss"].tolist()
    tokens = {"model": "small-gru", "tokens": [1, 2, 3], "signals": ["z"], "backward": False}
    assert load(client.post("/api/trace.safetensors", json=tokens).content)["layer1.z"].shape == (3, 8)
    long = {"model": "small-elman", "text": "ab" * 1500, "backward": False}
    assert events_of(client.post("/api/trace", json=long))[-1][0] == "end"


def test_one_character_is_a_text(client):
    events = events_of(client.get("/api/trace", params={"model": "small-lstm", "text": "a"}))
    assert [name for name, _ in events] == ["begin", "forward", "backward", "end"]


@pytest.mark.parametrize("path", ["/api/trace", "/api/trace.safetensors", "/api/trace.json"])
@pytest.mark.parametrize(
    ("field", "changed", "said"),
    [
        ("model", {"model": "none"}, "small-lstm"),
        ("model", {"model": ""}, "at least 1"),
        ("text", {"text": ""}, "1 to 2,000 characters"),
        ("text", {"text": "a" * 2001}, "1 to 2,000 characters"),
        ("text", {"text": "caf\u00e9"}, "é (U+00E9)"),
        ("loss", {"loss": "first"}, "'every' or 'last'"),
        ("backward", {"backward": "maybe"}, "boolean"),
        ("precision", {"precision": "float16"}, "'float32' or 'float64'"),
        ("signals", {"signals": "r"}, "f, i, g, o, c, h"),
        ("speed", {"speed": "9"}, "is not a field"),
        ("tokens", {"tokens": "1"}, "is not a field"),
    ],
)
def test_a_wrong_address_names_field_and_range(client, path, field, changed, said):
    assert said in errors_of(client.get(path, params=ASKED | changed))[field]


@pytest.mark.parametrize(
    ("field", "body", "said"),
    [
        ("text", ASKED | {"text": "a" * 20_001}, "1 to 20,000 characters"),
        ("text", ASKED | {"tokens": [1]}, "one of the two"),
        ("text", {"model": "small-lstm"}, "one of the two"),
        ("text", ASKED | {"text": 3}, "string"),
        ("tokens", {"model": "small-lstm", "tokens": []}, "1 to 20,000"),
        ("tokens", {"model": "small-lstm", "tokens": [1000]}, "each must be 0 to "),
        ("tokens.0", {"model": "small-lstm", "tokens": [-1]}, "greater than or equal to 0"),
        ("tokens.0", {"model": "small-lstm", "tokens": [True]}, "integer"),
        ("tokens.0", {"model": "small-lstm", "tokens": ["1"]}, "integer"),
        ("backward", ASKED | {"backward": 1}, "boolean"),
        ("backward", ASKED | {"backward": "true"}, "boolean"),
        ("interventions", ASKED | {"interventions": [{"signal": "r", "value": 0.0}]}, "signal must be one of f, i,"),
        ("interventions", ASKED | {"interventions": [{"signal": "f", "value": 0.0, "layer": 2}]}, "between 0 and 1"),
        ("interventions", ASKED | {"interventions": [{"signal": "f", "value": 0.0, "units": [8]}]}, "between 0 and 7"),
        ("interventions", ASKED | {"interventions": [{"signal": "f", "value": 0.0, "from": 99}]}, "0 <= from < to"),
        ("interventions.0.value", ASKED | {"interventions": [{"signal": "f"}]}, "is required"),
        ("interventions.0.value", ASKED | {"interventions": [{"signal": "f", "value": 1e9}]}, "less than or equal"),
        ("model", {"text": "a"}, "is required"),
    ],
)
def test_a_wrong_body_names_field_and_range(client, field, body, said):
    assert said in errors_of(client.post("/api/trace.json", json=body))[field]


def test_what_is_overwritten_is_what_is_read(client):
    intervention = {"layer": 1, "signal": "f", "units": [2, 5], "value": 0.5, "from": 1, "to": 3}
    asked = ASKED | {"interventions": [intervention]}
    changed, plain = (load(client.post("/api/trace.safetensors", json=body).content) for body in (asked, ASKED))
    assert (changed["layer1.f"][1:3][:, [2, 5]] == 0.5).all()
    np.testing.assert_array_equal(changed["layer1.f"][0], plain["layer1.f"][0])
    assert (changed["layer1.c"][1:] != plain["layer1.c"][1:]).any()
    everywhere = client.post("/api/trace", json=ASKED | {"interventions": [{"signal": "o", "value": 0.0}]})
    assert events_of(everywhere)[-1][0] == "end"
