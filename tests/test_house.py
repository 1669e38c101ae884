"""The house itself: floors, circles, file lengths, names, and that the README names everything."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from app.cli import cli
from app.server import create_app
from app.settings import Settings
from models.cells import cells, describe

HOUSE = Path(__file__).parent.parent
LONGEST = 300
EVENTS = "begin forward backward character end state progress gates sample checkpoint gap".split()


def files(*places: str, kinds: str) -> list[Path]:
    found = [path for place in places for path in (HOUSE / place).rglob("*") if path.suffix in kinds.split()]
    assert found
    return sorted(found)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(HOUSE).with_suffix("").parts).removesuffix(".__init__")


PYTHON = {name_of(path): ast.parse(path.read_text()) for path in files("models", "app", kinds=".py")}
PAGES = files("static", "templates", kinds=".js .css .html")


def imports(tree: ast.AST) -> Iterator[str]:
    """The modules that are imported anywhere in a tree: for `from a import b` both a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import: {ast.unparse(node)}"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_floors():
    below = {"models": {"models"}, "app": {"models", "app"}}
    house = {"models", "app", "tests", "static", "templates"}
    for name, tree in PYTHON.items():
        used = {imported.split(".")[0] for imported in imports(tree)} & house
        assert used <= below[name.split(".")[0]], name


def test_no_import_circles():
    reads = {name: (set(imports(tree)) & set(PYTHON)) - {name} for name, tree in PYTHON.items()}
    TopologicalSorter(reads).prepare()  # raises CycleError


def test_only_torch_and_optional_packages_are_imported_late():
    for name, tree in PYTHON.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                late = {imported.split(".")[0] for imported in imports(node)}
                assert late <= {"torch", "h5py", "llvmlite", "ray"}, f"{name}.{node.name}"
        early = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert "torch" not in {module.split(".")[0] for node in early for module in imports(node)}, name


def test_a_file_is_read_in_one_sitting():
    every = [*files("models", "app", "tests", kinds=".py"), *PAGES]
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in every}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def public(tree: ast.Module | ast.ClassDef) -> Iterator[ast.AST]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node)


def test_what_is_public_says_what_it_is():
    silent = [name for name, tree in PYTHON.items() if not ast.get_docstring(tree)]
    for name, tree in PYTHON.items():
        in_a_cell = name.startswith("models.cells.")  # a cell's `step` is said once, in Cell
        silent += [
            f"{name}.{node.name}"
            for node in public(tree)
            if not ast.get_docstring(node) and not (in_a_cell and node.name == "step")
        ]
    assert silent == []


def test_static_spells_no_cell_and_no_signal():
    spelled = []
    names = set(cells()) | {signal["id"] for cell in cells().values() for signal in describe(cell)["signals"]}
    elements = r"""\b(make|svg)\([\w.]+, "\w+"|createElement\("\w+"\)"""  # an HTML element may be called like a signal
    for path in files("static", kinds=".js .css"):
        text = re.sub(elements, "", path.read_text())
        for name in sorted(names):
            pattern = rf"\b{name}\b" if len(name) > 1 else rf"""(['"`]){name}\1"""
            spelled += [f"{path.relative_to(HOUSE)}: {name}"] if re.search(pattern, text, re.I) else []
    assert spelled == []


def test_every_import_of_a_page_is_there():
    for path in files("static", kinds=".js"):
        for target in re.findall(r"""\bfrom\s+["'](\.[^"']+)["']""", path.read_text()):
            assert (path.parent / target).is_file(), f"{path.name} imports {target}"


@pytest.fixture(scope="module")
def readme() -> str:
    return (HOUSE / "README.md").read_text()


def test_the_readme_names_every_route(readme, data):
    app = create_app(Settings(data=data))
    paths = [*app.openapi()["paths"], "/", "/embed/{view}", "/docs", "/openapi.json", "/static"]
    assert [path for path in paths if f"`{path}" not in readme and f" {path}" not in readme] == []


def test_the_readme_names_every_setting(readme):
    settings = [f"GATESCOPE_{name.upper()}" for name in Settings.model_fields]
    assert [setting for setting in settings if setting not in readme] == []


def test_the_readme_names_every_command_and_event(readme):
    commands = [f"gatescope {command.callback.__name__}" for command in cli.registered_commands]
    assert [name for name in [*commands, *(f"`{event}`" for event in EVENTS)] if name not in readme] == []


def test_ruff_finds_nothing():
    command = [sys.executable, "-m", "ruff", "check", "--output-format=concise", HOUSE]
    ruff = subprocess.run(command, capture_output=True, text=True)
    assert ruff.returncode == 0, ruff.stdout


def test_the_lock_pins_everything():
    pins = [line for line in (HOUSE / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []
    assert "torch==2.13.0" in pins
