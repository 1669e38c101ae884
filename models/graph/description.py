"""Everything that is said about a cell without running it: roles, ranges, equations and the wiring that a page draws.

All of it is read off the traced step, so that what is drawn is what is computed; nothing is described twice.
"""

from __future__ import annotations

from typing import Any

from cachetools import LRUCache, cached

from gatescope.models.graph.cell import Cell
from gatescope.models.graph.equation import displayed, equation, face
from gatescope.models.graph.graph import Graph
from gatescope.models.graph.node import Node
from gatescope.models.graph.operations import LEAVES, OPERATIONS, operations_table
from gatescope.models.graph.ranges import ranges

PURPOSES = {
    "gate": "A gate: it lets through as large a part of what it is multiplied with as its value says, 0 none, 1 all.",
    "candidate": "What is new at this step, before anything decides how much of it counts.",
    "state": "What is carried to the next step, and written anew at each.",
    "road": "What is carried to the next step on a straight road: it is kept and added to, never squashed on its way.",
}


@cached(LRUCache(256))
def describe(cell: type[Cell]) -> dict[str, Any]:
    """A cell in words and wiring, as a page needs it: signals (role, range, reads, equation), the graph, and the
    operations that a graph may have.

    It is made once: whoever wants to change it makes a copy.
    """
    graph, reach = cell.graph(), ranges(cell)
    signals = []
    for name, node in graph.signals.items():
        title, course_title = cell.words.get(name, (name, name))
        signals.append(
            {
                "id": name,
                "role": role(cell, name),
                "range": reach[name],
                "title": title,
                "course_title": course_title,
                "purpose": cell.purposes.get(name) or purpose(cell, name),
                "reads": [graph.label(read) for read in _read_by(node) if read.signal or read.op in ("input", "state")],
                "equation": equation(graph, name),
                "road": is_road(cell, name),
            }
        )
    return {
        "id": cell.id,
        "title": cell.title,
        "states": list(cell.memories()),
        "signals": signals,
        "reference": cell.reference,
        "options": {
            name: {"from": allowed[0], "to": allowed[-1]} if isinstance(allowed, range) else list(allowed)
            for name, allowed in cell.options.items()
        },
        "chosen": cell.chosen,
        "summary": " ".join((cell.__doc__ or "").partition("\n\n")[0].split()),
        "parameters": list(cell.parameter_shapes(1, 1)),
        "graph": _nodes(graph),
        "operations": operations_table(),
    }


def _nodes(graph: Graph) -> list[dict[str, Any]]:
    """The graph as it is drawn: each node after those it reads, by their places in the list."""
    order: dict[Node, int] = {}

    def visit(node: Node) -> None:
        if node not in order:
            for read in face(node).reads:
                visit(displayed(read))
            order[node] = len(order)

    for root in graph.roots:
        visit(displayed(root))
    return [
        {
            "op": "input" if node in graph.lags else face(node).op,
            "reads": [order[displayed(read)] for read in face(node).reads],
            "signal": None if node.hidden else node.signal,
            "name": graph.label(node) if node in graph.lags else node.name,
        }
        for node in order
    ]


def role(cell: type[Cell], signal: str) -> str:
    """What a signal is for: `state` if it is carried on, else `gate` or `candidate`, as its author named it."""
    return "state" if signal in cell.memories() else cell.graph().signals[signal].role or "candidate"


def purpose(cell: type[Cell], signal: str) -> str:
    """What a signal is for, as far as its part in the cell says it: for a cell whose author did not."""
    part = "road" if role(cell, signal) == "state" and is_road(cell, signal) else role(cell, signal)
    return PURPOSES[part]


def is_road(cell: type[Cell], signal: str) -> bool:
    """Whether a state goes from step to step without passing through a matrix or a squashing function."""
    graph = cell.graph()
    if signal not in graph.before:
        return False

    def carries(node: Node) -> bool:
        if node is graph.before[signal]:
            return True
        return OPERATIONS[node.op].kind == "arithmetic" and any(carries(read) for read in node.reads)

    return carries(graph.after[signal])


def _read_by(signal: Node) -> list[Node]:
    """The leaves and signals that a signal's own equation reads, in the order in which they are written."""
    found: dict[Node, None] = {}

    def visit(node: Node) -> None:
        for read in map(displayed, face(node).reads):
            if (read.signal and not read.hidden) or read.op in LEAVES:
                found[read] = None
            else:
                visit(read)

    visit(signal)
    return list(found)
