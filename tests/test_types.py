"""What is annotated is so: mypy, strict, over the networks and the service."""

import os
import subprocess
import sys

from tests.house import HOUSE, installed


def test_mypy_finds_nothing(tmp_path):
    there = installed(HOUSE, tmp_path)  # it knows nothing of setuptools' package-dir
    config = ["--config-file", HOUSE / "pyproject.toml", "--cache-dir", HOUSE / ".mypy_cache", "--no-error-summary"]
    packages = ["-p", "gatescope.models", "-p", "gatescope.app"]
    found = subprocess.run(
        [sys.executable, "-m", "mypy", *config, *packages], capture_output=True, text=True, cwd=there,
        env=os.environ | {"MYPYPATH": str(there)},
    )  # fmt: skip
    assert (found.stdout, found.stderr) == ("", "")
