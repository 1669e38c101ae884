"""What a computation will take, known before anything is allocated: the most bytes it holds at once, and its work in
multiply-adds.

Sizes are read off the cells' programs, so a cell added by a file has its price. Work counts what is no multiply-add by
the multiply-adds that take as long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypedDict, Unpack

from gatescope.models.compiler.backend import chosen_kernel
from gatescope.models.compiler.program import Program, program
from gatescope.models.inspection.interventions import Intervention
from gatescope.models.network.architecture import LayerSpec
from gatescope.models.network.bptt import CHUNK_LENGTHS
from gatescope.models.network.network import Network
from gatescope.models.refused import Refused

# In multiply-adds: a step of a layer's loop beyond its products, one number of a signal, one of the outputs.
A_STEP = {"numpy": 1_200_000, "compiled": 30_000}
A_SIGNAL, AN_OUTPUT = 60, 200
# and one step's guesses, one signal's norm at a step, as an event has them
A_GUESS, A_NORM = 1_000_000, 100_000
# and a character that is written by itself: a pass of one step, a draw and an event
A_CHARACTER = 15_000_000
# What lies about a computation whatever its size: views, small arrays, the answer's next piece.
ABOUT = 4 << 20
UNITS = (("GiB", 2**30), ("MiB", 2**20))


@dataclass(frozen=True)
class Price:
    """memory: bytes held at once at most. work: multiply-adds."""

    memory: int
    work: int


class Sizes:
    """How large everything is that a computation on a network allocates, in numbers (of its precision) and in
    multiply-adds. overwritten: the signals of each layer that interventions overwrite.
    """

    def __init__(self, network: Network, steps: int, interventions: Iterable[Intervention] = ()):
        self.network, self.steps, self.specs = network, steps, network.layer_specs
        self.kernel = chosen_kernel(steps)
        self.chunk = min(CHUNK_LENGTHS[self.kernel], steps)
        self.overwritten: list[set[str]] = [set() for _ in self.specs]
        for each in interventions:
            if 0 <= each.layer < len(self.specs):
                self.overwritten[each.layer] |= {each.signal} & set(self.specs[each.layer].cell.graph().signals)
        self.programs = [program(spec.cell, names) for spec, names in zip(self.specs, self.overwritten, strict=True)]

    @property
    def parameters(self) -> int:
        """All weights."""
        return self.network.size

    @property
    def tables(self) -> int:
        """What every token makes of the maps of the lowest layers: a row for each."""
        if self.network.channels:
            return 0
        lowest = [layer for spec, layer in zip(self.specs, self.programs) if spec.level == 0]
        rows = sum(len(blocks) for each in lowest for blocks in _input_stacks(each))
        return (self.network.inputs + 1) * rows * self.specs[0].hidden

    @property
    def weights(self) -> int:
        """The weights as the programs read them, twice over, with the tables."""
        return 3 * self.parameters + self.tables

    @property
    def matrices(self) -> int:
        """The multiply-adds of one step forwards: every matrix but those that tokens look up."""
        looked_up = {"embedding.weight"}
        for spec in self.specs:
            if spec.level == 0 and not self.network.channels:
                lags = spec.cell.graph().lags
                looked_up |= {
                    spec.stored(name)[0] for name, (source, _) in spec.cell.stacks().items() if source in lags
                }
        return sum(
            array.size for name, array in self.network.parameters.items() if array.ndim > 1 and name not in looked_up
        )

    @property
    def signals(self) -> int:
        """The numbers of all signals at a step."""
        return sum(self._states(index) + self._gates(index) for index in range(len(self.specs)))

    def chosen(self, signals: Sequence[str] | None) -> int:
        """The numbers of these signals at a step."""
        return sum(
            spec.cell.width(name, spec.hidden)
            for spec in self.specs
            for name in spec.cell.graph().signals
            if signals is None or name in signals or spec.cell is not self.network.cell
        )

    def _states(self, index: int) -> int:
        spec = self.specs[index]
        return sum(spec.cell.width(state, spec.hidden) for state in spec.cell.memories())

    def _gates(self, index: int) -> int:
        return len(self.programs[index].layout.gates) * self.specs[index].hidden

    def records(self, steps: int) -> int:
        """What a pass forwards writes at so many steps, the overwritten signals' masks and values included."""
        found = 0
        for index, (spec, layer) in enumerate(zip(self.specs, self.programs, strict=True)):
            kept = len(layer.kept) * spec.hidden
            masks = 2 * sum(spec.cell.width(name, spec.hidden) for name in self.overwritten[index])
            found += (steps + 1) * self._states(index) + steps * (self._gates(index) + kept) + self.steps * masks
        return found

    def gradients(self, window: int, adjoints: int = 1) -> int:
        """The gradients of all signals over a window of steps, and what one chunk of it needs besides."""
        found = 0
        for index, (spec, layer) in enumerate(zip(self.specs, self.programs, strict=True)):
            chunk = min(self.chunk, window) * _chunk_blocks(layer, self.kernel) * spec.hidden
            found += (window + 1) * self._states(index) + window * self._gates(index) + chunk
        return found * adjoints

    @property
    def ends(self) -> int:
        """What goes in and what should come out at a step, beside tokens and classes; in double precision twice over,
        as it is checked, and once more in the pass.
        """
        targets = self.network.outputs if self.network.task.is_regression else 0
        return 3 * ((self.network.channels or 4) + targets + 4)

    def scores(self, steps: int) -> int:
        """Probabilities and their gradient, over so many steps."""
        return 3 * steps * self.network.outputs

    @property
    def norms(self) -> int:
        """A number a step for each parameter of a recurrent layer."""
        return self.steps * sum(name.startswith(("rnn.", "convolution.")) for name in self.network.parameters)

    def work(self, passes: int) -> int:
        """Multiply-adds of all steps; passes: 1 forwards, 3 with the way back."""
        one = self.matrices + A_SIGNAL * self.signals + len(self.specs) * A_STEP[self.kernel]
        return self.steps * (passes * one + AN_OUTPUT * self.network.outputs) + self.laying_out

    @property
    def laying_out(self) -> int:
        """Multiply-adds before the first step: every token's row of the tables."""
        return self.tables * (self.network.embedding or 1) + 10 * self.parameters


