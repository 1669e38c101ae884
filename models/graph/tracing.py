"""A cell's `step`, run once with nodes in place of numbers; what its author got wrong is said in a sentence.

Beside the signals that an author names, programs need records of their own: for a sum of matrix maps that is not simply
squashed by one signal, for what several signals read, and for what a mean is taken of. They are found here.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from itertools import count
from typing import Any, Protocol

from gatescope.models.graph.graph import Graph, delay_lines
from gatescope.models.graph.node import Node, terms, walk
from gatescope.models.graph.operations import ACTIVATIONS, FUNCTIONS, OPERATIONS

# names that a program's source uses for itself
RESERVED = re.compile(
    r"a|H|[a-z]*gates|kept|one|half|minus_one|zip|.*_(t|prev)"
    r"|(d|back|slope|mask|value|weight|bias|number)_.*|(spare|factor).*"
)
NAME = re.compile(r"[A-Za-z]\w*")


class Traceable(Protocol):
    """What is asked of a cell here; see `models.graph.cell`."""

    states: tuple[str, ...]
    blocks: tuple[str, ...]
    named: list[Node]

    def step(self, x: Node, *states: Node) -> Any:
        """The equations."""

    def signal(self, name: str, node: Node) -> Node:
        """Name a vector."""

    @classmethod
    def parameter_name(cls, source: Node) -> str:
        """What the weights are called that read a source."""


class CellMistake(TypeError):
    """What a cell's author wrote cannot be a cell; the message names the cell, the place and the remedy."""


def traced(cell: type[Traceable]) -> Graph:
    """The graph of a cell's step; raises CellMistake."""
    if not cell.states:
        raise CellMistake(f"{cell.__name__}: states must name at least one state, the first being the output")
    for state in cell.states:
        _check_name(cell, "state", state)
    if len(set(cell.states)) < len(cell.states):
        raise CellMistake(f"{cell.__name__}: states names one state twice")
    step, x = cell(), Node("input", name="x")
    before = {state: Node("state", name=state) for state in cell.states}
    made = step.step(x, *before.values())
    made = made if isinstance(made, tuple) else (made,)
    after = _after(cell, x, before, made)
    delayed = set(delay_lines(x, before, after))
    for state, node in after.items():
        if node not in delayed and node.signal != state:
            after[state] = step.signal(state, node)
    _check_named(cell, step.named)
    _Records(cell, [*step.named, *after.values()]).add(delayed)
    graph = Graph(x, before, after, step.named)
    _check_maps(cell, graph)
    return graph


def _after(cell: type[Traceable], x: Node, before: dict[str, Node], made: tuple[Node, ...]) -> dict[str, Node]:
    """The states after the step, by name."""
    if len(made) != len(cell.states):
        raise CellMistake(f"{cell.__name__}.step must return {len(cell.states)} states, not {len(made)}")
    after: dict[str, Node] = {}
    for state, node in zip(cell.states, made, strict=True):
        if not isinstance(node, Node):
            raise CellMistake(f"{cell.__name__}.step must return a vector for the state {state}, not {node!r}")
        if node.op not in ("input", "state"):
            same = next((other for other, known in after.items() if known is node), None)
            if same:
                raise CellMistake(
                    f"{cell.__name__}: the states {same} and {state} return the same vector; one of them is enough"
                )
            if node.signal not in (None, state):
                node = Node("identity", (node,))  # a signal of another name that is carried on, too
        after[state] = node
    delayed = delay_lines(x, before, after)
    for state, node in after.items():
        if node.op == "state" and node not in delayed:
            after[state] = Node("identity", (node,))  # a state as it was, or another's of the step before
    return after


def _check_name(cell: type[Traceable], what: str, name: str) -> None:
    own = name in OPERATIONS or name in FUNCTIONS
    if own or not NAME.fullmatch(name) or RESERVED.fullmatch(name) or keyword.iskeyword(name):
        raise CellMistake(f"{cell.__name__}: the {what} {name!r} needs another name; programs use this one themselves")


def _check_named(cell: type[Traceable], named: Iterable[Node]) -> None:
    seen: set[str] = set()
    for node in named:
        if node.signal in seen:
            raise CellMistake(f"{cell.__name__}: two signals are called {node.signal}; each needs a name of its own")
        _check_name(cell, "signal", str(node.signal))
        seen.add(str(node.signal))


