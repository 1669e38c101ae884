"""A signal's equation in text, as a paper would write it."""

from __future__ import annotations

from gatescope.models.graph.graph import Graph
from gatescope.models.graph.node import Node, terms
from gatescope.models.graph.operations import LEAVES, OPERATIONS

# which operands of an operation need brackets, by the operation and the operand's place
_LOOSER = {
    ("mul", 0): ("add", "sub", "neg"),
    ("mul", 1): ("add", "sub", "neg", "div"),
    ("div", 0): ("add", "sub", "neg"),
    ("div", 1): ("add", "sub", "neg", "mul", "div"),
    ("sub", 1): ("add", "sub", "neg"),
    ("add", 1): ("neg",),
    ("neg", 0): ("add", "sub", "neg"),
}


def displayed(node: Node) -> Node:
    """The node that people see in place of a record that only programs keep."""
    return displayed(node.reads[0]) if node.hidden and node.op == "identity" else node


def face(node: Node) -> Node:
    """The operation and the reads that people see of a node: `max` or `LN` in place of their arithmetic."""
    return node.shown or node


def equation(graph: Graph, name: str) -> str:
    """`f_t = σ(W_f x_t + U_f h_{t−1} + b_f)`; W maps the input, U a state, V another signal, P projects."""
    return f"{name}_t = {_written(graph, graph.signals[name], True)}"


def _written(graph: Graph, node: Node, top: bool = False) -> str:
    """A node as it stands in an equation: by its name, unless it is the one that the equation is of (`top`)."""
    node = displayed(node)
    if graph.lags.get(node):
        return f"x_{{t−{graph.lags[node]}}}"
    if not top and _named(node):
        return f"{node.signal}_t"
    node = face(node)
    if node.op in LEAVES:
        return _leaf(node)
    if node.op == "linear":
        product = _product(graph, node)
        return f"({product} + b_{node.name})" if node.bias else f"({product})" if not node.width else product
    operation = OPERATIONS[node.op]
    symbol = operation.notation or operation.symbol or ""
    if operation.kind == "arithmetic":
        return _arithmetic(graph, node, symbol)
    inside = ", ".join(_inside(graph, read) for read in node.reads)
    return f"{symbol}({inside})" if symbol else inside


def _leaf(node: Node) -> str:
    if node.op == "parameter":
        return str(node.name).replace("weight_", "w_")
    return {"state": f"{node.name}_{{t−1}}", "input": "x_t"}.get(node.op, str(node.name).replace("-", "−"))


def _product(graph: Graph, node: Node) -> str:
    """A matrix map without its bias."""
    source = node.reads[0]
    if node.width:
        return f"P {_written(graph, source)}"
    lag = graph.lags.get(source)
    letter = f"W{lag}" if lag else {"input": "W", "state": "U"}.get(source.op, "V")
    return f"{letter}_{node.name} {_written(graph, source)}"


def _inside(graph: Graph, node: Node) -> str:
    """The argument of a function, which needs no brackets of its own."""
    node = displayed(node)
    if node.op == "linear" and not node.width:
        return _sum(graph, [node])
    return _written(graph, node)


def _sum(graph: Graph, summands: list[Node]) -> str:
    """A sum of matrix maps and others: the maps' biases, which are added up, stand once and last."""
    parts = [_product(graph, each) if each.op == "linear" else _written(graph, each) for each in summands]
    biases = [each.name for each in summands if each.op == "linear" and each.bias]
    return " + ".join([*parts, *(f"b_{name}" for name in biases[:1])])


def _arithmetic(graph: Graph, node: Node, symbol: str) -> str:
    """What stands between two operands or before one, with the brackets that it takes."""
    summands = _summands(node)
    if node.op == "add" and any(each.op == "linear" for each in summands):
        return _sum(graph, summands)
    sides = [_written(graph, read) for read in node.reads]
    for at, read in enumerate(map(displayed, node.reads)):
        if not _named(read) and face(read).op in _LOOSER.get((node.op, at), ()):
            sides[at] = f"({sides[at]})"
    return f"{symbol}{sides[0]}" if len(sides) == 1 else f" {symbol} ".join(sides)


def _summands(node: Node) -> list[Node]:
    """The summands of a sum as it is displayed."""
    found = []
    for term in map(displayed, terms(node)):
        found += _summands(term) if term is not node and term.op == "add" and not _named(term) else [term]
    return found


def _named(node: Node) -> bool:
    return node.signal is not None and not node.hidden