def _input_stacks(layer: Program) -> list[list[object]]:
    graph = layer.layout.graph
    return [list(blocks) for source, blocks in layer.layout.stacks.values() if source in graph.lags]


def _chunk_blocks(layer: Program, kernel: str) -> int:
    """How many blocks of H numbers a step of a chunk needs beside the records, on its way back; see `Layer`."""
    layout, shared = layer.layout, layer.same_as_input
    stacks = sum(
        len(blocks)
        for name, (source, blocks) in layout.stacks.items()
        if source not in layout.graph.lags or (name == "weight_ih" and not shared)
    )
    found = stacks + len(layout.graph.parameters)
    return found if kernel == "compiled" else found + stacks + sum(layer.slopes.scratch.values())


def count_of_steps(network: Network, inputs: Sequence[object], targets: Sequence[object] | None = None) -> int:
    """How many steps a network makes of inputs: as many as there are, or as should come out of one."""
    if network.task.pattern != "one-to-many":
        return len(inputs)
    return network.task.steps if targets is None else max(1, len(targets))


class TraceOptions(TypedDict, total=False):
    """What decides the price of a trace beside the network and its steps; see `Recorder`."""

    backward: bool
    precision: str
    signals: Sequence[str] | None
    interventions: Sequence[Intervention]


def price_of_trace(
    network: Network,
    steps: int,
    backward: bool = True,
    precision: str = "float32",
    signals: Sequence[str] | None = None,
    interventions: Sequence[Intervention] = (),
) -> Price:
    """The price of a trace; the parameters are those of `Recorder`."""
    sizes, backward = Sizes(network, steps, interventions), backward and network.predicts
    recycles = signals is not None and not interventions
    window = sizes.chunk if recycles and _recycles(network) else steps
    held = sizes.weights + sizes.records(steps if backward else window)
    held += steps * network.outputs + sizes.scores(sizes.chunk if _recycles(network) else steps)
    held += steps * sizes.ends * 2
    if backward:
        held += sizes.gradients(window) + sizes.tables + sizes.parameters + sizes.norms
    if recycles:
        held += (1 + backward) * steps * sizes.chosen(signals) + steps * network.outputs
    return Price(_bytes(held, precision), sizes.work(3 if backward else 1))


