import pytest

from tests.service import errors_of, events_of

ASKED = {"model": "small-gru", "prompt": "To be", "length": 20, "seed": 7}


def written(client, **changed) -> str:
    return events_of(client.post("/api/generate", json=ASKED | changed))[-1][1]["text"]


def test_events_of_a_generation(client):
    events = events_of(client.post("/api/generate", json=ASKED))
    names = [name for name, _ in events]
    assert names[0] == "begin" and names[-1] == "end"
    assert names.count("character") == 20
    first = events[names.index("character")][1]
    assert {"t", "token", "probability", "top", "layers"} <= set(first)


def test_same_seed_same_text(client):
    assert written(client) == written(client)
    assert len({written(client, seed=seed) for seed in range(5)}) > 1


def test_an_overwritten_gate_writes_another_text(client):
    shut = [{"layer": 0, "signal": "z", "value": 1.0, "from": 2}]
    assert written(client, interventions=shut) == written(client, interventions=shut) != written(client)


def test_cold_or_one_choice_is_the_likeliest(client):
    assert written(client, temperature=0) == written(client, top_k=1) == written(client, temperature=1e-9, seed=3)


@pytest.mark.parametrize(
    ("field", "changed", "said"),
    [
        ("model", {"model": "none"}, "small-gru"),
        ("prompt", {"prompt": ""}, "1 to 20,000"),
        ("prompt", {"prompt": "\u00e9"}, "é (U+00E9)"),
        ("length", {"length": 0}, "greater than or equal to 1"),
        ("length", {"length": 2001}, "less than or equal to 2000"),
        ("length", {"length": "20"}, "integer"),
        ("temperature", {"temperature": -1}, "greater than or equal to 0"),
        ("temperature", {"temperature": "1"}, "number"),
        ("top_k", {"top_k": 0}, "greater than or equal to 1"),
        ("top_k", {"top_k": 10_000}, "between 1 and"),
        ("seed", {"seed": -1}, "greater than or equal to 0"),
        ("seed", {"seed": 1.5}, "integer"),
        ("tempo", {"tempo": 1}, "is not a field"),
    ],
)
def test_a_wrong_body_names_field_and_range(client, field, changed, said):
    assert said in errors_of(client.post("/api/generate", json=ASKED | changed))[field]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_what_is_not_finite_is_refused(client, number):
    body = f'{{"model": "small-gru", "prompt": "a", "temperature": {number}}}'
    response = client.post("/api/generate", content=body, headers={"Content-Type": "application/json"})
    assert "finite" in errors_of(response)["temperature"]
