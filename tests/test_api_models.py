import pytest
from safetensors.numpy import load

from tests.service import errors_of

FIELDS = "id title cell layers hidden task vocabulary_size parameters bits_per_character origin".split()


def test_every_network_is_listed(client):
    listed = {model["id"]: model for model in client.get("/api/models").json()["models"]}
    small = listed["small-lstm"]
    assert list(small) == FIELDS
    assert (small["cell"], small["layers"], small["hidden"]) == ("lstm", 2, 8)


def test_one_network_has_its_vocabulary_and_training(client):
    model = client.get("/api/models/small-gru").json()
    assert len(model["vocabulary"]) == model["vocabulary_size"] and "training" in model


def test_weights_are_the_file_with_pytorch_names(client, data):
    response = client.get("/api/models/small-lstm/weights")
    assert response.content == (data / "small-lstm.safetensors").read_bytes()
    assert 'filename="small-lstm.safetensors"' in response.headers["content-disposition"]
    assert load(response.content)["rnn.weight_hh_l1"].shape == (32, 8)


@pytest.mark.parametrize("id", ["none", "..%2fsmall-lstm", "small-lstm%00", "small-lstm.safetensors"])
@pytest.mark.parametrize("rest", ["", "/weights"])
def test_an_unknown_network_is_not_found(client, id, rest):
    response = client.get(f"/api/models/{id}{rest}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    if id == "none":
        assert "small-lstm" in errors_of(response, 404)["model"]
