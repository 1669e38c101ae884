"""The check of the gradients, asked over HTTP."""

import pytest

from tests.service import errors_of

ASKED = {"model": "small-gru", "text": "To be, or not"}


@pytest.mark.parametrize("loss", ["every", "last"])
def test_the_gradients_are_verified(client, loss):
    found = client.get("/api/verification", params=ASKED | {"loss": loss}).json()
    assert found["verified"] is True and found["relative_error"] < 1e-6


@pytest.mark.parametrize(
    ("field", "changed", "said"),
    [
        ("text", {"text": ""}, "1 to 2,000"),
        ("loss", {"loss": "no"}, "'every' or 'last'"),
        ("model", {"model": "no"}, "small-gru"),
    ],
)
def test_a_wrong_address_names_the_field(client, field, changed, said):
    assert said in errors_of(client.get("/api/verification", params=ASKED | changed))[field]
