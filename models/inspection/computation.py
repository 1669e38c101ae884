"""Computations in pieces: whoever runs one may stop between two of them, when nobody waits for the result any more."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Generic, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Pieces = Generator[None, None, Result]


@dataclass(frozen=True)
class Computation(Generic[Arguments, Result]):
    """A function whose work is cut in pieces. Called, it goes through with all of them and gives its result; `pieces`
    gives the generator itself, which stops after each piece and returns the result with the last.
    """

    pieces: Callable[Arguments, Pieces[Result]]

    def __call__(self, *values: Arguments.args, **options: Arguments.kwargs) -> Result:
        return finished(self.pieces(*values, **options))


def finished(pieces: Pieces[Result], goes_on: Callable[[], bool] = lambda: True) -> Result:
    """The result of a computation, all pieces of which are done in this thread.

    goes_on: asked between two pieces; raises Abandoned where it says no.
    """
    while goes_on():
        try:
            next(pieces)
        except StopIteration as end:
            result: Result = end.value
            return result
    pieces.close()
    raise Abandoned


class Abandoned(Exception):
    """A computation was left before its end, because nobody waits for it."""
