"""What a cell is: a class with one method, `step`, written with `gate`, `candidate`, `linear`, `signal` and arithmetic.

Everything else about a cell is derived from the step, traced once: see `models.graph.description` and
`models.compiler.program`.
"""

from __future__ import annotations

import threading
from collections.abc import MutableMapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from gatescope.models.graph.graph import Graph
from gatescope.models.graph.node import Node, sigmoid, tanh, terms
from gatescope.models.graph.tracing import traced

_TRACING = threading.RLock()
# A cell with options chosen lives as long as a network of it: strangers' files could choose thousands of them.
_GRAPHS: MutableMapping[type[Cell], Graph] = WeakKeyDictionary()
_CHOSEN: MutableMapping[tuple[type[Cell], tuple[tuple[str, int | str], ...]], type[Cell]] = WeakValueDictionary()


class Cell:
    """The contract of a cell: which states it carries, and `step`, which makes the next ones.

    states: names; the first is the cell's output. May be left out: blocks, the order in which the matrix maps are
    stacked in the weights (PyTorch's where there is one); words, for each signal a title and the course's name for it;
    purposes, for each signal what it is for, in a sentence; options, what may be chosen of the cell, by name, the first
    value being the usual one; usual, where it is another; begin, what parameters are before training where that is not
    drawn by chance: {"bias_ih.f": 1.0} for a block of a stack, {"gain_c": 1.0} for a vector; renamed, what parameters
    were called in older files.
    """

    id: str
    title: str
    states: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    words: dict[str, tuple[str, str]] = {}
    purposes: dict[str, str] = {}
    reference: str | None = None
    options: dict[str, Sequence[int | str]] = {}
    usual: dict[str, int | str] = {}
    chosen: dict[str, int | str] = {}
    begin: dict[str, float] = {}
    renamed: dict[str, str] = {}

    def __init__(self) -> None:
        self.named: list[Node] = []
        self._maps: dict[tuple[str, int, bool], Node] = {}
        self._weights: dict[str, Node] = {}

    def step(self, x: Node, *states: Node) -> Node | tuple[Node, ...]:
        """The equations: from the input and the states before the step to the states after it, in the order of
        `states`.
        """
        raise NotImplementedError

    def linear(self, block: str, *sources: Node) -> Node:
        """The sum of a matrix map (with bias) of each source that is an input, a state or a signal; other nodes are
        added as they are.
        """
        summands = [self.map(block, source) if _is_source(source) else source for source in sources]
        total = summands[0]
        for summand in summands[1:]:
            total = total + summand
        return total

    def gate(self, name: str, *sources: Node) -> Node:
        """A named signal between 0 and 1 that lets through: the sigmoid of `linear`."""
        return self.signal(name, sigmoid(self.linear(name, *sources)), "gate")

    def candidate(self, name: str, *sources: Node) -> Node:
        """A named signal between −1 and 1 that may be let in: the tanh of `linear`."""
        return self.signal(name, tanh(self.linear(name, *sources)), "candidate")

    def signal(self, name: str, node: Node, role: str = "candidate", within: tuple[float, float] | None = None) -> Node:
        """Any vector as a named signal, so that matrix maps can read it and pages show it.

        role: what it is for, `gate` or `candidate`. within: the interval it stays in, where that does not follow from
        its equation.
        """
        if node.signal is not None or node.op in ("input", "state", "parameter", "constant") or _is_sum_of_maps(node):
            node = Node("identity", (node,))  # a record of its own
        node.signal, node.role, node.within = name, role, within
        self.named.append(node)
        return node

    def peep(self, block: str, memory: Node) -> Node:
        """A look at a memory through one weight a unit (a diagonal matrix)."""
        return self.weight(f"weight_c{block}") * memory

    def weight(self, name: str) -> Node:
        """A parameter vector, one number a unit: a gain, a bias."""
        return self._weights.setdefault(name, Node("parameter", name=name))

    def project(self, source: Node, width: int) -> Node:
        """A matrix map without bias to a vector of another size (Sak, Senior & Beaufays 2014); it must become a
        state.
        """
        return Node("linear", (source,), "r", width)

    def map(self, block: str, source: Node, bias: bool = True) -> Node:
        """One matrix map of a vector that has a name, with a bias unless said."""
        found = self._maps.setdefault((block, id(source), bias), Node("linear", (source,), block))
        found.bias = bias
        return found

    @classmethod
    def graph(cls) -> Graph:
        """The step, traced once; raises CellMistake, a TypeError, for what cannot be a cell."""
        with _TRACING:  # two first callers get the same nodes
            if cls not in _GRAPHS:
                _GRAPHS[cls] = traced(cls)
            return _GRAPHS[cls]

    @classmethod
    def memories(cls) -> tuple[str, ...]:
        """The states that are computed; the others only hand on an earlier input."""
        graph = cls.graph()
        return tuple(state for state in cls.states if graph.before[state] not in graph.lags)

    @classmethod
    def with_options(cls, *chosen: tuple[str, int | str]) -> type[Cell]:
        """The cell with some options chosen, as (name, value) pairs, the same one each time; raises ValueError naming
        what an option may be.
        """
        if not chosen:
            return cls
        for name, value in chosen:
            allowed = cls.options.get(name, ())
            # 5.0 and True are in a range too, and would be remembered as the 5 and the 1 that they equal
            if value not in allowed or type(value) is not type(allowed[0]):
                raise ValueError(f"{name} must be {_among(allowed)}" if allowed else f"{cls.id} has no option {name}")
        with _TRACING:  # two first callers get the same cell
            made = _CHOSEN.get((cls, chosen))
            if made is None:
                said = {"__doc__": cls.__doc__, "chosen": dict(chosen), **cls.shaped(**dict(chosen))}
                made = _CHOSEN[cls, chosen] = type(cls.__name__, (cls,), said)
            return made

    @classmethod
    def shaped(cls, **chosen: int | str) -> dict[str, Any]:
        """What options change of the class itself, such as its states."""
        return {}

    @classmethod
    def option(cls, name: str) -> Any:
        """The value of an option: the chosen one, else the usual one."""
        return cls.chosen.get(name, cls.usual.get(name, next(iter(cls.options[name]))))

    @classmethod
    def order(cls) -> tuple[str, ...]:
        """The order in which blocks are stacked: the cell's own, else that of first use."""
        return cls.blocks or tuple(dict.fromkeys(str(node.name) for node in cls.graph().linears if not node.width))

    @classmethod
    def stacks(cls) -> dict[str, tuple[Node, list[Node]]]:
        """The matrix maps by the parameter that holds them: {"weight_ih": (source, [one map a block, in stacking
        order])}.
        """
        graph, order = cls.graph(), cls.order()
        found: dict[str, tuple[Node, list[Node]]] = {}
        for node in sorted(
            (node for node in graph.linears if not node.width), key=lambda node: order.index(str(node.name))
        ):
            source = node.reads[0]
            found.setdefault(cls.parameter_name(source), (source, []))[1].append(node)
        for node in graph.linears:
            if node.width:
                found["weight_hr"] = (node.reads[0], [node])
        return dict(sorted(found.items(), key=lambda item: item[1][0] is not graph.input))

    @classmethod
    def parameter_name(cls, source: Node) -> str:
        """The name of the weights that read a source: PyTorch's weight_ih and weight_hh for the input and the output
        state.
        """
        if source.op == "input":
            return "weight_ih"
        name = source.name if source.op == "state" else source.signal
        return "weight_hh" if source.op == "state" and name == cls.states[0] else f"weight_{name}h"

    @classmethod
    def width(cls, signal: str, hidden: int) -> int:
        """How many numbers a signal holds in a layer of `hidden` units: as many, or a projection's size."""
        return cls.graph().signals[signal].width or hidden

    @classmethod
    def parameter_shapes(cls, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Shapes of one layer's parameters by name; a matrix has the rows of its blocks one under the other."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name, (source, blocks) in cls.stacks().items():
            read = inputs if source in cls.graph().lags else source.width or hidden
            shapes[name] = (sum(block.width or hidden for block in blocks), read)
        for name, (_, blocks) in cls.stacks().items():
            if blocks[0].bias:
                shapes[name.replace("weight", "bias")] = (len(blocks) * hidden,)
        return shapes | {str(node.name): (hidden,) for node in cls.graph().parameters}


def _among(allowed: Sequence[int | str]) -> str:
    return f"{allowed[0]} to {allowed[-1]}" if isinstance(allowed, range) else " or ".join(map(str, allowed))


def _is_source(node: Node) -> bool:
    return node.op in ("input", "state") or node.signal is not None


def _is_sum_of_maps(node: Node) -> bool:
    return any(term.op == "linear" and not term.width for term in terms(node))
