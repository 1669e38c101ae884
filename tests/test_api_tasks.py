"""Networks beyond characters asked over HTTP: words and numbers in, classes and numbers out, by address and by body."""

import httpx
import numpy as np
import pytest
from safetensors.numpy import load

from gatescope.models.cells import cells
from gatescope.models.inspection.trace import trace
from gatescope.models.network.network import Network, untrained
from gatescope.models.network.task import Task
from tests.service import errors_of, events_of

WORDS = ["the", "wolf", "sleeps", "in", "a", "wood"]
KINDS = ("calm", "wave", "spike")
ROWS = [[0.1, 0.2], [-0.5, 1.5], [0.25, 0.0], [1.0, -1.0]]
VALUES = "0.1,0.2;-0.5,1.5;0.25,0;1,-1"
GRU, LSTM = cells()["gru"], cells()["lstm"]
NETWORKS = {
    "words": untrained(GRU, 1, 4, WORDS, 3, task=Task("words")),
    "wave": untrained(LSTM, 1, 4, [], task=Task("values", "next"), channels=2),
    "kinds": untrained(
        GRU, 1, 4, [], task=Task("values", "classes", "many-to-one", KINDS), channels=2, outputs=3, convolution=(5, 2)
    ),
    "tags": untrained(LSTM, 2, 4, WORDS, 3, task=Task("words", "classes", labels=KINDS), outputs=3, directions=2),
    "tune": untrained(GRU, 1, 4, [*"ab"], task=Task("characters", "values", "one-to-many", steps=5), outputs=2),
}


@pytest.fixture(scope="module")
def ids(client: httpx.Client) -> dict[str, str]:
    """The networks brought in: their ids by name."""
    headers = {"Content-Type": "application/octet-stream"}
    answers = {
        name: client.post("/api/models", content=network.to_bytes(), headers=headers)
        for name, network in NETWORKS.items()
    }
    return {name: answer.json()["id"] for name, answer in answers.items()}


