"""Who influences whom, asked over HTTP."""

import numpy as np
import pytest

from tests.service import errors_of

ASKED = {"model": "small-lstm", "text": "To be, or not"}


def test_the_map_sums_up_to_what_a_trace_says(client):
    found = client.get("/api/influence", params=ASKED | {"signal": "c"}).json()
    rows = np.array(found["influence"])
    assert rows.shape == (13, 13) and found["signal"] == "c" and not np.triu(rows, 1).any()
    last = client.post("/api/trace.json", json=ASKED | {"loss": "last"}).json()["tensors"]["grad.layer0.c"]
    assert rows[11] == pytest.approx(np.linalg.norm(last, axis=1), abs=1e-6)  # the last loss falls at step N−2


def test_what_is_held_lets_nothing_through(client):
    held = [{"layer": 1, "signal": signal, "value": 0.5, "from": 5, "to": 6} for signal in ("c", "h")]
    rows = np.array(client.post("/api/influence", json=ASKED | {"layer": 1, "interventions": held}).json()["influence"])
    assert not rows[5:, :5].any() and rows[4, :5].all() and rows[7, 5:8].all()


@pytest.mark.parametrize(
    ("field", "changed", "said"),
    [
        ("text", {"text": ""}, "1 to 2,000"),
        ("text", {"text": "a" * 1001}, "at most 1,000 steps"),
        ("layer", {"layer": 9}, "between 0 and"),
        ("signal", {"signal": "f"}, "must be one of h, c"),
    ],
)
def test_a_wrong_address_names_the_field(client, field, changed, said):
    assert said in errors_of(client.get("/api/influence", params=ASKED | changed))[field]
