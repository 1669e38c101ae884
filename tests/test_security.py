"""SECURITY.md: every promise names the test that holds it, and that test is there and is run."""

import ast
import re
from pathlib import Path

import pytest

from gatescope.app.settings import Settings

HOUSE = Path(__file__).parent.parent
TEXT = (HOUSE / "SECURITY.md").read_text()
NAMED = re.findall(r"(tests/[\w/]+\.py)::(\w+)", TEXT)
PROMISES = [
    row for row in re.findall(r"^\|(.+)\|(.+)\|$", TEXT, re.M) if "---" not in row[0] and "promised" not in row[0]
]


def test_every_promise_names_what_holds_it():
    assert len(PROMISES) > 15
    assert [said for said, held in PROMISES if not re.search(r"tests/[\w/]+\.py::test_\w+", held)] == []


@pytest.mark.parametrize(("path", "name"), dict.fromkeys(NAMED))
def test_what_holds_a_promise_is_there(path, name):
    functions = {
        node.name: node for node in ast.parse((HOUSE / path).read_text()).body if isinstance(node, ast.FunctionDef)
    }
    assert name in functions, f"{path} has no {name}"
    marks = {ast.unparse(mark) for mark in functions[name].decorator_list}
    assert not any("skip" in mark or "xfail" in mark for mark in marks)


def test_the_settings_it_names_are_settings():
    named = {word.lower() for word in re.findall(r"\b[A-Z]{3,}(?:_[A-Z]+)*\b", TEXT)} - {"tls", "dns"}
    assert named - {"gatescope"} <= set(Settings.model_fields) | {"security"}


def test_what_it_links_to_is_there_and_lines_are_not_too_long():
    targets = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert targets and [target for target in targets if not (HOUSE / target).is_file()] == []
    prose = [line for line in TEXT.splitlines() if not line.startswith("|")]
    assert [line for line in prose if len(line) > 120] == []
    assert "make audit" in TEXT and re.search(r"^audit:", (HOUSE / "Makefile").read_text(), re.M)
