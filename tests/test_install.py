"""The built wheel, installed beside what it stands on, used in a folder full of other people's modules of our names."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.house import HOUSE, copied, seeing
from tests.service import a_server

pytestmark = pytest.mark.slow
ROOMS = ("app", "models", "static", "templates")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """What `pip wheel` makes of the house."""
    folder = tmp_path_factory.mktemp("wheel")
    house = copied(folder / "house")
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, house]
    subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *build], check=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def scripts(wheel, tmp_path_factory) -> Path:
    """The folder of commands of an environment with the wheel, which sees the packages that are installed here."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False)
    # Paths only: the .pth files that lie there, an editable Gatescope's among them, are not looked at.
    others = [path for path in sys.path if path.endswith("site-packages")]
    found = sysconfig.get_path("purelib", "venv", {"base": str(place), "platbase": str(place)})
    (Path(found) / "others.pth").write_text("\n".join(others))
    install = ["install", "--quiet", "--no-deps", "--no-index", "--ignore-installed", wheel]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", place / "bin/python"]
    subprocess.run([*pip, *install], check=True)
    return place / "bin"


@pytest.fixture(params=["modules", "packages"])
def hostile(request, tmp_path) -> Path:
    """A folder with modules, or packages, that are called as ours and end whoever imports them."""
    for room in (*ROOMS, "tests"):
        file = tmp_path / (f"{room}.py" if request.param == "modules" else f"{room}/__init__.py")
        file.parent.mkdir(exist_ok=True)
        file.write_text('raise SystemExit("the wrong one")\n')
    return tmp_path


@pytest.fixture
def run(scripts, hostile, tmp_path_factory) -> Iterator:
    """Runs a command of that environment there; what it printed."""
    environment = seeing(GATESCOPE_DATA=tmp_path_factory.mktemp("data"), COLUMNS=200)
    del environment["PYTHONPATH"]

    def run(command: str, *arguments: str) -> str:
        done = subprocess.run(
            [scripts / command, *arguments], capture_output=True, text=True, cwd=hostile, env=environment
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_wheel_puts_everything_under_one_name(wheel):
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    assert {name.partition("/")[0] for name in packed} == {
        "gatescope",
        f"{'-'.join(wheel.stem.split('-')[:2])}.dist-info",
    }
    ours = [path.relative_to(HOUSE) for room in ROOMS for path in (HOUSE / room).rglob("*") if path.is_file()]
    ours = {path for path in ours if "__pycache__" not in path.parts}
    missing = {f"gatescope/{path}" for path in ours if path.parts[:2] != ("app", "package")} - packed
    assert missing == set() and {"gatescope/__init__.py", "gatescope/__main__.py"} <= packed


def test_it_is_imported_and_commanded_among_modules_of_its_rooms_names(run):
    read = "import gatescope.models.cells as ours; print(sorted(ours.cells())); print(ours.__file__)"
    cells, place = run("python", "-c", read).splitlines()
    assert "'lstm'" in cells and str(HOUSE) not in place
    assert "shakespeare-lstm" in run("gatescope", "models")
    assert "shakespeare-lstm" in run("python", "-m", "gatescope", "models")


def test_every_page_is_served_among_them(scripts, hostile, tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    environment = seeing()
    del environment["PYTHONPATH"]
    with a_server(["serve", "--data", data], command=[scripts / "gatescope"], cwd=hostile, env=environment) as address:
        for path in ("/", "/static/bench.js", "/embed/unfold", "/docs", "/train", "/api/cells", "/plotly.min.js"):
            assert httpx.get(address + path).status_code == 200, path


def test_a_package_called_models_stays_its_owners(scripts, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/__init__.py").write_text('WHOSE = "the student\'s"\n')
    read = "import models, gatescope.models; print(models.WHOSE, models is gatescope.models)"
    done = subprocess.run([scripts / "python", "-c", read], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "the student's False\n", done.stderr
