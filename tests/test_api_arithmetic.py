import numpy as np
import pytest

from tests.service import errors_of

ASKED = {"model": "small-lstm", "text": "To be", "layer": 1, "unit": 3}


def test_the_terms_of_a_gate_add_up_to_it(client):
    found = client.get("/api/arithmetic", params=ASKED).json()
    assert (found["layer"], found["unit"]) == (1, 3)
    tensors = client.get("/api/trace.json", params={"model": "small-lstm", "text": "To be"}).json()["tensors"]
    total = sum(np.array(term["values"]) for term in found["terms"]["f"])
    np.testing.assert_allclose(1 / (1 + np.exp(-total)), np.array(tensors["layer1.f"])[:, 3], rtol=1e-4)


@pytest.mark.parametrize(
    ("field", "changed", "said"),
    [
        ("model", {"model": "none"}, "small-lstm"),
        ("text", {"text": "\u00e9"}, "U+00E9"),
        ("layer", {"layer": 2}, "between 0 and 1"),
        ("unit", {"unit": 8}, "between 0 and 7"),
        ("unit", {"unit": "x"}, "integer"),
        ("gate", {"gate": "1"}, "is not a field"),
    ],
)
def test_a_wrong_address_names_field_and_range(client, field, changed, said):
    assert said in errors_of(client.get("/api/arithmetic", params=ASKED | changed))[field]
