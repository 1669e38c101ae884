"""What the networks say to a value that a person gave and that cannot be, and what may be chosen for a process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


class Refused(ValueError):
    """A value that cannot be had. field: which, by its name in these functions; detail: what it may be, as words that
    go on after “field: ”. Other errors of value are faults of the program.
    """

    def __init__(self, field: str, detail: str):
        super().__init__(field, detail)
        self.field, self.detail = field, detail

    def __str__(self) -> str:
        return f"{self.field}: {self.detail}"

    def called(self, names: Mapping[str, str]) -> Refused:
        """The same of a field that whoever gave it knows by another name."""
        return Refused(names.get(self.field, self.field), self.detail)


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
