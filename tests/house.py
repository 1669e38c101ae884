"""The house as a folder: a copy of it somewhere else, and that copy as it is when it is installed."""

import os
import shutil
from pathlib import Path

HOUSE = Path(__file__).parent.parent
MADE = ("build", "dist", "__pycache__", "*.egg-info", ".*")  # by tools, and what belongs to version control


def copied(to: Path) -> Path:
    """A copy of everything that is kept in the repository."""
    return shutil.copytree(HOUSE, to, ignore=shutil.ignore_patterns(*MADE))


def installed(house: Path, to: Path) -> Path:
    """A folder with the one package `gatescope`, whose rooms are links into a house; to be put on PYTHONPATH."""
    (package := to / "gatescope").mkdir(parents=True)
    for file in (house / "app/package").glob("*.py"):
        (package / file.name).symlink_to(file)
    for room in ("app", "models", "static", "templates"):
        (package / room).symlink_to(house / room)
    return to


def seeing(*paths: Path, **variables: object) -> dict[str, str]:
    """This process's environment, these folders the first in which Python looks for modules."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        **{name: str(value) for name, value in variables.items()},
    }
