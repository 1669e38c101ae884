"""README's recipe for a cell of one's own, followed to the letter in a copy of the house."""

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.house import HOUSE, copied, installed, seeing
from tests.service import a_server

pytestmark = pytest.mark.slow


def the_recipe() -> tuple[str, str]:
    """(the file to put into models/cells/, what it holds), as README has it."""
    section = (HOUSE / "README.md").read_text().partition("## Add a cell")[2].partition("\n## ")[0]
    name = re.search(r"say `(?:models/cells/)?(\w+\.py)`", section)[1]
    fenced = re.search(r"```python\n(.*?)```", section, re.S)
    indented = "\n".join(line[4:] for line in section.splitlines() if line.startswith("    ") or not line)
    return name, fenced[1] if fenced else indented.strip() + "\n"


def test_a_file_of_equations_is_a_cell_that_trains_is_listed_traced_and_judged(tmp_path):
    house = copied(tmp_path / "house")
    name, program = the_recipe()
    (house / "models/cells" / name).write_text(program)
    cell, data, there = Path(name).stem, tmp_path / "data", installed(house, tmp_path / "installed")
    (tmp_path / "book.txt").write_text("one two three four five, once I caught a fish alive. " * 40)
    environment = seeing(there, house, GATESCOPE_DATA=data)

    def run(*command: object) -> str:
        done = subprocess.run([sys.executable, "-m", *map(str, command)], capture_output=True, text=True,
                              cwd=house, env=environment)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("gatescope", "train", tmp_path / "book.txt", "--cell", cell, "--steps", 20, "--hidden", 8)
    with a_server(["serve", "--data", data], env=environment, cwd=house) as address:
        (listed,) = [each for each in httpx.get(f"{address}/api/cells").json()["cells"] if each["id"] == cell]
        asked = {"model": f"book-{cell}", "text": "once I caught"}
        traced = httpx.get(f"{address}/api/trace.json", params=asked).json()
        assert f'"{cell}"' in httpx.get(address, params=asked).text
    signals = [signal["id"] for signal in listed["signals"]]
    assert signals and all(f"grad.layer0.{signal}" in traced["tensors"] for signal in signals)
    assert traced["metadata"]["cell"]["id"] == cell
    assert json.loads((data / f"book-{cell}.json").read_text())["steps"] == 20

    judged = run("pytest", "tests/test_cells.py", "-k", cell, "-p", "no:cacheprovider", "-p", "no:xdist", "-q")
    passed = int(re.search(r"(\d+) passed", judged)[1])
    others = len([line for line in (house / "tests/test_cells.py").read_text().splitlines() if line == "@EVERY_CELL"])
    assert passed >= others and "failed" not in judged and "skipped" not in judged
