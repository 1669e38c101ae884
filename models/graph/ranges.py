"""The interval that each signal of a cell can reach, read off its equations."""

from __future__ import annotations

import math
from itertools import product

from gatescope.models.graph.cell import Cell
from gatescope.models.graph.node import Node
from gatescope.models.graph.operations import OPERATIONS

Interval = tuple[float, float]
EVERYWHERE = (-math.inf, math.inf)
ROUNDS = 5  # of a state's widening, from the zero it starts at
CORNERS = 2**10


def ranges(cell: type[Cell]) -> dict[str, list[float] | None]:
    """The interval each signal can reach, None where it has no bound.

    What is squashed cannot leave the squashing function's interval. Else the extremes lie at corners: equations rise or
    fall with each vector they are made of. A state starts at 0 and is widened step by step; where it goes on growing,
    it has a bound only if each step adds the same part of what the step before added (a geometric series).
    """
    graph, memories = cell.graph(), cell.memories()
    states: dict[str, Interval] = dict.fromkeys(memories, (0.0, 0.0))
    history: list[dict[str, Interval]] = []
    for _ in range(ROUNDS):
        reached: dict[str, Interval] = {}
        for name, node in graph.records.items():
            reached[name] = node.within or _interval(node, reached, states, top=True)
        states = {state: reached[state] for state in memories}
        history.append(reached)
        if len(history) > 1 and history[-1] == history[-2]:
            break
    return {name: _bounds(history, name) for name in graph.signals}


def _bounds(history: list[dict[str, Interval]], name: str) -> list[float] | None:
    low, high = (_limit([after[name][end] for after in history]) for end in (0, 1))
    return [low + 0.0, high + 0.0] if math.isfinite(low) and math.isfinite(high) else None


def _limit(ends: list[float]) -> float:
    """Where one end of an interval comes to rest, infinity where it does not."""
    if len(ends) < 2 or not math.isfinite(ends[-1]) or ends[-1] == ends[-2]:
        return float(ends[-1])
    first, second, third = (after - before for before, after in zip(ends[-4:-1], ends[-3:], strict=True))
    if not (first and second) or not math.isclose(third / second, second / first, rel_tol=1e-9):
        return math.inf
    share = third / second
    return round(ends[-1] + third * share / (1 - share), 9) if share < 1 else math.inf


def _interval(node: Node, reached: dict[str, Interval], states: dict[str, Interval], top: bool = False) -> Interval:
    """Where a node's values lie, given where those of signals and of states before the step do."""
    if node.signal in reached and not top:
        return reached[node.signal]
    if node.op == "state":
        return states.get(str(node.name), EVERYWHERE)
    if node.op == "constant":
        return float(str(node.name)), float(str(node.name))
    if _is_bounded(node):
        return OPERATIONS[node.op].reach or EVERYWHERE
    if OPERATIONS[node.op].value is None:
        return EVERYWHERE  # the input, a parameter, a matrix map
    leaves = _leaves(node)
    spans = [_interval(leaf, reached, states) for leaf in leaves]
    if 2 ** len(leaves) > CORNERS or any(math.isinf(end) for span in spans for end in span):
        return EVERYWHERE
    values = [_value(node, dict(zip(leaves, corner, strict=True))) for corner in product(*spans)]
    return (min(values), max(values)) if all(map(math.isfinite, values)) else EVERYWHERE


def _is_bounded(node: Node) -> bool:
    """Whether its operation alone says where a node's values lie."""
    return OPERATIONS[node.op].reach not in (None, EVERYWHERE)


def _leaves(root: Node) -> list[Node]:
    """What an expression is made of: leaves, records, and squashed vectors, whose interval is known anyway."""
    found: dict[Node, None] = {}

    def visit(node: Node) -> None:
        for read in node.reads:
            if read.signal or OPERATIONS[read.op].value is None or _is_bounded(read):
                found[read] = None
            else:
                visit(read)

    visit(root)
    return list(found)


def _value(node: Node, known: dict[Node, float]) -> float:
    """An expression's value where the values of its leaves are known."""
    if node in known:
        return known[node]
    value = OPERATIONS[node.op].value
    assert value is not None, node.op
    return value(*(_value(read, known) for read in node.reads))
