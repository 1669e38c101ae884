"""The house itself: floors, circles, file lengths, names. What the documentation names is in `test_documentation`."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from gatescope.models.cells import cells, describe

HOUSE = Path(__file__).parent.parent
LONGEST = 300


def files(*places: str, kinds: str) -> list[Path]:
    found = [path for place in places for path in (HOUSE / place).rglob("*") if path.suffix in kinds.split()]
    assert found
    return sorted(found)


def name_of(path: Path) -> str:
    """The name under which a file is imported."""
    place = path.relative_to(HOUSE).with_suffix("")
    if place.parts[:2] == ("app", "package"):
        place = Path(place.name)
    return ".".join(("gatescope", *place.parts)).removesuffix(".__init__")


def room_of(path: Path) -> str:
    """The room a file lies in: its folder, or itself where it lies beside the rooms."""
    place = path.relative_to(HOUSE)
    return str(place.parent if len(place.parts) > 2 else place)


FILES = {name_of(path): path for path in files("models", "app", kinds=".py")}
PYTHON = {name: ast.parse(path.read_text()) for name, path in FILES.items()}
PAGES = files("static", "templates", kinds=".js .css .html")
# Every room with its floor: how many rooms lie under it at most. An arrow can only point to a lower floor.
ROOMS = {
    "models/refused.py": 1,
    "models/graph": 1,
    "models/cells": 2,
    "models/compiler": 2,
    "models/network": 3,
    "models/formats": 4,
    "models/inspection": 4,
    "models/pretrained.py": 4,
    "models/training": 5,
    "app/files.py": 1,
    "app/logs.py": 1,
    "app/settings.py": 1,
    "app/http": 3,
    "app/calculators": 5,
    "app/workers": 6,
    "app/runs": 7,
    "app/networks": 8,
    "app/api": 9,
    "app/pages": 10,
    "app/server.py": 11,
    "app/commands": 12,
    "app/package": 13,
}
ARROWS = {"models": 23, "app": 37}  # between two rooms of the same house, at most


def imports(tree: ast.AST) -> Iterator[str]:
    """The modules that are imported anywhere in a tree: for `from a import b` both a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import: {ast.unparse(node)}"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_networks_know_no_service_and_nobody_knows_the_tests():
    for name, tree in PYTHON.items():
        used = set(imports(tree))
        assert not any(each.partition(".")[0] in ("tests", "models", "app") for each in used), name
        if name.startswith("gatescope.models"):
            assert not any(each.startswith("gatescope.app") for each in used), name


def test_no_import_circles():
    reads = {name: (set(imports(tree)) & set(PYTHON)) - {name} for name, tree in PYTHON.items()}
    TopologicalSorter(reads).prepare()  # raises CycleError


def arrows() -> dict[str, set[str]]:
    """The rooms that each room imports from. `gatescope`, `models` and `app` themselves only hold rooms."""
    found: dict[str, set[str]] = {}
    for name, tree in PYTHON.items():
        here = room_of(FILES[name])
        there = {room_of(FILES[each]) for each in imports(tree) if each.count(".") > 1 and each in FILES}
        found[here] = found.get(here, set()) | there - {here}
    return {room: there for room, there in found.items() if not room.endswith("__init__.py")}


def test_every_room_stands_on_its_floor():
    found = arrows()
    floors: dict[str, int] = {}
    for room in TopologicalSorter(found).static_order():  # raises CycleError
        floors[room] = 1 + max((floors[below] for below in found[room]), default=0)
    assert floors == ROOMS


@pytest.mark.parametrize("house", ARROWS)
def test_there_are_few_arrows(house):
    drawn = [
        f"{room} → {below}"
        for room, under in arrows().items()
        for below in under
        if room.startswith(house) and below.startswith(house)
    ]
    assert len(drawn) <= ARROWS[house], drawn


def test_only_slow_and_optional_packages_are_imported_late():
    for name, tree in PYTHON.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                late = {imported.split(".")[0] for imported in imports(node)}
                slow = {"torch", "h5py", "llvmlite", "markdown_it", "ray", "charset_normalizer"}
                assert late <= slow, f"{name}.{node.name}"
        early = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert "torch" not in {module.split(".")[0] for node in early for module in imports(node)}, name


def test_a_file_is_read_in_one_sitting():
    every = [*files("models", "app", "tests", kinds=".py"), *PAGES]
    lengths = {str(path.relative_to(HOUSE)): len(path.read_text().splitlines()) for path in every}
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
        in_a_cell = name.startswith("gatescope.models.cells.")  # a cell's `step` is said once, in Cell
        silent += [
            f"{name}.{node.name}"
            for node in public(tree)
            if not ast.get_docstring(node) and not (in_a_cell and node.name == "step")
        ]
    assert silent == []


def test_static_spells_no_cell_and_no_signal():
    spelled = []
    names = set(cells()) | {signal["id"] for cell in cells().values() for signal in describe(cell)["signals"]}
    elements = (
        r"""(?s:/\*\*.*?\*/)|\b(make|svg)\([\w.]+, "\w+"|createElement\("\w+"\)"""  # a comment's axis, an HTML element
    )
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


@pytest.mark.parametrize("command", [("check", "--output-format=concise"), ("format", "--check")])
def test_ruff_finds_nothing(command):
    ruff = subprocess.run([sys.executable, "-m", "ruff", *command, HOUSE], capture_output=True, text=True)
    assert ruff.returncode == 0, ruff.stdout


def test_the_lock_pins_everything():
    pins = [line for line in (HOUSE / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []
    assert "torch==2.13.0" in pins


def test_no_two_public_functions_have_one_name():
    places: dict[str, list[str]] = {}
    for name, tree in PYTHON.items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name)
    places.pop("main")  # where a process begins
    assert {name: there for name, there in places.items() if len(there) > 1} == {}


def branches(function: ast.AST) -> int:
    """How often a function decides something."""
    kinds = ast.If | ast.For | ast.AsyncFor | ast.While | ast.ExceptHandler | ast.IfExp | ast.comprehension
    count = sum(isinstance(node, kinds) for node in ast.walk(function))
    count += sum(len(node.values) - 1 for node in ast.walk(function) if isinstance(node, ast.BoolOp))
    return count + sum(len(node.ifs) for node in ast.walk(function) if isinstance(node, ast.comprehension))


def test_a_function_decides_little_and_says_what_it_is_where_it_decides_much():
    winding, silent = [], []
    for name, tree in PYTHON.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                winding += [f"{name}.{node.name}"] if branches(node) > 15 else []
                is_said = ast.get_docstring(node) or node.name == "__init__"  # which the class says
                silent += [f"{name}.{node.name}"] if branches(node) > 7 and not is_said else []
    assert (winding, silent) == ([], [])
