"""Everything that is said about a cell without running it: roles, ranges, equations and the wiring that a page draws.

All of it is read off the traced step, so that what is drawn is what is computed; nothing is described twice.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import product

from models.cell import Cell
from models.graph import ACTIVATIONS, LEAVES, Graph, Node, terms

# What each operation of a graph reads and is written as; the pages draw from it.
OPERATIONS = {
    name: {"arity": arity, "symbol": symbol, "kind": kind}
    for name, arity, symbol, kind in (
        ("input", 0, None, "leaf"),
        ("state", 0, None, "leaf"),
        ("parameter", 0, None, "leaf"),
        ("constant", 0, None, "leaf"),
        ("linear", 1, None, "map"),
        ("sigmoid", 1, "σ", "activation"),
        ("tanh", 1, "tanh", "activation"),
        ("relu", 1, "relu", "activation"),
        ("exp", 1, "exp", "activation"),
        ("sqrt", 1, "√", "activation"),
        ("identity", 1, "", "activation"),
        ("add", 2, "+", "arithmetic"),
        ("sub", 2, "−", "arithmetic"),
        ("mul", 2, "×", "arithmetic"),
        ("div", 2, "/", "arithmetic"),
        ("mean", 1, "mean", "reduction"),
    )
}


@cache
def describe(cell: type[Cell]) -> dict:
    """A cell in words and wiring, as a page needs it: signals (role, range, reads, equation) and the graph.

    It is made once: whoever wants to change it makes a copy.
    """
    graph = cell.graph()
    spans = _ranges(cell)
    signals = []
    for name, node in graph.signals.items():
        title, course_title = cell.words.get(name, (name, name))
        signals.append(
            {
                "id": name,
                "role": role(cell, name),
                "range": spans[name],
                "title": title,
                "course_title": course_title,
                "reads": [graph.label(read) for read in _read_by(node) if read.signal or read.op in ("input", "state")],
                "equation": f"{name}_t = {_equation(graph, node)}",
                "road": is_road(cell, name),
            }
        )
    place = {id(node): index for index, node in enumerate(graph.nodes)}
    nodes = [
        {
            "op": "input" if node in graph.lags else node.op,
            "reads": [place[id(read)] for read in node.reads],
            "signal": node.signal,
            "name": graph.label(node) if node in graph.lags else node.name,
        }
        for node in graph.nodes
    ]
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
        "summary": (cell.__doc__ or "").split("\n")[0],
        "parameters": list(cell.parameter_shapes(1, 1)),
        "graph": nodes,
        "operations": OPERATIONS,
    }


def role(cell: type[Cell], signal: str) -> str:
    """What a signal is for: `state` if it is carried on, else `gate` (a sigmoid) or `candidate`."""
    if signal in cell.memories():
        return "state"
    return "gate" if cell.graph().signals[signal].op == "sigmoid" else "candidate"


def is_road(cell: type[Cell], signal: str) -> bool:
    """Whether a state goes from step to step without passing through a matrix or a squashing function."""
    graph = cell.graph()
    if signal not in graph.before:
        return False

    def carries(node: Node) -> bool:
        if node is graph.before[signal]:
            return True
        return node.op in ("add", "sub", "mul") and any(carries(read) for read in node.reads)

    return carries(graph.after[signal])


def _read_by(signal: Node) -> list[Node]:
    """The leaves and signals that a signal's own equation reads, in the order in which they are written."""
    found: dict[int, Node] = {}

    def visit(node: Node) -> None:
        for read in node.reads:
            if read.signal or read.op in LEAVES:
                found[id(read)] = read
            else:
                visit(read)

    visit(signal)
    return list(found.values())


