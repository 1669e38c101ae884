"""What a safetensors file holds, checked before any of it is believed: its first bytes, its header, then its tensors.

Half precisions are widened to float32, bfloat16 by hand, which NumPy does not know; float64 stays.
"""

from __future__ import annotations

import json
import math

import numpy as np

from gatescope.models.network.network import BadNetwork, is_unicode

HEADER_LIMIT = 4 * 2**20
LENGTH = 8  # bytes in which the file says how long its header is
NAME_LENGTH = 200
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
FOREIGN = {
    b"PK": "a PyTorch file (a zip of a pickle), which could run a program: make weights of it with "
    "`gatescope convert model.pt`",
    b"\x80": "a pickle, which could run a program: make weights of it with `gatescope convert model.pt`",
    b"\x89HDF": "an HDF5 file: make weights of it with `gatescope convert model.weights.h5`",
}


def check_start(start: bytes) -> None:
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


def read(content: bytes | bytearray) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors, as float32 or float64, and the metadata of a safetensors file; raises BadNetwork naming the tensor
    that is wrong.
    """
    check_start(content[:LENGTH])
    end = LENGTH + int.from_bytes(content[:LENGTH], "little")
    if end > len(content):
        raise BadNetwork(f"the file ends within its header, after {len(content):,} bytes")
    header = _header(bytes(content[LENGTH:end]))
    facts = header.pop("__metadata__", {})
    if not isinstance(facts, dict) or not all(isinstance(fact, str) and is_unicode(fact) for fact in facts.values()):
        raise BadNetwork("the metadata in the header must be texts by name")
    data = memoryview(content)[end:]
    places = {name: _place(name, entry) for name, entry in header.items()}
    _check_cover(places, len(data))
    return {name: _tensor(name, header[name], data[first:last]) for name, (first, last) in places.items()}, facts


def _header(text: bytes) -> dict:
    try:
        header = json.loads(text.decode(), object_pairs_hook=_once)
    except BadNetwork:
        raise
    except (ValueError, RecursionError):
        raise BadNetwork("the header is not JSON in UTF-8") from None
    if not isinstance(header, dict):
        raise BadNetwork("the header is not a JSON object")
    return header


def _once(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadNetwork(f"the header names {_shown(twice)} twice")
    return found


def _place(name: str, entry: object) -> tuple[int, int]:
    """Where a tensor's bytes begin and end, once its entry is found to be sound."""
    if not name.isprintable() or not 1 <= len(name) <= NAME_LENGTH:
        raise BadNetwork(f"the tensor name {_shown(name)} must have 1 to {NAME_LENGTH} printable characters")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise BadNetwork(f"the header's entry {name} must have dtype, shape and data_offsets")
    if entry["dtype"] not in [*DTYPES]:
        raise BadNetwork(f"the tensor {name} must hold weights, as {', '.join(DTYPES)}")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _counts(shape) or not _counts(offsets) or len(offsets) != 2 or len(shape) > 8:
        raise BadNetwork(f"the tensor {name} has a shape or data_offsets that are no whole numbers from 0")
    first, last = offsets
    size = math.prod(shape) * np.dtype(DTYPES[entry["dtype"]]).itemsize
    if last - first != size:
        raise BadNetwork(f"the tensor {name} needs {size:,} bytes for its shape; the header gives it {last - first:,}")
    return first, last


def _counts(value: object) -> bool:
    return isinstance(value, list) and all(type(number) is int and number >= 0 for number in value)


def _check_cover(places: dict[str, tuple[int, int]], size: int) -> None:
    """The tensors must lie one after the other, from the first byte to the last."""
    at, before = 0, "the header"
    for name, (first, last) in sorted(places.items(), key=lambda item: item[1]):
        if first < at:
            raise BadNetwork(f"the tensors {before} and {name} overlap")
        if first > at:
            raise BadNetwork(f"between {before} and the tensor {name} there are bytes that belong to no tensor")
        at, before = last, name
    if at > size:
        raise BadNetwork(f"the file ends before the tensor {before} does")
    if at < size:
        raise BadNetwork(f"after {before} there are bytes that belong to no tensor")


def _tensor(name: str, entry: dict, data: memoryview) -> np.ndarray:
    array = np.frombuffer(data, DTYPES[entry["dtype"]]).reshape(entry["shape"])
    if entry["dtype"] == "BF16":
        array = (array.astype("<u4") << 16).view("<f4")
    elif entry["dtype"] == "F16":
        array = array.astype("<f4")
    with np.errstate(over="ignore"):
        sound = np.isfinite(array.astype("<f4", copy=False)).all()
    if not sound:
        raise BadNetwork(f"the tensor {name} holds values that are not finite, or not in single precision")
    return np.array(array)


def _shown(name: str) -> str:
    return ascii(name[:NAME_LENGTH])
