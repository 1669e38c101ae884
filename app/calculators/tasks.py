"""What a calculator is asked to do: a computation of a network whose result is written as bytes, piece by piece.

Nothing here knows of requests: a calculator begins in a third of a second because it loads no more than it needs.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from gatescope.app.http.encoding import (
    BYTES,
    Encoding,
    json_pieces,
    safetensors_header,
    safetensors_pieces,
    server_sent,
    to_json,
)
from gatescope.models.inspection.computation import Computation, finished
from gatescope.models.inspection.trace import Event, Trace

JSON = "application/json"
Result = TypeVar("Result")
GoesOn = Callable[[], bool]


class How(NamedTuple):
    """How a result travels: its media type and, where it is a file to be kept, its name and length."""

    media_type: str = JSON
    name: str | None = None
    length: int | None = None


class Written(NamedTuple):
    """A result as bytes."""

    how: How
    pieces: Iterator[bytes]


Task = Callable[[GoesOn], Written]
"""Asked between two pieces of work whether somebody still waits, it gives up where nobody does (Abandoned)."""


def whole(
    compute: Computation[..., Result],
    write: Callable[[Result], Written],
    values: tuple[Any, ...],
    options: Mapping[str, Any],
    goes_on: GoesOn,
) -> Written:
    """A computation done, and its result written; values and options: the computation's."""
    return write(finished(compute.pieces(*values, **options), goes_on))


def events(
    tell: Callable[..., Iterator[Event]],
    encoding: Encoding,
    values: tuple[Any, ...],
    options: Mapping[str, Any],
    goes_on: GoesOn,
) -> Written:
    """A computation that tells events as it goes on; values and options: what `tell` is given."""
    return Written(How("text/event-stream"), server_sent(tell(*values, **options), encoding))


def as_file(trace: Trace) -> Written:
    """A trace as a safetensors file."""
    length = len(safetensors_header(trace.tensors, trace.metadata))
    length += sum(array.nbytes for array in trace.tensors.values())
    how = How(BYTES, f"{trace.metadata['model']}.trace.safetensors", length)
    return Written(how, safetensors_pieces(trace.tensors, trace.metadata))


def as_lists(trace: Trace) -> Written:
    """A trace as JSON lists."""
    return Written(How(), json_pieces(trace.tensors, trace.metadata))


def as_json(result: Any) -> Written:
    """A result as JSON."""
    return Written(How(), iter([to_json(result)]))


def as_map(layer: int, signal: str | None, norms: np.ndarray) -> Written:
    """Who influences whom, with what it was asked of."""
    return as_json({"layer": layer, "signal": signal, "influence": norms})