def _equation(graph: Graph, node: Node, top: bool = True) -> str:
    if graph.lags.get(node):
        return f"x_{{t−{graph.lags[node]}}}"
    if not top and (node.signal or node.op in LEAVES):
        return {"state": f"{node.name}_{{t−1}}", "input": "x_t", "constant": "1"}.get(node.op, _symbol(node))
    if node.op == "linear" and node.width:
        return f"P {_equation(graph, node.reads[0], False)}"
    if node.op == "linear":
        lag = graph.lags.get(node.reads[0])
        letter = f"W{lag}" if lag else {"input": "W", "state": "U"}.get(node.reads[0].op, "V")
        return f"({letter}_{node.name} {_equation(graph, node.reads[0], False)} + b_{node.name})"
    if node.op in ACTIVATIONS:
        name = {"sigmoid": "σ", "tanh": "tanh", "relu": "relu"}[node.op]
        summands = terms(node.reads[0])
        if sum(summand.op == "linear" for summand in summands) > 0:
            parts = [_equation(graph, summand, False) for summand in summands]
            parts = [
                part[1:].rsplit(" + ", 1)[0] if summand.op == "linear" else part
                for part, summand in zip(parts, summands, strict=True)
            ]
            bias = next(summand.name for summand in summands if summand.op == "linear")
            return f"{name}({' + '.join(parts)} + b_{bias})"
        return f"{name}({_equation(graph, node.reads[0], False)})"
    sign = {"add": " + ", "sub": " − ", "mul": " ⊙ "}[node.op]
    sides = [_equation(graph, read, False) for read in node.reads]
    if node.op == "mul":
        sides = [
            f"({side})" if read.op in ("add", "sub") and not read.signal else side
            for side, read in zip(sides, node.reads, strict=True)
        ]
    return sign.join(sides)


def _symbol(node: Node) -> str:
    if node.op == "parameter":
        return node.name.replace("weight_", "w_")
    return f"{node.signal}_t"


def _ranges(cell: type[Cell]) -> dict[str, list[float] | None]:
    """The interval each signal can reach, None if it has no bound.

    The equations are linear in each vector they multiply and rise with what they squash, so their extremes lie at
    corners; a state starts at 0 and is widened step by step. What still grows after three steps has no bound.
    """
    graph = cell.graph()
    spans = dict.fromkeys(cell.memories(), (0.0, 0.0))
    reached: dict[str, tuple[float, float]] = {}
    history = []
    for _ in range(4):
        reached = {}
        for name, node in graph.signals.items():
            if graph.pre_activation(name) is not None:
                reached[name] = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "relu": (0.0, math.inf)}[node.op]
                continue
            if node.op == "linear":
                reached[name] = (-math.inf, math.inf)
                continue
            leaves = [leaf for leaf in _read_by(node) if leaf.signal or leaf.op == "state"]
            corners = product(*[reached[leaf.signal] if leaf.signal else spans[leaf.name] for leaf in leaves])
            values = [_corner(node, dict(zip(map(id, leaves), corner, strict=True))) for corner in corners]
            reached[name] = (min(values), max(values))
        spans = {state: reached[state] for state in cell.memories()}
        history.append(dict(reached))
    # e.g. o·tanh(c) tends to 1 while c grows without end: a bounded signal's limit is what it rounds to
    return {
        name: None
        if history[-1][name][1] == math.inf or abs(history[-1][name][1] - history[-2][name][1]) > 0.5
        else [float(round(end)) for end in history[-1][name]]
        for name in graph.signals
    }


def _corner(node: Node, known: dict[int, float]) -> float:
    if id(node) in known:
        return known[id(node)]
    if node.op == "constant":
        return 1.0
    sides = [_corner(read, known) for read in node.reads]
    if node.op in ACTIVATIONS:
        return {"tanh": math.tanh(sides[0]), "relu": max(sides[0], 0.0)}.get(node.op, 0.5 + math.tanh(sides[0] / 2) / 2)
    return {"add": sum(sides), "sub": sides[0] - sides[-1], "mul": sides[0] * sides[-1]}[node.op]
