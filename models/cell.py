"""What a cell is, and everything that is said about one without running it.

A cell is a class with one method, `step`, written with `gate`, `candidate`, `linear` and `peep`. Its description (signals, ranges,
equations, parameters, the wiring a page draws) is derived from the traced step; nothing is described twice.
"""

from __future__ import annotations

from functools import cache
from itertools import product

from models.graph import ACTIVATIONS, LEAVES, Graph, Node, sigmoid, tanh, terms, walk


class Cell:
    """The contract of a cell: which states it carries, and `step`, which makes the next ones.

    states: names; the first is the cell's output. blocks: the order in which the matrix maps are stacked in the weights (PyTorch's
    where there is one). words: for each signal a title and the course's name for it.
    """

    id: str
    title: str
    states: tuple[str, ...]
    blocks: tuple[str, ...]
    words: dict[str, tuple[str, str]]
    reference: str | None = None

    def __init__(self) -> None:
        self._named: list[Node] = []
        self._linears: dict[tuple[str, int], Node] = {}

    def step(self, x: Node, *states: Node) -> Node | tuple[Node, ...]:
        """The equations: from the input and the states before the step to the states after it, in the order of `states`."""
        raise NotImplementedError

    def linear(self, block: str, *sources: Node) -> Node:
        """The sum of a matrix map (with bias) of each source that is an input, a state or a signal; other nodes are added as they are."""
        parts = [self._linear(block, source) if _is_source(source) else source for source in sources]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def gate(self, name: str, *sources: Node) -> Node:
        """A named signal between 0 and 1: the sigmoid of `linear`."""
        return self._name(name, sigmoid(self.linear(name, *sources)))

    def candidate(self, name: str, *sources: Node) -> Node:
        """A named signal between −1 and 1: the tanh of `linear`."""
        return self._name(name, tanh(self.linear(name, *sources)))

    def peep(self, block: str, memory: Node) -> Node:
        """A look at a memory through one weight a unit (a diagonal matrix)."""
        return Node("parameter", name=f"weight_c{block}") * memory

    def _linear(self, block: str, source: Node) -> Node:
        return self._linears.setdefault((block, id(source)), Node("linear", (source,), block))

    def _name(self, name: str, node: Node) -> Node:
        node.signal = name
        self._named.append(node)
        return node

    @classmethod
    @cache
    def graph(cls) -> Graph:
        """The step, traced once."""
        cell, given = cls(), Node("input", name="x")
        before = {state: Node("state", name=state) for state in cls.states}
        made = cell.step(given, *before.values())
        made = made if isinstance(made, tuple) else (made,)
        if len(made) != len(cls.states):
            raise TypeError(f"{cls.__name__}.step must return {len(cls.states)} states, not {len(made)}")
        after = dict(zip(cls.states, (cell._name(state, node) for state, node in zip(cls.states, made, strict=True)), strict=True))
        return Graph(given, before, after, cell._named)

    @classmethod
    def stacks(cls) -> dict[str, tuple[Node, list[Node]]]:
        """The matrix maps by the parameter that holds them: {"weight_ih": (source, [one map a block, in stacking order])}."""
        graph, found = cls.graph(), {}
        for node in sorted(graph.linears, key=lambda linear: cls.blocks.index(linear.name)):
            source = node.reads[0]
            found.setdefault(cls.parameter_name(source), (source, []))[1].append(node)
        return dict(sorted(found.items(), key=lambda item: item[1][0] is not graph.input))

    @classmethod
    def parameter_name(cls, source: Node) -> str:
        """The name of the weights that read a source: PyTorch's weight_ih and weight_hh for the input and the output state."""
        if source.op == "input":
            return "weight_ih"
        name = source.name if source.op == "state" else source.signal
        return "weight_hh" if source is cls.graph().before[cls.states[0]] else f"weight_{name}h"

    @classmethod
    def parameter_shapes(cls, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Shapes of one layer's parameters by name; a matrix has the rows of its blocks one under the other."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name, (source, blocks) in cls.stacks().items():
            shapes[name] = (len(blocks) * hidden, inputs if source.op == "input" else hidden)
        for name, (_, blocks) in cls.stacks().items():
            shapes[name.replace("weight", "bias")] = (len(blocks) * hidden,)
        return shapes | {node.name: (hidden,) for node in cls.graph().parameters}


def _is_source(node: Node) -> bool:
    return node.op in ("input", "state") or node.signal is not None


def describe(cell: type[Cell]) -> dict:
    """A cell in words and wiring, as a page needs it: signals (role, range, what each reads, equation) and the graph."""
    graph = cell.graph()
    spans = _ranges(cell)
    signals = []
    for name, node in graph.signals.items():
        title, course_title = cell.words[name]
        signals.append({
            "id": name, "role": role(cell, name), "range": spans[name], "title": title, "course_title": course_title,
            "reads": _reads(graph, node), "equation": f"{name}_t = {_equation(graph, node)}", "road": is_road(cell, name),
        })
    place = {id(node): index for index, node in enumerate(graph.nodes)}
    nodes = [{"op": node.op, "reads": [place[id(read)] for read in node.reads], "signal": node.signal, "name": node.name}
             for node in graph.nodes]
    return {"id": cell.id, "title": cell.title, "states": list(cell.states), "signals": signals, "reference": cell.reference,
            "summary": (cell.__doc__ or "").split("\n")[0], "parameters": list(cell.parameter_shapes(1, 1)), "graph": nodes}


def role(cell: type[Cell], signal: str) -> str:
    """What a signal is for: `state` if it is carried on, else `gate` (a sigmoid) or `candidate`."""
    if signal in cell.states:
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


def _reads(graph: Graph, signal: Node) -> list[str]:
    names = []
    for node in walk([signal]):
        for read in node.reads:
            if read.op in ("input", "state") or (read.signal and read is not signal):
                if _belongs(node, signal):
                    names.append(_reader_name(read))
    return list(dict.fromkeys(names))


def _belongs(node: Node, signal: Node) -> bool:
    """Whether a node is part of this signal's own equation, not of a signal it reads."""
    if node is signal:
        return True
    stack = list(signal.reads)
    while stack:
        at = stack.pop()
        if at is node and not at.signal:
            return True
        if not at.signal:
            stack.extend(at.reads)
    return False


def _reader_name(node: Node) -> str:
    if node.op == "state":
        return f"{node.name}_prev"
    return node.signal or node.name or ""


def _equation(graph: Graph, node: Node, top: bool = True) -> str:
    if not top and (node.signal or node.op in LEAVES):
        return {"state": f"{node.name}_{{t−1}}", "input": "x_t", "constant": "1"}.get(node.op, _symbol(node))
    if node.op == "linear":
        letter = {"input": "W", "state": "U"}.get(node.reads[0].op, "V")
        return f"({letter}_{node.name} {_equation(graph, node.reads[0], False)} + b_{node.name})"
    if node.op in ACTIVATIONS:
        name = {"sigmoid": "σ", "tanh": "tanh", "relu": "relu"}[node.op]
        summands = terms(node.reads[0])
        if sum(summand.op == "linear" for summand in summands) > 0:
            parts = [_equation(graph, summand, False) for summand in summands]
            parts = [part[1:].rsplit(" + ", 1)[0] if summand.op == "linear" else part
                     for part, summand in zip(parts, summands, strict=True)]
            bias = next(summand.name for summand in summands if summand.op == "linear")
            return f"{name}({' + '.join(parts)} + b_{bias})"
        return f"{name}({_equation(graph, node.reads[0], False)})"
    sign = {"add": " + ", "sub": " − ", "mul": " ⊙ "}[node.op]
    sides = [_equation(graph, read, False) for read in node.reads]
    if node.op == "mul":
        sides = [f"({side})" if read.op in ("add", "sub") and not read.signal else side
                 for side, read in zip(sides, node.reads, strict=True)]
    return sign.join(sides)


def _symbol(node: Node) -> str:
    if node.op == "parameter":
        return node.name.replace("weight_", "w_")
    return f"{node.signal}_t"


def _ranges(cell: type[Cell]) -> dict[str, list[float] | None]:
    """The interval each signal can reach, None if it has no bound.

    The equations are linear in each vector they multiply and rise with what they squash, so their extremes lie at corners;
    a state starts at 0 and is widened step by step. What still grows after three steps has no bound.
    """
    graph = cell.graph()
    spans = {state: (0.0, 0.0) for state in cell.states}
    reached: dict[str, tuple[float, float]] = {}
    history = []
    for _ in range(4):
        reached = {}
        for name, node in graph.signals.items():
            if graph.pre_activation(name) is not None:
                reached[name] = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "relu": (0.0, float("inf"))}[node.op]
                continue
            leaves = [leaf for leaf in walk([node]) if leaf is not node and (leaf.signal or leaf.op == "state") and
                      any(leaf in inner.reads and _belongs(inner, node) for inner in walk([node]))]
            corners = product(*[reached[leaf.signal] if leaf.signal else spans[leaf.name] for leaf in leaves])
            values = [_corner(node, dict(zip(map(id, leaves), corner, strict=True))) for corner in corners]
            reached[name] = (min(values), max(values))
        spans = {state: reached[state] for state in cell.states}
        history.append(dict(reached))
    # e.g. o·tanh(c) tends to 1 while c grows without end: a bounded signal's limit is what it rounds to
    return {name: None if abs(history[-1][name][1] - history[-2][name][1]) > 0.5 or history[-1][name][1] == float("inf")
            else [float(round(end)) for end in history[-1][name]] for name in graph.signals}


def _corner(node: Node, known: dict[int, float]) -> float:
    from math import tanh as squash

    if id(node) in known:
        return known[id(node)]
    if node.op == "constant":
        return 1.0
    sides = [_corner(read, known) for read in node.reads]
    if node.op in ACTIVATIONS:
        return {"tanh": squash(sides[0]), "relu": max(sides[0], 0.0)}.get(node.op, 0.5 + squash(sides[0] / 2) / 2)
    return {"add": sum(sides), "sub": sides[0] - sides[-1], "mul": sides[0] * sides[-1]}[node.op]
