"""What is installed: every package that running needs has a floor, what it brings along is pinned, and the pins fit."""

import ast
import re
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HOUSE = Path(__file__).parent.parent
PROJECT = tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]
PINS = {
    canonicalize_name(name): version
    for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (HOUSE / "constraints.txt").read_text(), re.M)
}
EXTRAS = PROJECT["optional-dependencies"]
RUNTIME = [Requirement(each) for each in PROJECT["dependencies"]]
EVERY = sorted({*PROJECT["dependencies"], *(each for extra in EXTRAS.values() for each in extra)})


@pytest.mark.parametrize("text", EVERY)
def test_every_requirement_has_a_floor_and_a_pin_above_it(text):
    requirement = Requirement(text)
    assert [each.operator for each in requirement.specifier] == [">="]
    assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])


def needed(requirement: Requirement, found: dict[str, Requirement]) -> None:
    """Gather what a requirement brings along on this machine, by name."""
    name = canonicalize_name(requirement.name)
    if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
        return
    found[name] = requirement
    for each in distribution(name).requires or []:
        needed(Requirement(each), found)


def test_everything_that_running_brings_along_is_pinned():
    found: dict[str, Requirement] = {}
    for requirement in RUNTIME:
        needed(requirement, found)
    assert len(found) > len(RUNTIME)
    assert sorted(set(found) - set(PINS)) == []
    unfit = [str(each) for name, each in found.items() if not each.specifier.contains(PINS[name])]
    assert unfit == []


def test_what_is_imported_is_required():
    """By name, not because something else happens to bring it along."""
    here = sys.stdlib_module_names | {"gatescope"}
    imported = set()
    for path in (*HOUSE.glob("app/**/*.py"), *HOUSE.glob("models/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            imported |= {name.partition(".")[0] for name in names} - here
    required = {canonicalize_name(Requirement(each).name) for each in EVERY}
    providers = packages_distributions()
    missing = {name for name in imported if not {canonicalize_name(each) for each in providers[name]} & required}
    assert missing == set()


def test_the_audit_is_over_all_pins_and_takes_no_silence_for_an_answer():
    audit = re.search(r"^audit:.*\n(?:\t.*\n)+", (HOUSE / "Makefile").read_text(), re.M)[0]
    assert "--strict" in audit and "-r constraints.txt" in audit and "build/audit" in audit
