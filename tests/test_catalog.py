import os

import pytest

from gatescope.app.http.problems import Problem
from gatescope.app.networks.catalog import Networks
from gatescope.models.pretrained import shipped


def test_shipped_networks_and_those_of_the_data_directory(data):
    networks = Networks(data).all()
    assert [*shipped()] == [*networks][: len(shipped())]
    assert networks["small-lstm"].origin == "run"
    assert all(networks[id].origin == "shipped" for id in shipped())


def test_a_directory_that_is_not_there_adds_nothing(tmp_path):
    assert [*Networks(tmp_path / "none").all()] == [*shipped()]


def test_a_broken_file_is_left_out_and_a_new_one_is_seen(tmp_path, data, caplog):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not tensors")
    networks = Networks(tmp_path)
    assert "broken" not in networks.all()
    assert "broken.safetensors is left out" in caplog.text
    broken.write_bytes((data / "small-gru.safetensors").read_bytes())
    os.utime(broken, ns=(1, 1))
    assert networks.get("broken").cell.id == "gru"


def test_an_unknown_network_is_a_problem_that_lists_the_known(data):
    with pytest.raises(Problem, match="must be one of .*small-lstm") as caught:
        Networks(data).get("../small-lstm", status=404)
    assert caught.value.status == 404
