"""Every operation of the graph, one row each: how it is written, what it gives, its slopes, and each tongue's words.

Programs, derivatives, machine code, PyTorch, the description and the page's arithmetic read this table; an operation
that is added here is had by all of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from gatescope.models.graph.node import Node

Make = Callable[..., Node]
Slopes = tuple[tuple[int, Node], ...]


class Operation(NamedTuple):
    """One operation on vectors, unit by unit.

    kind: `leaf` (made of nothing), `map` (a matrix product), `reduction` (reads all units), `activation` (squashes one
    vector), `arithmetic` (written between what it reads), `function` (written before it) or `internal` (of programs).
    symbol: as a page writes it between numbers or before them; notation: in equations of vectors, where that differs.
    value: of plain numbers. numpy: a statement, {0}, {1} being what is read and {out} where it goes. slopes: for each
    vector that is read the sign and the node of the derivative, given how to make nodes and the node itself. llvm:
    given a builder of a loop and values. torch: given the module and tensors. javascript: an expression of a and b.
    reach: the interval it cannot leave, whatever it reads.
    """

    name: str
    kind: str
    arity: int
    symbol: str | None = None
    notation: str | None = None
    value: Callable[..., float] | None = None
    numpy: str = ""
    slopes: Callable[[Make, Node], Slopes] | None = None
    llvm: Callable[..., Any] | None = None
    torch: Callable[..., Any] | None = None
    javascript: str = ""
    reach: tuple[float, float] | None = None


def _one(make: Make) -> Node:
    return make("constant", name="1")


def _sigmoid_slopes(make: Make, node: Node) -> Slopes:
    return ((1, make("mul", node, make("sub", _one(make), node))),)  # σ (1 − σ)


def _tanh_slopes(make: Make, node: Node) -> Slopes:
    return ((1, make("sub", _one(make), make("mul", node, node))),)  # 1 − tanh²


def _div_slopes(make: Make, node: Node) -> Slopes:
    _, below = node.reads
    return (1, make("div", _one(make), below)), (-1, make("div", node, below))  # 1/b and −(a/b)/b


def _sqrt_slopes(make: Make, node: Node) -> Slopes:
    return ((1, make("div", make("constant", name="0.5"), node)),)


def _max_slopes(make: Make, node: Node) -> Slopes:
    left, right = node.reads
    chosen = make("sign", make("relu", make("sub", left, right)))  # 1 where the left one is larger, else 0
    return (1, chosen), (1, make("sub", _one(make), chosen))


def _product(left: float, right: float) -> float:
    return 0.0 if 0 in (left, right) else left * right  # nothing of something without bound is nothing


def _quotient(above: float, below: float) -> float:
    return above / below if below else math.nan


ALL = (-math.inf, math.inf)
POSITIVE = (0.0, math.inf)
_ROWS = (
    Operation("input", "leaf", 0),
    Operation("state", "leaf", 0),
    Operation("parameter", "leaf", 0),
    Operation("constant", "leaf", 0),
    Operation("linear", "map", 1),
    Operation(
        "mean",
        "reduction",
        1,
        "mean",
        value=lambda a: a,
        numpy="mean({0}, {out})",
        torch=lambda torch, a: a.mean(-1, keepdim=True).expand_as(a),
    ),
    Operation(
        "add",
        "arithmetic",
        2,
        "+",
        value=lambda a, b: a + b,
        numpy="add({0}, {1}, {out})",
        slopes=lambda make, node: ((1, _one(make)), (1, _one(make))),
        llvm=lambda code, a, b: code.add(a, b),
        torch=lambda torch, a, b: a + b,
        javascript="a + b",
    ),
    Operation(
        "sub",
        "arithmetic",
        2,
        "−",
        value=lambda a, b: a - b,
        numpy="subtract({0}, {1}, {out})",
        slopes=lambda make, node: ((1, _one(make)), (-1, _one(make))),
        llvm=lambda code, a, b: code.sub(a, b),
        torch=lambda torch, a, b: a - b,
        javascript="a - b",
    ),
    Operation(
        "mul",
        "arithmetic",
        2,
        "×",
        "⊙",
        value=_product,
        numpy="multiply({0}, {1}, {out})",
        slopes=lambda make, node: ((1, node.reads[1]), (1, node.reads[0])),
        llvm=lambda code, a, b: code.mul(a, b),
        torch=lambda torch, a, b: a * b,
        javascript="a * b",
    ),
    Operation(
        "div",
        "arithmetic",
        2,
        "/",
        value=_quotient,
        numpy="divide({0}, {1}, {out})",
        slopes=_div_slopes,
        llvm=lambda code, a, b: code.div(a, b),
        torch=lambda torch, a, b: a / b,
        javascript="a / b",
    ),
    Operation(
        "neg",
        "arithmetic",
        1,
        "−",
        value=lambda a: -a,
        numpy="negative({0}, {out})",
        slopes=lambda make, node: ((-1, _one(make)),),
        llvm=lambda code, a: code.sub(code.constant(0), a),
        torch=lambda torch, a: -a,
        javascript="-a",
    ),
    Operation(
        "sigmoid",
        "activation",
        1,
        "σ",
        value=lambda a: 0.5 + math.tanh(a / 2) / 2,
        slopes=_sigmoid_slopes,
        torch=lambda torch, a: torch.sigmoid(a),
        javascript="1 / (1 + Math.exp(-a))",
        reach=(0.0, 1.0),
    ),
    Operation(
        "tanh",
        "activation",
        1,
        "tanh",
        value=math.tanh,
        numpy="tanh({0}, {out})",
        slopes=_tanh_slopes,
        llvm=lambda code, a: code.tanh(a),
        torch=lambda torch, a: torch.tanh(a),
        javascript="Math.tanh(a)",
        reach=(-1.0, 1.0),
    ),
    Operation(
        "relu",
        "activation",
        1,
        "relu",
        value=lambda a: max(a, 0.0),
        numpy="maximum({0}, 0, out={out})",
        slopes=lambda make, node: ((1, make("sign", node)),),
        llvm=lambda code, a: code.relu(a),
        torch=lambda torch, a: torch.relu(a),
        javascript="Math.max(0, a)",
        reach=POSITIVE,
    ),
    Operation(
        "exp",
        "activation",
        1,
        "exp",
        value=lambda a: math.exp(min(a, 700.0)),
        numpy="exp({0}, {out})",
        slopes=lambda make, node: ((1, node),),
        llvm=lambda code, a: code.exp(a),
        torch=lambda torch, a: torch.exp(a),
        javascript="Math.exp(a)",
        reach=POSITIVE,
    ),
    Operation(
        "sqrt",
        "activation",
        1,
        "√",
        value=lambda a: math.sqrt(max(a, 0.0)),
        numpy="sqrt({0}, {out})",
        slopes=_sqrt_slopes,
        llvm=lambda code, a: code.sqrt(a),
        torch=lambda torch, a: torch.sqrt(a),
        javascript="Math.sqrt(a)",
        reach=POSITIVE,
    ),
    Operation(
        "max",
        "function",
        2,
        "max",
        value=max,
        numpy="maximum({0}, {1}, out={out})",
        slopes=_max_slopes,
        llvm=lambda code, a, b: code.maximum(a, b),
        torch=lambda torch, a, b: torch.maximum(a, b),
        javascript="Math.max(a, b)",
    ),
    # a sum of matrix maps that nothing squashes, with a record of its own
    Operation(
        "identity",
        "activation",
        1,
        "",
        value=lambda a: a,
        slopes=lambda make, node: ((1, _one(make)),),
        torch=lambda torch, a: a,
        javascript="a",
        reach=ALL,
    ),
    # stands in descriptions for the arithmetic that it is made of
    Operation("layer_norm", "reduction", 1, "LN"),
    Operation("mask", "internal", 0),
    Operation(
        "sign",
        "internal",
        1,
        numpy="sign({0}, {out})",
        llvm=lambda code, a: code.sign(a),
    ),
)
OPERATIONS = {operation.name: operation for operation in _ROWS}
# what is no operation of the graph: a vector moved, and a product with a matrix
MOVES = {"copy": "copyto({out}, {0})", "dot": "dot({0}, {1}, {out})"}
STATEMENTS = MOVES | {row.name: row.numpy for row in _ROWS if row.numpy}
"""The statement of every call that a program makes."""
FUNCTIONS = {found for text in STATEMENTS.values() for found in re.findall(r"(?<![.\w])(\w+)\(", text)}
"""The functions of NumPy that statements use."""
LEAVES = tuple(row.name for row in _ROWS if not row.arity)
ACTIVATIONS = tuple(row.name for row in _ROWS if row.kind == "activation")


def operations_table() -> dict[str, dict[str, Any]]:
    """What a page must know of the operations to draw with them: {name: {"arity", "symbol", "kind"}}."""
    return {
        row.name: {"arity": row.arity, "symbol": row.symbol, "kind": row.kind}
        for row in _ROWS
        if row.kind != "internal"
    }


def javascript_module() -> str:
    """The module `static/data/operations.js`: what each operation gives, for pages that compute with a graph."""
    names = {1: "(a)", 2: "(a, b)"}
    values = [f"  {row.name}: {names[row.arity]} => {row.javascript},\n" for row in _ROWS if row.javascript]
    head = "// The value of each operation, for one unit at one step; printed from models/graph/operations.py.\n"
    return f"{head}\nexport const VALUES = {{\n{''.join(values)}}};\n"
