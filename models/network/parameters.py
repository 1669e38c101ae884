"""A cell's parameters among a network's: how they begin, and how a file that names or stacks them otherwise is read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from gatescope.models.graph.cell import Cell
from gatescope.models.network.metadata import BadNetwork
from gatescope.models.refused import listed_names

Parameters = dict[str, np.ndarray]
STORED = re.compile(r"rnn\.(\w+?)(_l\d+(?:_reverse)?)")


def stored_under(parameters: Parameters) -> Iterator[tuple[str, str, str]]:
    """(stored name, the cell's own name for it, layer) of every parameter of a recurrent layer."""
    for name in parameters:
        if found := STORED.fullmatch(name):
            yield name, found[1], found[2]


def blocks_of(cell: type[Cell], parameter: str) -> list[str]:
    """The names of the blocks that lie one under the other in a parameter; empty where it is not stacked."""
    _, maps = cell.stacks().get(parameter.replace("bias", "weight"), (None, []))
    return [str(block.name) for block in maps if not block.width]


def begin_as_said(cell: type[Cell], parameters: Parameters) -> None:
    """Set what the cell says of how parameters begin (see `Cell.begin`), in place; TypeError for what there is not."""
    for key, number in cell.begin.items():
        parameter, _, block = key.partition(".")
        names = [name for name, own, _ in stored_under(parameters) if own == parameter]
        stacked = blocks_of(cell, parameter)
        if not names or (block and block not in stacked):
            raise TypeError(f"{cell.__name__}: begin names {key}, which is no parameter of the cell")
        for name in names:
            size = len(parameters[name]) // len(stacked) if block else len(parameters[name])
            first = stacked.index(block) * size if block else 0
            parameters[name][first : first + size] = number


def renamed(cell: type[Cell], parameters: Parameters) -> Parameters:
    """The parameters under their present names, where an older file calls them otherwise (see `Cell.renamed`)."""
    names = {name: f"rnn.{cell.renamed.get(own, own)}{layer}" for name, own, layer in stored_under(parameters)}
    return {names.get(name, name): array for name, array in parameters.items()}


def in_order(cell: type[Cell], parameters: Parameters, stored: Sequence[str], name: str) -> Parameters:
    """The parameters with their blocks in the cell's order, given the order of the file; raises BadNetwork where that
    has other blocks.
    """
    if not stored or tuple(stored) == cell.order():
        return parameters
    if sorted(stored) != sorted(cell.order()):
        theirs, ours = listed_names(stored), ", ".join(cell.order())
        raise BadNetwork(f"{name} stacks the blocks {theirs}; those of {cell.id} are {ours}")
    found = dict(parameters)
    for key, own, _ in stored_under(parameters):
        wanted = blocks_of(cell, own)
        there = [block for block in stored if block in wanted]
        if wanted != there:
            pieces = dict(zip(there, np.split(parameters[key], len(there)), strict=True))
            found[key] = np.concatenate([pieces[block] for block in wanted])
    return found