def same(tensors: dict[str, np.ndarray], network: Network, inputs: list, **asked) -> bool:
    expected = trace(network, inputs, precision="float64", **asked).tensors
    return set(expected) == set(tensors) and all(np.array_equal(tensors[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("name", "query", "body", "inputs", "targets"),
    [
        ("words", {"text": "the wolf sleeps"}, {"text": "the wolf sleeps"}, [0, 1, 2], None),
        ("words", {"text": "the wolf"}, {"tokens": [0, 1]}, [0, 1], None),
        ("wave", {"values": VALUES}, {"values": ROWS}, ROWS, None),
        ("kinds", {"values": VALUES, "target": "spike"}, {"values": ROWS, "targets": ["spike"]}, ROWS, [2]),
        ("kinds", {"values": VALUES, "target": "1"}, {"values": ROWS, "targets": [1]}, ROWS, [1]),
        ("kinds", {"values": VALUES}, {"values": ROWS}, ROWS, None),
        (
            "tags",
            {"text": "a wolf", "target": "calm;2"},
            {"text": "a wolf", "targets": ["calm", "spike"]},
            [4, 1],
            [0, 2],
        ),
        (
            "tune",
            {"text": "a", "target": "0.5,1;0,2"},
            {"tokens": [0], "targets": [[0.5, 1], [0, 2.0]]},
            [0],
            [[0.5, 1], [0, 2]],
        ),
    ],
)
def test_address_and_body_give_what_was_computed(client, ids, name, query, body, inputs, targets):
    asked = {"model": ids[name], "precision": "float64"}
    got = client.get("/api/trace.safetensors", params=asked | query)
    assert got.status_code == 200, got.text
    assert same(load(got.content), NETWORKS[name], inputs, targets=targets)
    posted = client.post("/api/trace.safetensors", json=asked | body)
    assert posted.status_code == 200, posted.text
    assert same(load(posted.content), NETWORKS[name], inputs, targets=targets)
    lists = client.get("/api/trace.json", params=asked | query).json()
    assert lists["metadata"]["values" if NETWORKS[name].channels else "tokens"][: len(inputs)] == inputs


def test_the_events_say_what_is_read_and_what_should_come_out(client, ids):
    asked = {"model": ids["kinds"], "values": VALUES, "target": "wave", "encoding": "json"}
    events = events_of(client.get("/api/trace", params=asked))
    begin, end = events[0][1], events[-1][1]
    assert begin["values"] == ROWS and "tokens" not in begin
    assert begin["pattern"] == "many-to-one" and begin["labels"] == list(KINDS)
    assert [spec["name"] for spec in begin["parts"]] == ["convolution", "layer0"] and end["targets"] == [1]
    frame = dict(events)["forward"]
    assert frame["loss"][:-1] == [None] * 3 and frame["loss"][-1] > 0 and len(frame["layers"]) == 2
    guess = events_of(client.get("/api/trace", params={"model": ids["kinds"], "values": VALUES}))[-1][1]["targets"]
    assert guess == [frame["top"][-1][0][0]]
    wave = dict(
        events_of(client.get("/api/trace", params={"model": ids["wave"], "values": VALUES, "encoding": "json"}))
    )
    assert np.shape(wave["forward"]["outputs"]) == (4, 2) and "top" not in wave["forward"]
    assert wave["end"]["targets"] is None and wave["end"]["bits_per_character"] is None
    names = [name for name, _ in events_of(client.get("/api/trace", params={"model": ids["tune"], "text": "a"}))]
    assert names == ["begin", "forward", "end"]  # without targets nothing goes back
    both = events_of(client.get("/api/trace", params={"model": ids["tags"], "text": "a wolf"}))[0][1]["parts"]
    assert [spec["name"] for spec in both] == ["layer0", "layer0_reverse", "layer1", "layer1_reverse"]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("words", {"text": "the wolf sleeps in a wood"}),
        ("words", {"tokens": [0, 3, 1]}),
        ("wave", {"values": ROWS}),
        ("kinds", {"values": ROWS, "targets": ["wave"]}),
        ("tags", {"text": "a wolf", "targets": [0, "spike"]}),
        ("tune", {"text": "a", "targets": [[0.5, 1], [0, 2], [1, 1]]}),
    ],
)
def test_arithmetic_and_verification_of_what_a_body_holds(client, ids, name, body):
    last = len(NETWORKS[name].layer_specs) - 1
    signal, held = ("c", 0.5) if NETWORKS[name].cell is LSTM else ("r", 0.25)
    asked = {"model": ids[name], "interventions": [{"layer": last, "signal": signal, "units": [2], "value": held}]}
    found = client.post("/api/verification", json=asked | body)
    assert found.status_code == 200 and found.json()["verified"], found.text
    gate = "f" if signal == "c" else "z"
    terms = client.post("/api/arithmetic", json=asked | body | {"layer": last, "unit": 1}).json()["terms"][gate]
    tensors = client.post("/api/trace.json", json=asked | body).json()["tensors"]
    name = NETWORKS[name].layer_specs[last].name
    assert np.allclose(np.array(tensors[f"{name}.{signal}"])[:, 2], held)
    total = sum(np.array(term["values"]) for term in terms)
    np.testing.assert_allclose(1 / (1 + np.exp(-total)), np.array(tensors[f"{name}.{gate}"])[:, 1], rtol=1e-4)


def test_arithmetic_and_verification_of_what_an_address_holds(client, ids):
    asked = {"model": ids["kinds"], "values": VALUES}
    assert client.get("/api/verification", params=asked | {"target": "calm"}).json()["verified"]
    terms = client.get("/api/arithmetic", params=asked | {"layer": 0, "unit": 4}).json()["terms"]["h"]
    assert [term["reads"] for term in terms][-1] == "bias" and len(terms) == 3  # a window of two inputs
    assert "between 0 and 3" in errors_of(client.get("/api/arithmetic", params=asked | {"layer": 1, "unit": 4}))["unit"]
    assert (
        "are needed" in errors_of(client.get("/api/verification", params={"model": ids["tune"], "text": "a"}))["target"]
    )


