"""From equations to a list of array calls: places, calls, and merging neighbours into wider calls.

A place is a run of units in a named array. Calls of the same kind whose places all lie next to one another become one
call, so that four gates cost what one costs. The result is printed as Python source: the program can be read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gatescope.models.graph.node import Node
from gatescope.models.graph.operations import STATEMENTS

# calls that read a vector whole, and so neither merge with their neighbours nor share a loop over the units
WHOLE = ("dot", "mean")
NAMES = {1.0: "one", 0.5: "half", -1.0: "minus_one"}


@dataclass(frozen=True, order=True)
class Place:
    """Blocks first…last−1 (of H units each) of an array; kind says how the array runs with time.

    kinds: `record` has a row for every step of the time chunk, `before` is a state's record read one step earlier,
    `fixed` has no time (weights, scratch space), `uniform` is one number everywhere.
    """

    array: str
    first: int = 0
    last: int = 1
    kind: str = "record"

    def joins(self, other: Place) -> bool:
        """Whether the other place begins where this one ends, in the same array."""
        return (self.array, self.kind) == (other.array, other.kind) and (
            self.last == other.first or self.kind == "uniform"
        )

    def joined(self, other: Place) -> Place:
        """The two places as one."""
        return Place(self.array, self.first, self.last + other.last - other.first, self.kind)


@dataclass(frozen=True)
class Call:
    """One array operation: it writes `out` from `reads`, after every call of a lower level."""

    level: int
    kind: str
    out: Place
    reads: tuple[Place, ...]

    def joins(self, other: Call) -> bool:
        """Whether the other call does the same to the neighbouring places."""
        return (
            (self.level, self.kind) == (other.level, other.kind)
            and self.kind not in WHOLE
            and self.out.joins(other.out)
            and all(mine.joins(theirs) for mine, theirs in zip(self.reads, other.reads, strict=True))
        )

    def joined(self, other: Call) -> Call:
        """The two calls as one."""
        return Call(
            self.level,
            self.kind,
            self.out.joined(other.out),
            tuple(mine.joined(theirs) for mine, theirs in zip(self.reads, other.reads, strict=True)),
        )


def uniform(number: float, blocks: int = 1) -> Place:
    """A place that holds one number: `one`, `half`, `minus_one`, or `number_…`; see `number_of`."""
    name = NAMES.get(float(number)) or "number_" + repr(float(number)).translate(str.maketrans("-.+", "mdp"))
    return Place(name, 0, blocks, "uniform")


def number_of(array: str) -> float:
    """The number that a uniform place's array holds everywhere."""
    known = {name: number for number, name in NAMES.items()}
    return (
        known[array] if array in known else float(array.removeprefix("number_").translate(str.maketrans("mdp", "-.+")))
    )


@dataclass
class Schedule:
    """Calls in the order they may run. `own` names its scratch arrays, of kind `kind`; `scratch` says how many blocks
    each has, `widths` the size of those that hold no blocks.
    """

    own: str = "spare"
    kind: str = "fixed"
    calls: list[Call] = field(default_factory=list)
    written: dict[tuple[str, int, str], int] = field(default_factory=dict)
    scratch: dict[str, int] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)

    def level(self, *places: Place) -> int:
        """The first level at which all these places hold their present values."""
        return 1 + max(
            (
                self.written.get((place.array, block, place.kind), 0)
                for place in places
                for block in range(place.first, place.last)
            ),
            default=0,
        )

    def call(self, kind: str, out: Place, *reads: Place, earliest: int = 0) -> Place:
        """Add a call after everything it needs, and everything `out` held before."""
        level = max(self.level(out, *reads), earliest)
        self.calls.append(Call(level, kind, out, reads))
        for block in range(out.first, out.last):
            self.written[out.array, block, out.kind] = level
        return out

    def spare(self, blocks: int = 1, width: int | None = None) -> Place:
        """A new scratch place, of so many blocks or of a size of its own."""
        array = f"{self.own}{len(self.scratch)}"
        self.scratch[array] = blocks
        if width:
            self.widths[array] = width
        return Place(array, 0, blocks, self.kind)

    def merged(self) -> list[Call]:
        """The calls by level, neighbours merged."""
        merged: list[Call] = []
        for call in sorted(self.calls, key=lambda call: (call.level, call.kind, call.out)):
            if merged and merged[-1].joins(call):
                merged[-1] = merged[-1].joined(call)
            else:
                merged.append(call)
        return merged

    def numbers(self) -> dict[str, float]:
        """The numbers that calls read, by the names of the arrays that hold them."""
        places = {place for call in self.calls for place in call.reads if place.kind == "uniform"}
        return {place.array: number_of(place.array) for place in sorted(places)}

    def express(self, node: Node, where: dict[Node, Place], target: Place | None = None) -> Place:
        """Calls that compute an expression of records, into `target` or where it already is or into scratch.

        What is computed on the way is remembered in `where`, so that a subexpression met twice is computed once.
        """
        if node.op == "constant":
            number = uniform(float(node.name or 0))
            return self.call("copy", target, number) if target else number
        if node in where:
            return self.call("copy", target, where[node]) if target else where[node]
        reads = [self.express(read, where) for read in node.reads]
        if node.op == "identity" and target is None:
            return reads[0]
        out = target or self.spare()
        if node.op == "sigmoid":
            self.squash("sigmoid", self.call("mul", out, reads[0], uniform(0.5)))
        else:
            self.call("copy" if node.op == "identity" else node.op, out, *reads)
        where[node] = out
        return out

    def squash(self, activation: str, out: Place) -> Place:
        """Apply an activation where a place lies; a sigmoid's argument is already halved: σ(x) = ½ + ½ tanh(x/2)."""
        if activation == "identity":
            return out
        if activation != "sigmoid":
            return self.call(activation, out, out)
        half = uniform(0.5, out.last - out.first)
        self.call("tanh", out, out)
        self.call("mul", out, out, half)
        return self.call("add", out, out, half)


def statement(call: Call, name: Callable[[Place], str]) -> str:
    """One call as a line of Python; `name(place)` gives a place's variable."""
    return STATEMENTS[call.kind].format(*map(name, call.reads), out=name(call.out))


def variable(place: Place) -> str:
    """A readable variable for a place."""
    suffix = "" if (place.first, place.last) == (0, 1) else f"_{place.first}_{place.last}"
    return f"{place.array}{suffix}{'_prev' if place.kind == 'before' else ''}"
