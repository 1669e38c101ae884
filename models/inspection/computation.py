"""Computations in pieces: whoever runs one may stop between two of them, when nobody waits for the result any more."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import update_wrapper
from typing import Generic, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Pieces = Generator[None, None, Result]


class Computation(Generic[Arguments, Result]):
    """A function whose work is cut in pieces. Called, it goes through with all of them and gives its result; `pieces`
    gives the generator itself, which stops after each piece and returns the result with the last.
    """

    def __init__(self, pieces: Callable[Arguments, Pieces[Result]]):
        self.pieces = pieces
        update_wrapper(self, pieces)

    def __call__(self, *values: Arguments.args, **options: Arguments.kwargs) -> Result:
        return finished(self.pieces(*values, **options))

    def __reduce__(self) -> str:
        """Another process knows it by the name of its function."""
        return self.pieces.__qualname__


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