@pytest.mark.parametrize("path", ["/api/trace", "/api/trace.safetensors", "/api/trace.json", "/api/arithmetic"])
@pytest.mark.parametrize(
    ("name", "field", "given", "said"),
    [
        ("words", "text", {"text": "the bear"}, "never seen bear"),
        ("words", "text", {"text": " "}, "must have a word"),
        ("words", "values", {"values": "1,2"}, "reads words, no numbers"),
        ("words", "text", {}, "send either text or tokens"),
        ("kinds", "values", {"values": "1"}, "steps of 2 numbers each"),
        ("kinds", "values", {"values": "nan,1"}, "between -1,000,000 and 1,000,000"),
        ("kinds", "values", {"values": "1e7,1"}, "between -1,000,000 and 1,000,000"),
        ("kinds", "text", {"text": "a"}, "reads numbers: send values"),
        ("kinds", "target", {"values": VALUES, "target": "storm"}, "calm, wave, spike or a number from 0 to 2"),
        ("kinds", "target", {"values": VALUES, "target": "calm;wave"}, "1 are needed"),
        ("tags", "target", {"text": "a wolf", "target": "calm"}, "2 are needed"),
        ("tune", "text", {"text": "ab"}, "reads one input"),
        ("tune", "target", {"text": "a", "target": "1;2"}, "steps of 2 numbers each"),
    ],
)
def test_a_wrong_address_names_field_and_range(client, ids, path, name, field, given, said):
    assert said in errors_of(client.get(path, params={"model": ids[name]} | given))[field]


@pytest.mark.parametrize("path", ["/api/trace.json", "/api/arithmetic", "/api/verification"])
@pytest.mark.parametrize(
    ("name", "field", "given", "said"),
    [
        ("kinds", "values", {"values": [[0.1]]}, "2 numbers each"),
        ("kinds", "values", {"values": []}, "1 to 20,000 steps"),
        ("kinds", "values.1", {"values": [[0.1, 0.2], []]}, "at least 1"),
        ("kinds", "values.0.1", {"values": [[0.1, "0.2"]]}, "number"),
        ("kinds", "values.0.0", {"values": [[True, 0.2]]}, "number"),
        ("kinds", "values", {"values": "0.1,0.2"}, "list"),
        ("kinds", "tokens", {"tokens": [0]}, "reads numbers"),
        ("kinds", "targets.0", {"values": ROWS, "targets": [None]}, "a label, the number of a class, or a list"),
        ("kinds", "targets.1", {"values": ROWS, "targets": [0, {"a": 1}]}, "a label, the number of a class"),
        ("kinds", "targets", {"values": ROWS, "targets": ["storm"]}, "calm, wave, spike or a number"),
        ("kinds", "targets", {"values": ROWS, "targets": [10**30]}, "a number from 0 to 2"),
        ("tune", "targets", {"text": "a", "targets": [0]}, "2 numbers each"),
        ("tune", "targets", {"text": "a", "targets": [[1.0, 2.0], [1.0]]}, "2 numbers each"),
        ("words", "interventions", {"text": "a", "interventions": [{"signal": "f", "value": 0.0}]}, "signal must be"),
    ],
)
def test_a_wrong_body_names_field_and_range(client, ids, path, name, field, given, said):
    assert said in errors_of(client.post(path, json={"model": ids[name]} | given))[field]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("field", ["values", "targets"])
def test_what_is_not_finite_is_refused(client, ids, number, field):
    given = {"values": "[[0.1, 0.2]]", "targets": "[[0.1, 0.2]]"} | {field: f"[[0.1, {number}]]"}
    body = f'{{"model": "{ids["kinds"]}", "values": {given["values"]}, "targets": {given["targets"]}}}'
    response = client.post("/api/trace", content=body, headers={"Content-Type": "application/json"})
    assert [name for name in errors_of(response) if name.startswith(field)]


def test_words_are_written_with_spaces_and_others_do_not_write(client, ids):
    asked = {"model": ids["words"], "prompt": "the wolf", "length": 5, "seed": 3}
    text = events_of(client.post("/api/generate", json=asked))[-1][1]["text"]
    assert len(text.split(" ")) == 5 and set(text.split(" ")) <= set(WORDS)
    for name, field in (("kinds", "prompt"), ("wave", "prompt"), ("tags", "model"), ("tune", "model")):
        prompt = "a" if name == "tune" else "a wolf"
        said = errors_of(client.post("/api/generate", json={"model": ids[name], "prompt": prompt}))
        assert "text" in said[field]
