"""The page's data modules, tested where they are written: in JavaScript, by the node that Playwright brings along."""

import re
import subprocess
from pathlib import Path

import playwright
import pytest

NODE = Path(playwright.__file__).parent / "driver" / "node"
FILES = sorted((Path(__file__).parent / "js").glob("*.test.mjs"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_of_the_page(file, tmp_path):
    options = ["--test-reporter=tap", "--test-isolation=none", "--test-force-exit"]
    options.append(f"--localstorage-file={tmp_path / 'storage'}")  # what a browser remembers
    run = subprocess.run([NODE, "--test", *options, file], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert int(re.search(r"^# pass (\d+)$", run.stdout, re.M)[1]) > 0
