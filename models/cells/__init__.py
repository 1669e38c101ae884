"""One file a cell; a file put here is found, described, trained, traced, compared, drawn and tested."""

import pkgutil
from functools import cache
from importlib import import_module

from gatescope.models.graph import Cell
from gatescope.models.graph.description import describe

__all__ = ["cells", "describe"]


@cache
def cells() -> dict[str, type[Cell]]:
    """Every cell of this folder by its id (the name of its file, with - for _), in the order of the alphabet."""
    found = {}
    for file in pkgutil.iter_modules(__path__):
        module = import_module(f"{__name__}.{file.name}")
        kinds = [
            kind
            for kind in vars(module).values()
            if isinstance(kind, type) and issubclass(kind, Cell) and kind.__module__ == module.__name__
        ]
        if len(kinds) != 1:
            raise TypeError(f"models/cells/{file.name}.py must define one cell, not {len(kinds)}")
        kinds[0].id = file.name.replace("_", "-")
        found[kinds[0].id] = kinds[0]
    return found
