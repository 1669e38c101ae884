"""What a safetensors file holds, checked before any of it is believed: its first bytes and its header here, where the
tensors lie by the library `safetensors`, then their numbers.

Half precisions are widened to float32, bfloat16 by hand, which NumPy does not know; float64 stays. All is linear in the
length of the file, in time and in memory: `import_price` says how much of the latter.
"""

from __future__ import annotations

import json
import math
from typing import Any, TypedDict

import numpy as np
from safetensors import SafetensorError, deserialize

from gatescope.models.network.metadata import BadNetwork
from gatescope.models.refused import printable

HEADER_LIMIT = 4 * 2**20
MOST_TENSORS = 4096
MOST_AXES = 8
LARGEST_SHAPE = 2**40  # numbers; what is empty may name any
LENGTH = 8  # bytes in which the file says how long its header is
NAME_LENGTH = 200
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
FOREIGN = {
    b"PK": "a PyTorch file (a zip of a pickle), which could run a program: make weights of it with "
    "`gatescope convert model.pt`",
    b"\x80": "a pickle, which could run a program: make weights of it with `gatescope convert model.pt`",
    b"\x89HDF": "an HDF5 file: make weights of it with `gatescope convert model.weights.h5`",
}
TOO_MANY = f"the header names more than {MOST_TENSORS:,} tensors or facts"


class Stored(TypedDict):
    """A tensor as the library gives it."""

    dtype: str
    shape: list[int]
    data: bytes


def check_start(start: bytes | bytearray) -> None:
    """Refuse by the first bytes what is no safetensors file or has too long a header; raises BadNetwork.

    start: the first 8 bytes or more; fewer are no file at all.
    """
    length = int.from_bytes(start[:LENGTH], "little")
    if len(start) >= LENGTH and 2 <= length <= HEADER_LIMIT:
        return
    for magic, kind in FOREIGN.items():
        if start.startswith(magic):
            raise BadNetwork(f"this is {kind}")
    if len(start) < LENGTH:
        raise BadNetwork("this is too short to be a safetensors file")
    raise BadNetwork(
        f"this is no safetensors file, or its header is too long: it says {length:,} bytes, and at most "
        f"{HEADER_LIMIT:,} are read"
    )


def import_price(length: int) -> int:
    """The most bytes of memory that making a network of a safetensors file of so many bytes takes, beside the file
    itself, until the network is stored.

    Half precisions cost most: their numbers are widened to twice their bytes, and storing holds those three times.
    Measured are 6.3 times a file of 65 MB for float16 and bfloat16, 3.1 for float32 and float64, and up to 16 times a
    header, which has a limit of its own.
    """
    return 7 * length + 20 * min(length, HEADER_LIMIT)


def read_tensors(content: bytes | bytearray) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors, as float32 or float64, and the metadata of a safetensors file; raises BadNetwork naming the tensor
    that is wrong.
    """
    check_start(content[:LENGTH])
    end = LENGTH + int.from_bytes(content[:LENGTH], "little")
    if end > len(content):
        raise BadNetwork(f"the file ends within its header, after {len(content):,} bytes")
    header = _header(bytes(content[LENGTH:end]))
    facts = header.pop("__metadata__", {})
    if not isinstance(facts, dict) or not all(map(_is_text, (*facts, *facts.values()))):
        raise BadNetwork("the metadata in the header must be texts by name")
    if max(len(header), len(facts)) > MOST_TENSORS:
        raise BadNetwork(TOO_MANY)
    for name, entry in header.items():
        _check_entry(name, entry)
    stored = _deserialized(bytes(content))
    return {name: _tensor(name, stored.pop(name)) for name in header}, facts


def is_name(name: str) -> bool:
    """Whether a tensor may be called so: it can be shown, and is not too long."""
    return name.isprintable() and 1 <= len(name) <= NAME_LENGTH


def _is_text(value: object) -> bool:
    """Whether this is a text, without half of a surrogate pair, which no answer can hold."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _header(text: bytes) -> dict[str, Any]:
    if text.count(b'"data_offsets"') > MOST_TENSORS:  # before a hundred thousand of them are objects
        raise BadNetwork(TOO_MANY)
    try:
        header = json.loads(text.decode(), object_pairs_hook=_once)
    except BadNetwork:
        raise
    except (ValueError, RecursionError):
        raise BadNetwork("the header is not JSON in UTF-8") from None
    if not isinstance(header, dict):
        raise BadNetwork("the header is not a JSON object")
    return header


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object whose names differ: of two tensors of one name the library would drop one in silence."""
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise BadNetwork(f"the header names '{printable(name)}' twice")
        found[name] = value
    return found


def _check_entry(name: str, entry: object) -> None:
    """What the library takes and this product does not: names that cannot be shown, more fields, other numbers."""
    shown = printable(name)
    if not is_name(name):
        raise BadNetwork(f"the tensor name '{shown}' must have 1 to {NAME_LENGTH} printable characters")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise BadNetwork(f"the header's entry {shown} must have dtype, shape and data_offsets")
    if entry["dtype"] not in [*DTYPES]:
        raise BadNetwork(f"the tensor {shown} must hold weights, as {', '.join(DTYPES)}")
    shape = entry["shape"]
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise BadNetwork(f"the shape of {shown} is no list, or holds what are no whole numbers from 0")
    if len(shape) > MOST_AXES or math.prod(size or 1 for size in shape) > LARGEST_SHAPE:
        raise BadNetwork(f"the shape of {shown} has more than {MOST_AXES} axes, or does not fit any file")


def _deserialized(content: bytes) -> dict[str, Stored]:
    """Each tensor's dtype, shape and bytes, which lie one after the other and fill the file; raises BadNetwork."""
    try:
        return dict(deserialize(content))
    except SafetensorError as error:
        words = str(error).removeprefix("Error while deserializing: ")
    if words.startswith("invalid JSON"):  # what these words go on with echoes the file
        raise BadNetwork("a tensor in the header has data_offsets that are not two whole numbers from 0")
    raise BadNetwork(f"the header does not fit the tensors after it: {words}")


def _tensor(name: str, stored: Stored) -> np.ndarray:
    array = np.frombuffer(stored["data"], DTYPES[stored["dtype"]]).reshape(stored["shape"])
    if stored["dtype"] == "BF16":
        wide = array.astype("<u4")
        wide <<= 16
        array = wide.view("<f4")
    elif stored["dtype"] == "F16":
        array = array.astype("<f4")
    with np.errstate(over="ignore"):
        sound = np.isfinite(array.astype("<f4", copy=False)).all()
    if not sound:
        raise BadNetwork(f"the tensor {printable(name)} holds values that are not finite, or not in single precision")
    return array