def price_of_stream(network: Network, steps: int, **options: Unpack[TraceOptions]) -> Price:
    """The price of a trace as events: every step's guesses and norms are also put in words; options as a trace has."""
    found = price_of_trace(network, steps, **options)
    told = sum(len(spec.cell.graph().signals) + len(spec.cell.stacks()) for spec in network.layer_specs)
    return Price(found.memory, found.work + steps * (A_GUESS + told * A_NORM))


def price_of_preactivations(network: Network, steps: int, interventions: Sequence[Intervention] = ()) -> Price:
    """The price of one unit's sums over all steps."""
    found = price_of_trace(network, steps, backward=False, interventions=interventions)
    widest = max(2 * spec.hidden for spec in network.layer_specs)
    return Price(found.memory + 8 * steps * (widest + 40), found.work + steps * widest * 40)


def price_of_check(network: Network, steps: int, interventions: Sequence[Intervention] = ()) -> Price:
    """The price of the check of gradients: a trace in double precision, and two passes with moved weights."""
    once = price_of_trace(network, steps, precision="float64", interventions=interventions)
    sizes = Sizes(network, steps, interventions)
    moved = _bytes(3 * sizes.parameters + sizes.weights, "float64")
    return Price(once.memory + moved, once.work + 2 * sizes.work(1))


def price_of_influence(network: Network, steps: int, interventions: Sequence[Intervention] = ()) -> Price:
    """The price of a map of all pairs: every loss goes back by itself, half of a square."""
    sizes, width = Sizes(network, steps, interventions), 2 * max(spec.hidden for spec in network.layer_specs)
    window = min(4, steps) if _recycles(network) else steps
    held = sizes.weights + sizes.records(steps) + steps * network.outputs + sizes.scores(steps)
    held += sizes.gradients(window, steps) + 2 * window * steps * width + steps * (width + sizes.ends * 2)
    readout = network.outputs * width // 2
    pairs = steps * steps // 2 * (max(0, sizes.matrices - readout) + A_SIGNAL * sizes.signals)
    # a number of the map is four bytes, and some twelve more in its answer
    return Price(_bytes(held, "float32") + 20 * steps * steps, sizes.work(2) + pairs)


def price_of_generation(
    network: Network, prompt: int, length: int, interventions: Sequence[Intervention] = ()
) -> Price:
    """The price of reading a prompt and writing on."""
    found = price_of_trace(network, prompt + length, backward=False, interventions=interventions)
    return Price(found.memory, found.work + length * (network.outputs * AN_OUTPUT + A_CHARACTER))


def _recycles(network: Network) -> bool:
    """As `NetworkWeights.recycles`, of a network whose weights are not laid out yet."""
    specs: list[LayerSpec] = network.layer_specs
    return not any(spec.reverse or any(spec.cell.graph().lags.values()) for spec in specs)


def _bytes(numbers: int, precision: str) -> int:
    return numbers * (8 if precision == "float64" else 4) + ABOUT


@dataclass(frozen=True)
class Purse:
    """What one computation may take. memory: bytes; work: multiply-adds."""

    memory: int
    work: int

    def pay(self, price: Callable[[int], Price], steps: int, field: str = "tokens") -> Price:
        """The price of so many steps; raises Refused, with the figure and what would fit, where it is too high."""
        found = price(steps)
        if self._affords(found):
            return found
        if found.memory > self.memory:
            much = f"this would hold {in_words(found.memory)} of memory, and at most {in_words(self.memory)} are given"
        else:
            much = f"this would take {found.work:.1e} multiply-adds, and at most {self.work:.1e} are given"
        fitting = self._fitting(price, steps)
        fit = f"{fitting:,} steps would fit" if fitting else "not even one step would fit, so large is the network"
        raise Refused(field, f"{much}; {fit}")

    def _fitting(self, price: Callable[[int], Price], steps: int) -> int:
        """The most steps that it would do for; found by halving."""
        low, high = 0, steps
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._affords(price(middle)) else (low, middle)
        return low

    def _affords(self, price: Price) -> bool:
        return price.memory <= self.memory and price.work <= self.work


def in_words(size: int) -> str:
    """So many bytes, in the unit that fits."""
    unit, of = next(((unit, of) for unit, of in UNITS if size >= of), UNITS[-1])
    return f"{size / of:,.1f} {unit}"
