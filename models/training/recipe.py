"""What decides a training besides the text, with defaults that suit the text's size, and what it will cost."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from gatescope.models.cells import cells
from gatescope.models.network.network import parameter_shapes
from gatescope.models.refused import Refused

LIMITS = {
    "layers": (1, 8),
    "hidden": (1, 10**7),
    "batch_size": (1, 4096),
    "sequence_length": (1, 4096),
    "learning_rate": (1e-9, 1e38),
    "warm_up": (0.0, 1.0),
    "weight_decay": (0.0, 1.0),
    "clip": (1e-6, 1e9),
    "dropout": (0.0, 0.95),
    "steps": (1, 10**15),
    "patience": (1, 10**6),
    "update_every": (1, 10**4),
    "validation": (0.0, 0.5),
    "validate_every": (1, 10**15),
    "report_every": (1, 10**15),
    "sample_every": (1, 10**15),
    "checkpoint_every": (1, 10**15),
    "seed": (0, 2**63 - 1),
    "threads": (1, 64),
}
LARGEST_EMBEDDING = 4096
LARGEST_NETWORK = 64_000_000
LARGEST_MEMORY = 8 * 2**30
LONGEST_SECONDS = 7 * 24 * 3600.0
# The most events of a training, however long it is: its log and its pages stay small.
MOST_REPORTS, MOST_SAMPLES, MOST_CHECKPOINTS = 2000, 500, 1000
# Bytes that a training holds at its peak, which is while it saves a checkpoint; as measured in tests/test_limits.py.
BYTES_A_WEIGHT, BYTES_A_VALUE, BYTES_A_CHARACTER = 96, 12, 40
# A checkpoint holds the weights, the optimiser's two memories, a gradient and the best weights so far, four bytes each.
BYTES_KEPT_A_WEIGHT, BYTES_KEPT = 21, 2**24
# A core's pace a second, for estimates only: multiply-adds, and values of signals (made and differentiated).
MULTIPLY_ADDS, VALUES = 6e10, 2e8
HELD_OUT = 30_000
FULL_SIZE = 64


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training besides the text; a stored recipe trains the same network again.

    options: choices the cell offers, such as ("window", 8). embedding: the numbers a character becomes, None is
    one-hot. convolution: (channels, window) of a convolution before the recurrence. A step reads one batch:
    batch_size columns of the text, sequence_length characters of each; the weights move after every update_every-
    th. learning_rate is reached after the fraction warm_up of all steps and then falls to zero. clip: the longest
    gradient. dropout: the fraction of each layer's output that is left out. validation: the fraction of the text,
    at its end, that is held out; patience: how many validations without a better loss end the training before its
    last step. The four …_every count steps between events. threads share a batch. Raises Refused.
    """

    cell: str = "lstm"
    options: tuple[tuple[str, int | str], ...] = ()
    layers: int = 1
    hidden: int = 128
    embedding: int | None = None
    convolution: tuple[int, int] | None = None
    batch_size: int = 32
    sequence_length: int = 64
    learning_rate: float = 4e-3
    warm_up: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    dropout: float = 0.0
    steps: int = 1000
    patience: int = 10
    update_every: int = 1
    validation: float = 0.1
    validate_every: int = 100
    report_every: int = 20
    sample_every: int = 200
    checkpoint_every: int = 500
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        """Raises Refused naming the first parameter that is out of its range."""
        object.__setattr__(self, "options", tuple(map(tuple, self.options)))
        if self.cell not in cells():
            raise Refused("cell", f"must be one of {', '.join(cells())}")
        if not all(type(value) in (int, str) for _, value in self.options):  # 5.0 would count as the option 5
            raise Refused("options", "must be whole numbers or words")
        try:
            cells()[self.cell].with_options(*self.options)
        except ValueError as error:
            raise Refused("options", str(error)) from None
        for name, (low, high) in LIMITS.items():
            value, whole = getattr(self, name), isinstance(low, int)
            if type(value) not in ((int,) if whole else (int, float)) or not low <= value <= high:
                kind = "a whole number " if whole else ""
                raise Refused(name, f"must be {kind}between {low:,} and {high:,}")
        if self.embedding is not None and not (
            type(self.embedding) is int and 1 <= self.embedding <= LARGEST_EMBEDDING
        ):
            raise Refused("embedding", f"must be between 1 and {LARGEST_EMBEDDING}, or none for one-hot input")
        if self.convolution is not None:
            object.__setattr__(self, "convolution", tuple(self.convolution))
            channels, window = self.convolution
            if not (1 <= channels <= LARGEST_EMBEDDING and 2 <= window <= 32):
                raise Refused("convolution", f"must be 1 to {LARGEST_EMBEDDING} channels and a window of 2 to 32")

    @classmethod
    def for_text(cls, length: int, vocabulary_size: int, epochs: int | None = None, **chosen: Any) -> Recipe:
        """A recipe that suits a text of so many characters; what is chosen stays, shrunk where the text is too short.

        epochs, if given, says how many times the text is read in place of steps. A recipe from a network's card can be
        given as it stands. Raises Refused for a text that cannot be trained on.
        """
        if length < 2 or vocabulary_size < 2:
            raise Refused(
                "text",
                "must have at least two different characters; it has "
                f"{length:,} character{'' if length == 1 else 's'}, {vocabulary_size:,} different",
            )
        given = {name: value for name, value in chosen.items() if value is not None or name == "embedding"}
        given.setdefault("embedding", None if vocabulary_size <= 128 else 64)
        given.setdefault("hidden", 64 if length < 20_000 else 128)
        given.setdefault("validation", min(0.1, HELD_OUT / length))
        cls(**given)  # what was chosen is sound before it is fitted
        trained_on = length - held_out(length, given["validation"])
        given.setdefault("sequence_length", min(FULL_SIZE, 2 * math.isqrt(trained_on)))
        given["sequence_length"] = min(given["sequence_length"], trained_on - 1)
        given["batch_size"] = min(given.get("batch_size", cls.batch_size), trained_on // (given["sequence_length"] + 1))
        epoch = batches(trained_on, given["batch_size"], given["sequence_length"])
        if epochs is not None:
            given["steps"] = epoch * epochs
        given.setdefault("steps", min(max(30 * epoch, 1000), 10_000))
        return cls._paced(given, length, vocabulary_size, epoch)

    @classmethod
    def for_dataset(cls, count: int, longest: int, tokens: int, epochs: int | None = None, **chosen: Any) -> Recipe:
        """A recipe that suits so many lessons, the longest of so many steps; tokens: the most different things that
        come in or out at a step. Otherwise as `for_text`.
        """
        given = {name: value for name, value in chosen.items() if value is not None or name == "embedding"}
        given = {"hidden": 32, "validation": min(0.1, 1000 / count)} | given | {"sequence_length": longest}
        cls(**given)
        trained_on = count - held_out(count, given["validation"])
        given["batch_size"] = min(given.get("batch_size", cls.batch_size), trained_on)
        epoch = trained_on // given["batch_size"]
        if epochs is not None:
            given["steps"] = epoch * epochs
        given.setdefault("steps", min(max(10 * epoch, 2000), 20_000))
        return cls._paced(given, count * longest, tokens, epoch)

    @classmethod
    def _paced(cls, given: dict[str, Any], length: int, vocabulary_size: int, epoch: int) -> Recipe:
        """The recipe with its events spread by the estimate: 0.6 s between reports, 5 s between samples, less in a
        short training, and more in one so long that its log would have no end.
        """
        estimate = cost(cls(**given), length, vocabulary_size)
        a_step: float = estimate.seconds / given["steps"]
        update: int = given.get("update_every", 1)
        steps: int = given["steps"]
        report = max(1, math.ceil(max(min(0.6 / a_step, steps / 20), steps / MOST_REPORTS) / update)) * update

        def every(seconds: float, most: int) -> int:
            return report * max(1, round(min(seconds / a_step, steps / 10) / report), math.ceil(steps / most / report))

        validating = 20 * held_out(length, given["validation"]) * estimate.seconds_a_character
        usual = min(max(epoch, given["steps"] // 50), max(1, given["steps"] // 10))
        paces = {
            "report_every": report,
            "validate_every": max(usual, math.ceil(validating / a_step)),
            "sample_every": every(5, MOST_SAMPLES),
            "checkpoint_every": every(10, MOST_CHECKPOINTS),
        }
        return cls(**(paces | given))

    def to_json(self) -> dict[str, Any]:
        """The recipe as plain JSON values."""
        return asdict(self) | {"options": [list(option) for option in self.options]}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Recipe:
        """The recipe that `to_json` made the values of."""
        if unknown := set(stored) - {field.name for field in fields(cls)}:
            raise Refused("recipe", f"has no field {', '.join(sorted(unknown))}")
        return cls(**stored)

    def rate(self, step: int) -> float:
        """The learning rate of step 1, 2, …: along a cosine up to the highest, along another down to zero.

        One cycle (Smith & Topin 2018, "Super-convergence"), in the shape of PyTorch's OneCycleLR with div_factor=25;
        a function of the step alone, so that a resumed training needs no scheduler's state.
        """
        rising = max(1, round(self.warm_up * self.steps))
        if step <= rising:
            return self.learning_rate * (0.04 + 0.96 * (1 - math.cos(math.pi * step / rising)) / 2)
        return self.learning_rate * (1 + math.cos(math.pi * (step - rising) / (self.steps - rising + 1))) / 2


def held_out(length: int, validation: float) -> int:
    """How many characters at a text's end are held out; none where they would be fewer than two."""
    count = int(length * validation)
    return count if 2 <= count <= length - 2 else 0


def batches(trained_on: int, batch_size: int, sequence_length: int) -> int:
    """How many batches one reading of the text gives; each needs one character more, the last one's target."""
    return (trained_on // batch_size - 1) // sequence_length


@dataclass(frozen=True)
class Cost:
    """What a training will take: weights, multiply-adds a step, bytes, characters read, seconds as a rough estimate."""

    parameters: int
    multiply_adds: int
    memory: int
    characters: int
    seconds: float
    seconds_a_character: float


def cost(recipe: Recipe, text_length: int, vocabulary_size: int) -> Cost:
    """The estimate for one core: good to a factor of two on a usual processor, made without allocating anything.

    seconds includes the validations; seconds_a_character is that of reading the held-out text once.
    """
    cell = cells()[recipe.cell].with_options(*recipe.options)
    shapes = parameter_shapes(cell, recipe.layers, recipe.hidden, vocabulary_size, recipe.embedding)
    parameters = sum(math.prod(shape) for shape in shapes.values())
    looked_up = {"embedding.weight"} | {name for name in shapes if name.endswith("_l0") and "weight_ih" in name}
    matrices = sum(math.prod(shape) for name, shape in shapes.items() if len(shape) == 2 and name not in looked_up)
    signals = len(cell.graph().signals) + len(cell.memories())
    values = recipe.layers * signals * recipe.hidden + vocabulary_size
    characters = recipe.batch_size * recipe.sequence_length
    step = 3 * matrices * characters / MULTIPLY_ADDS + values * characters / VALUES
    step += 6 * parameters / MULTIPLY_ADDS
    recorder = 4 * matrices / MULTIPLY_ADDS + values / VALUES  # one character at a time reads every weight anew
    validations = recipe.steps / recipe.validate_every * held_out(text_length, recipe.validation)
    return Cost(
        parameters=parameters,
        multiply_adds=3 * matrices * characters,
        memory=BYTES_A_WEIGHT * parameters + BYTES_A_VALUE * values * characters + BYTES_A_CHARACTER * text_length,
        characters=recipe.steps * characters,
        seconds=recipe.steps * step + validations * recorder,
        seconds_a_character=recorder,
    )


def affordable(
    recipe: Recipe,
    text_length: int,
    vocabulary_size: int,
    longest_seconds: float = LONGEST_SECONDS,
    memory: int = LARGEST_MEMORY,
) -> Cost:
    """The estimate of a training that this machine can do at all; raises Refused saying what is too much.

    memory: bytes that it may hold, beside what a process that trains nothing holds already.
    """
    found = cost(recipe, text_length, vocabulary_size)
    if found.parameters > LARGEST_NETWORK:
        raise Refused(
            "hidden",
            f"this network would have {found.parameters:,} weights, and at most {LARGEST_NETWORK:,} are trained",
        )
    if found.memory > memory:
        of_weights = BYTES_A_WEIGHT * found.parameters
        raise Refused(
            "hidden" if of_weights > memory / 2 else "batch_size",
            f"this training would need {found.memory / 2**30:,.1f} GiB of memory, "
            f"and at most {max(0, memory) / 2**30:,.1f} are given",
        )
    if found.seconds > longest_seconds:
        raise Refused(
            "steps",
            f"this training would take about {duration(found.seconds)}, and at most "
            f"{duration(longest_seconds)} are given",
        )
    return found


def longest_checkpoint(parameters: int = LARGEST_NETWORK) -> int:
    """The bytes that a checkpoint of so many weights may have."""
    return BYTES_KEPT_A_WEIGHT * parameters + BYTES_KEPT


def duration(seconds: float) -> str:
    """A time in words, in the largest unit that fits."""
    for unit, size in (("years", 365.25 * 86400), ("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:,.0f} seconds"
