"""What a person gives a network to read, and what it should make of it: texts, tokens or numbers, and targets, as
addresses and bodies have them, put into the network's words. Whether they fit it, the network says.
"""

from collections.abc import Sequence

from gatescope.app.http.problems import Problem, unknown_characters
from gatescope.models.network.network import Network, UnknownCharacters
from gatescope.models.network.task import steps_of
from gatescope.models.refused import Refused

NUMERIC = frozenset("0123456789.+-eE;, \t\n" + "naifty" + "NAIFTY")  # nan and inf are refused with their range
STEP, NUMBER = ";", ","  # what stands in an address between two steps, and between the numbers of one
# How the fields that the networks know are called where a text was sent in their place, and in an address.
IN_TEXTS = {"tokens": "text"}
IN_ADDRESSES = IN_TEXTS | {"targets": "target"}
# Tokens (N,) or numbers (N, channels); what should come out at each step: a class by number or label, or numbers.
Inputs = list[int] | list[Sequence[float]]
Targets = list[int | str | Sequence[float]]


def tokens_of(network: Network, text: str, limit: int, field: str = "text") -> list[int]:
    """The tokens of a text of 1 to `limit` characters; a Problem naming `field` for any other text."""
    if not 1 <= len(text) <= limit:
        raise Problem((field, f"must have 1 to {limit:,} characters; this has {len(text):,}"))
    try:
        tokens = network.tokens(text)
    except UnknownCharacters as error:
        raise unknown_characters(field, error.characters, network.id) from None
    except Refused as refused:
        raise Problem((field, refused.detail)) from None
    if not tokens:
        raise Problem((field, "must have a word at least"))
    return tokens


def inputs_of(
    network: Network,
    limit: int,
    text: str | None = None,
    tokens: Sequence[int] | None = None,
    values: str | Sequence[Sequence[float]] | None = None,
) -> Inputs:
    """The one of the three that was sent, as the network reads it; a Problem unless it is the one that fits.

    limit: most characters of a text, and most steps of the others.
    """
    if network.channels:
        if text is not None or tokens is not None or values is None:
            wrong = "text" if text is not None else "tokens" if tokens is not None else "values"
            raise Problem((wrong, f"this network reads numbers: send values alone, {steps_of(network.channels)}"))
        count = values.count(STEP) + 1 if isinstance(values, str) else len(values)
        if not 1 <= count <= limit:  # before an address is cut at each of them
            raise Problem(("values", f"must have 1 to {limit:,} steps; this has {count:,}"))
        return list(rows_of(values, "values", network.channels) if isinstance(values, str) else values)
    if values is not None:
        raise Problem(("values", f"this network reads {network.task.reads}, no numbers: send text or tokens"))
    if text is not None and tokens is None:
        return tokens_of(network, text, limit)
    if text is not None or tokens is None:
        raise Problem(("text", "send either text or tokens, one of the two"))
    if not 1 <= len(tokens) <= limit:
        raise Problem(("tokens", f"must hold 1 to {limit:,} tokens; this holds {len(tokens):,}"))
    return list(tokens)


def targets_of(
    network: Network, targets: str | Sequence[int | str | Sequence[float]] | None, limit: int, field: str
) -> Targets | None:
    """What should come out, a class (its label or its number) or numbers a step; None where nothing was said.

    As an address has it: steps with `;` between, the numbers of one with `,`; a label may hold a `;` itself. limit:
    most steps. A Problem names `field`.
    """
    if targets is None:
        return None
    if isinstance(targets, str) and targets in network.classes:
        return [targets]
    count = targets.count(STEP) + 1 if isinstance(targets, str) else len(targets)
    if count > limit:  # before an address is cut at each of them
        raise Problem((field, f"must have at most {limit:,} steps; this has {count:,}"))
    if isinstance(targets, str) and network.task.is_regression:
        targets = rows_of(targets, field, network.outputs)
    elif isinstance(targets, str):
        targets = targets.split(STEP)
    return list(targets)


def rows_of(text: str, field: str, width: int) -> list[list[float]]:
    """Numbers as an address has them, `0.1,0.2;0.3,0.4`; a Problem naming the field for what is none: `float` alone
    would also take `1_000` and the digits of every script.
    """
    try:
        if not NUMERIC.issuperset(text):
            raise ValueError("holds what is in no number")
        return [[float(number) for number in step.split(NUMBER)] for step in text.split(STEP)]
    except ValueError:
        apart = f"with {NUMBER} between numbers and {STEP} between steps"
        raise Problem((field, f"must be {steps_of(width)}, {apart}")) from None


def signal_names(signals: str | list[str] | None) -> list[str] | None:
    """The signals named in a list or, in an address, with commas between; None, for all, when none are named."""
    return signals.split(NUMBER) if isinstance(signals, str) else signals


def format_rows(rows: Sequence[Sequence[float]]) -> str:
    """Numbers as an address has them, to six digits."""
    return STEP.join(NUMBER.join(f"{number:.6g}" for number in row) for row in rows)
