"""What the tests share: a real server on loopback, and a small network of each kind of cell beside the shipped ones."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from xdist.scheduler import LoadScopeScheduling

from gatescope.app.commands.cli import main
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


# What must not be begun twice where workers share the tests: the browser, the Ray cluster, a wheel, long trainings.
TOGETHER = re.compile(r"tests/browser/|tests/test_backends\.py::.*\[.*ray|tests/(test_install|test_api_runs)\.py")


class Together(LoadScopeScheduling):
    """Tests go to whichever worker is free, those of one group to one of them, in a row.

    (pytest-xdist's own groups, `--dist loadgroup`, are passed over in silence by this pytest.)
    """

    def _split_scope(self, nodeid: str) -> str:
        found = TOGETHER.match(nodeid)
        return found[0].partition("::")[0] if found else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Together:
    """How tests are shared out among workers, if there are several."""
    return Together(config, log)


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


@pytest.fixture
def gatescope(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line as its entry point runs it, in this process: what it printed and its exit status.

    input: standard input; env: variables beside the tests' data directory. Whatever escapes it fails the test.
    """

    def run(*arguments: object, input: str = "", env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as here:
            here.setattr(sys, "argv", ["gatescope", *map(str, arguments)])
            here.setattr(sys, "stdin", io.StringIO(input))
            for name, value in {"GATESCOPE_DATA": str(data), "COLUMNS": "200", **(env or {})}.items():
                here.setenv(name, value)
            capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, ended.value.code or 0, said.out, said.err)

    return run


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
