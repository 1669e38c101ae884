"""What the tests share: a real server on loopback, and a small network of each kind of cell beside the shipped ones."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gatescope.app.settings import Settings
from gatescope.models.cells import cells
from gatescope.models.compiler.backend import VARIABLE
from gatescope.models.network.network import untrained
from gatescope.models.training import device
from tests.service import serve
from tests.tasks import networks

# Trainings are compared to the last bit, which is promised for processors; `test_device` asks for GPUs itself.
os.environ[device.VARIABLE] = "cpu"
VOCABULARY = sorted(set("\n !',-./():;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz<>&$"))


@pytest.fixture(params=["numpy", "compiled"])
def each_kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kernels in turn."""
    monkeypatch.setenv(VARIABLE, request.param)
    return request.param


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with an untrained network `small-<cell>` of two layers for every kind of cell, and those of
    `tests.tasks`.
    """
    folder = tmp_path_factory.mktemp("data")
    for id, cell in cells().items():
        network = untrained(cell, layers=2, hidden=8, vocabulary=VOCABULARY, embedding=5, title=f"Small {id}")
        (folder / f"small-{id}.safetensors").write_bytes(network.to_bytes())
    for id, network in networks().items():
        (folder / f"{id}.safetensors").write_bytes(network.to_bytes())
    return folder


@pytest.fixture(scope="session")
def settings(data: Path) -> Settings:
    """The settings of the tests' server."""
    return Settings(data=data)


@pytest.fixture(scope="session")
def address(settings: Settings) -> Iterator[str]:
    """The address of the tests' server."""
    with serve(settings) as address:
        yield address


@pytest.fixture(scope="session")
def client(address: str) -> Iterator[httpx.Client]:
    """A client of the tests' server."""
    with httpx.Client(base_url=address, timeout=60) as client:
        yield client
