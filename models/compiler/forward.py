"""The forward loop of a cell, as a schedule: what is left of a step when the input's maps are hoisted out of it."""

from __future__ import annotations

from gatescope.models.compiler.layout import Layout
from gatescope.models.compiler.schedule import Place, Schedule, uniform
from gatescope.models.graph.derivatives import Derivatives
from gatescope.models.graph.node import Node


class Forward:
    """schedule: the calls of one step. kept: matrix maps whose values the backward pass must know besides the records;
    they lie in an array of their own, `kept`.
    """

    def __init__(self, layout: Layout, intervened: frozenset[str]):
        self.layout, self.graph, self.schedule = layout, layout.graph, Schedule()
        self.kept = self._needed_later()
        self._where = dict(layout.place)
        for node in self.graph.nodes:
            if node.signal and node.op != "linear":
                self._record(node)
            if node.signal in intervened:
                out = layout.place[node]
                self.schedule.call("mul", out, out, Place(f"mask_{node.signal}"))
                self.schedule.call("add", out, out, Place(f"value_{node.signal}"))
            for stack, (source, blocks) in layout.stacks.items():
                if node is source and source not in self.graph.lags:
                    self._product(stack, source, blocks)

    def _needed_later(self) -> list[Node]:
        """The maps that are factors of a derivative, or are mapped again."""
        derivatives = Derivatives()
        factors = [
            node
            for record in self.graph.records.values()
            for found in derivatives.of(record).values()
            for _, node in found
        ]
        needed = {leaf for factor in factors for leaf in leaves(factor)}
        needed |= {source for source, _ in self.layout.stacks.values()}
        return [node for node in self.graph.linears if node in needed]

    def has_input(self, record: Node) -> bool:
        """Whether a record already holds the input's part when the loop begins."""
        _, maps = self.layout.stacks["weight_ih"]
        return any(block.name and self.layout.reader(block) is record for block in maps)

    def _product(self, stack: str, source: Node, blocks: list[Node]) -> None:
        """One product for all maps of a vector, then the biases of those that are not folded into the input's."""
        call, where, layout = self.schedule.call, self._where, self.layout
        if blocks[0].width:
            call("dot", where[blocks[0]], where[source], Place(stack, 0, 1, "fixed"))
            return
        out = self.schedule.spare(len(blocks))
        call("dot", out, where[source], Place(stack, 0, len(blocks), "fixed"))
        for index, block in enumerate(blocks):
            where[block] = Place(out.array, index, index + 1, "fixed")
            folded = layout.is_plain(block) and self.has_input(layout.reader(block))
            if block not in self.kept and (folded or not block.bias):
                continue
            target = where[block]
            if block in self.kept:
                target = Place("kept", self.kept.index(block), self.kept.index(block) + 1)
            if block.bias:
                bias = Place(stack.replace("weight", "bias"), index, index + 1, "fixed")
                where[block] = call("add", target, where[block], bias)
            else:
                where[block] = call("copy", target, where[block])

    def _record(self, node: Node) -> None:
        """The calls that write one record."""
        out, summands = self.layout.place[node], self.graph.pre_activation(str(node.signal))
        call, express = self.schedule.call, self.schedule.express
        if node.op == "mean":
            call("mean", out, self._where[node.reads[0]])
            return
        if summands is None:
            express(node, {known: place for known, place in self._where.items() if known is not node}, out)
            return
        ready = self.has_input(node)
        for summand in summands:
            if summand.op == "linear" and summand.reads[0] in self.graph.lags:
                continue  # hoisted: it lies there already
            place = express(summand, self._where)
            if node.op == "sigmoid" and summand.op != "linear":
                place = call("mul", self.schedule.spare(), place, uniform(0.5))
            call("add", out, out, place) if ready else call("copy", out, place)
            ready = True
        self.schedule.squash(node.op, out)


def leaves(node: Node) -> list[Node]:
    """The records and leaves that an expression is made of."""
    return [node] if node.is_record else [leaf for read in node.reads for leaf in leaves(read)]