def _check_maps(cell: type[Traceable], graph: Graph) -> None:
    """Every matrix map reads something that has a name, its stack agrees about biases, and `blocks` names it."""
    maps = [node for node in graph.linears if not node.width]
    for node in maps:
        source = node.reads[0]
        if source.reads and (source.signal is None or source.hidden):
            raise CellMistake(
                f"{cell.__name__}: what the map {node.name} reads must have a name, as in "
                f"self.map({node.name!r}, self.signal('…', …))"
            )
        if any(node.bias != other.bias for other in maps if other.reads == node.reads):
            stack = cell.parameter_name(source)
            raise CellMistake(f"{cell.__name__}: the maps of {stack} must all have a bias, or none of them")
    if graph.input not in {node.reads[0] for node in maps}:
        raise CellMistake(f"{cell.__name__}: the input x must be read by a map, as in self.linear('h', x, h)")
    _check_blocks(cell, list(dict.fromkeys(str(node.name) for node in maps)))


def _check_blocks(cell: type[Traceable], maps: list[str]) -> None:
    """`blocks` names each map once, and nothing else."""
    lacking = [name for name in maps if name not in cell.blocks]
    extra = [name for name in cell.blocks if name not in maps]
    if cell.blocks and (lacking or extra):
        said = f"lacks {', '.join(lacking)}" if lacking else f"names {', '.join(extra)}, which no map has"
        raise CellMistake(f"{cell.__name__}: blocks = {cell.blocks!r} {said}; the maps are {', '.join(maps)}")


# -- records of programs ----------------------------------------------------------------------------------------------


class _Records:
    """Gives records to what programs must keep beside the signals. parents: which nodes read a node."""

    def __init__(self, cell: type[Traceable], roots: list[Node]):
        self.cell, self.roots, self.nodes = cell, roots, walk(roots)
        self.names = (f"_{number}" for number in count(1))
        self.parents: dict[Node, list[Node]] = {}
        for node in self.nodes:
            for read in dict.fromkeys(node.reads):
                self.parents.setdefault(read, []).append(node)

    def keep(self, node: Node) -> None:
        """A record of its own; of a sum of matrix maps by way of an activation that does nothing."""
        if _maps_in(node):
            inner = Node("identity", (node,))
            for parent in self.parents[node]:
                parent.reads = tuple(inner if read is node else read for read in parent.reads)
            self.parents[inner], self.parents[node] = self.parents[node], [inner]
            node = inner
        node.signal, node.hidden = next(self.names), True

    def add(self, delayed: set[Node]) -> None:
        """For means, for sums of maps, then for what is left that several records are made of."""
        for node in self.nodes:
            if node.op == "mean":
                self._keep_mean(node, delayed)
        for node in self.nodes:  # the inner sums first: what is kept is no part of an outer one
            if _is_unkept_sum(node, self.parents, delayed):
                self.keep(node)
        owners: dict[Node, set[Node]] = {}
        for node in reversed(walk(self.roots)):  # the widest first: what is kept is the only reader of its parts
            if len(owners.get(node, ())) > 1 and not node.signal and node.reads and node.op != "linear":
                self.keep(node)
            for read in node.reads:
                owners.setdefault(read, set()).update({node} if node.signal else owners.get(node, ()))

    def _keep_mean(self, node: Node, delayed: set[Node]) -> None:
        """A mean, and what it is taken of."""
        read = node.reads[0]
        if read.width or read in delayed or read.op in ("constant", "parameter"):
            raise CellMistake(f"{self.cell.__name__}: a mean is taken over the layer's units, not over {read!r}")
        for each in (read, node):
            if each.signal is None and each.op != "state":
                self.keep(each)


def _maps_in(node: Node) -> list[Node]:
    """The matrix maps among the summands of a sum that has no name."""
    return [] if node.signal else [term for term in terms(node) if term.op == "linear" and not term.width]


def _is_unkept_sum(node: Node, parents: dict[Node, list[Node]], delayed: set[Node]) -> bool:
    """Whether a sum of matrix maps is more than the argument of one signal's activation, and so needs a record.

    What reads states only and belongs to one signal is left: programs multiply it on its way (the GRU's r ⊙ (U h + b)).
    """
    maps, above = _maps_in(node), parents.get(node, [])
    if not maps or (len(above) == 1 and above[0].op == "add" and not above[0].signal):
        return False  # no sum, or a part of a longer one
    if len(above) == 1 and above[0].op in ACTIVATIONS and above[0].signal:
        return False
    return len(_readers(node, parents)) > 1 or any(each.reads[0] in delayed for each in maps)


def _readers(node: Node, parents: dict[Node, list[Node]]) -> set[Node]:
    """The records in whose own expressions a node occurs."""
    found: set[Node] = set()
    pending = list(parents.get(node, ()))
    while pending:
        above = pending.pop()
        if above.signal:
            found.add(above)
        else:
            pending += parents.get(above, ())
    return found
