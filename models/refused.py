"""What the networks say to a value that a person gave and that cannot be, how a stranger's names stand in such a
sentence, and what may be chosen for a process.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

SENTENCE_LENGTH = 1000
NAME_LENGTH = 60
LISTED = 10


def printable(text: str, length: int = NAME_LENGTH) -> str:
    """A name as sent, fit for an answer and for a line of a log: cut, and what does not show (controls, ends of lines,
    marks that turn the direction of writing, half surrogates) escaped.
    """
    shown = text if len(text) <= length else text[:length] + "…"
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in shown)


def listed_names(names: Collection[str], most: int = LISTED) -> str:
    """Names with commas between, each as `printable` has it; of more than `most` the first, and how many there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(printable, islice(names, most))) + more


class Refused(ValueError):
    """A value that cannot be had. field: which, by its name in these functions; detail: what it may be, as words that
    go on after “field: ”, cut after a thousand characters. Other errors of value are faults of the program.
    """

    def __init__(self, field: str, detail: str):
        self.field, self.detail = field, printable(detail, SENTENCE_LENGTH)
        super().__init__(self.field, self.detail)

    def __str__(self) -> str:
        return f"{self.field}: {self.detail}"

    def called(self, names: Mapping[str, str]) -> Refused:
        """The same of a field that whoever gave it knows by another name."""
        return Refused(names.get(self.field, self.field), self.detail)


@contextmanager
def refusals_called(names: Mapping[str, str]) -> Iterator[None]:
    """What is refused within the `with` block is refused by the names under which whoever gave it knows it."""
    try:
        yield
    except Refused as refused:
        raise refused.called(names) from None


@dataclass(frozen=True)
class ProcessChoice:
    """A choice that holds for a whole process and those it starts: an environment variable; the first of `choices`
    where it is not set.

    It is no part of a network, a recipe or a request: the same question gets the same answer wherever it is asked in a
    process. Two services in one process, as in tests, share it: the one made last chooses for both.
    """

    variable: str
    choices: tuple[str, ...]

    def get(self) -> str:
        """What was chosen; raises Refused where the environment holds no such choice."""
        choice = os.environ.get(self.variable, self.choices[0])
        self.check(choice)
        return choice

    def set(self, choice: str) -> None:
        """Choose from now on; raises Refused."""
        self.check(choice)
        os.environ[self.variable] = choice

    def check(self, choice: str) -> None:
        """Raise Refused for what is no choice."""
        if choice not in self.choices:
            raise Refused(self.variable, f"must be one of {', '.join(self.choices)}")
