"""What a person gives a network to read, and what it should make of it: texts, tokens or numbers, and targets, checked
against the network and put into its own numbers.
"""

import math
import re
from collections.abc import Sequence

from gatescope.app.http.problems import Problem, unknown_characters
from gatescope.models.network.network import Network, UnknownCharacters

STEP, NUMBER = ";", ","  # what stands in an address between two steps, and between the numbers of one
LISTED = 20
WHOLE = re.compile(r"[0-9]{1,9}")


def tokens_of(network: Network, text: str, limit: int, field: str = "text") -> list[int]:
    """The tokens of a text of 1 to `limit` characters; a Problem naming `field` for any other text."""
    if network.channels:
        raise Problem((field, f"this network reads no text: send values, {steps_of(network.channels)}"))
    if not network.vocabulary:
        raise Problem((field, "this network has no vocabulary: send tokens instead"))
    if not 1 <= len(text) <= limit:
        raise Problem((field, f"must have 1 to {limit:,} characters; this has {len(text):,}"))
    try:
        tokens = network.tokens(text)
    except UnknownCharacters as error:
        raise unknown_characters(field, error.characters, network.id) from None
    if not tokens:
        raise Problem((field, "must have a word at least"))
    return tokens


def inputs_of(
    network: Network,
    limit: int,
    text: str | None = None,
    tokens: Sequence[int] | None = None,
    values: str | Sequence[Sequence[float]] | None = None,
) -> list:
    """The one of the three that was sent, as the network reads it; a Problem unless it is the one that fits.

    limit: most characters of a text, and most steps of the others.
    """
    if network.channels:
        if text is not None or tokens is not None or values is None:
            wrong = "text" if text is not None else "tokens" if tokens is not None else "values"
            raise Problem((wrong, f"this network reads numbers: send values alone, {steps_of(network.channels)}"))
        rows = rows_of(values, "values", network.channels) if isinstance(values, str) else list(values)
        if not 1 <= len(rows) <= limit:
            raise Problem(("values", f"must have 1 to {limit:,} steps; this has {len(rows):,}"))
        return rows
    if values is not None:
        raise Problem(("values", f"this network reads {network.task.reads}, no numbers: send text or tokens"))
    if (text is None) == (tokens is None):
        raise Problem(("text", "send either text or tokens, one of the two"))
    if text is not None:
        return tokens_of(network, text, limit)
    if not 1 <= len(tokens) <= limit:
        raise Problem(("tokens", f"must hold 1 to {limit:,} tokens; this holds {len(tokens):,}"))
    last = network.vocabulary_size - 1
    if max(tokens) > last:
        raise Problem(("tokens", f"each must be 0 to {last}"))
    return list(tokens)


def targets_of(
    network: Network, targets: str | Sequence[int | str | Sequence[float]] | None, limit: int, field: str = "targets"
) -> list | None:
    """What should come out, a class (its label or its number) or numbers a step; None where nothing was said.

    As an address has it: steps with `;` between, the numbers of one with `,`. A Problem names `field`.
    """
    if targets is None:
        return None
    if not network.predicts:
        raise Problem((field, "this network has no readout, so nothing comes out"))
    names = network.task.labels or (network.vocabulary if network.task.gives == "next" else ())
    if isinstance(targets, str):
        if network.task.is_regression:
            targets = rows_of(targets, field, network.outputs)
        else:
            targets = [targets] if targets in names else targets.split(STEP)
    if len(targets) > limit:
        raise Problem((field, f"must have at most {limit:,} steps; this has {len(targets):,}"))
    return list(targets) if network.task.is_regression else classes_of(targets, names, network.outputs, field)


def classes_of(targets: Sequence, names: Sequence[str], classes: int, field: str) -> list[int]:
    """Classes by their names or numbers; a Problem naming the field for what is none."""
    number = {name: index for index, name in enumerate(names)}
    number = {each: int(each) for each in targets if isinstance(each, str) and WHOLE.fullmatch(each)} | number
    found = [number.get(each) if isinstance(each, str) else each for each in targets]
    if not all(isinstance(each, int) and 0 <= each < classes for each in found):
        listed = [*names[:LISTED], *(["…"] if len(names) > LISTED else []), f"a number from 0 to {classes - 1}"]
        raise Problem((field, f"each must be {', '.join(listed[:-1])}{' or ' if names else ''}{listed[-1]}"))
    return found


def rows_of(text: str, field: str, width: int) -> list[list[float]]:
    """Numbers as an address has them, `0.1,0.2;0.3,0.4`; a Problem naming the field for what is none."""
    try:
        rows = [[float(number) for number in step.split(NUMBER)] for step in text.split(STEP)]
    except ValueError:
        rows = []
    if not rows or not all(len(row) == width and all(map(math.isfinite, row)) for row in rows):
        raise Problem((field, f"must be {steps_of(width)}, with {NUMBER} between numbers and {STEP} between steps"))
    return rows


def format_rows(rows: Sequence[Sequence[float]]) -> str:
    """Numbers as an address has them, to six digits."""
    return STEP.join(NUMBER.join(f"{number:.6g}" for number in row) for row in rows)


def steps_of(width: int) -> str:
    """What a list of numbers must be, in words."""
    return f"steps of {width:,} number{'s' if width > 1 else ''} each"
