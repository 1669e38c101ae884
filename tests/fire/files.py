"""Small files that ask for much: weights whose description is huge, headers, lessons and metadata made to be slow."""

import json
import struct

import numpy as np
from safetensors.numpy import save

LARGEST = 65_536  # tokens, channels or outputs that a network may have


def lstm(
    hidden: int, inputs: int, layers: int = 1, projection: int = 0, **others: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """The tensors of an nn.LSTM, and others by their shapes; two underscores in a name are a dot."""
    width = projection or hidden
    shapes: dict[str, tuple[int, ...]] = {name.replace("__", "."): shape for name, shape in others.items()}
    for layer in range(layers):
        shapes[f"rnn.weight_ih_l{layer}"] = (4 * hidden, inputs if layer == 0 else width)
        shapes[f"rnn.weight_hh_l{layer}"] = (4 * hidden, width)
        if projection:
            shapes[f"rnn.weight_hr_l{layer}"] = (projection, hidden)
    return {name: np.full(shape, 0.01, np.float16) for name, shape in shapes.items()}


def wide() -> bytes:
    """65,536 tokens of one number each, 4,096 units projected to one: 0.3 MB describe tables of gigabytes."""
    return save(lstm(4096, 1, projection=1, encoder__weight=(LARGEST, 1)))


def deep() -> bytes:
    """The same, 32 layers of it: a step of a trace is megabytes."""
    return save(lstm(4096, 1, layers=32, projection=1, encoder__weight=(LARGEST, 1)))


def talkative() -> bytes:
    """One unit that gives 65,536 outputs: 20,000 steps of them are gigabytes."""
    tokens = {"encoder__weight": (LARGEST, 1), "decoder__weight": (LARGEST, 1), "decoder__bias": (LARGEST,)}
    return save(lstm(1, 1, **tokens))


def alone() -> bytes:
    """One input, 65,536 classes, 10,000 steps: a page's address of one character asks for all of them."""
    facts = {"pattern": "one-to-many", "gives": "classes", "steps": "10000", "reads": "values"}
    return save(lstm(1, 1, decoder__weight=(LARGEST, 1), decoder__bias=(LARGEST,)), facts)


def with_header(header: bytes, data: bytes = b"") -> bytes:
    """A file with this header."""
    return struct.pack("<Q", len(header)) + header + data


def slow_headers() -> list[bytes]:
    """Headers that a careless parser takes long for."""
    entry = b'{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    twice = b"{" + b",".join(b'"%d":0' % (number % 39_999) for number in range(40_000)) + b"}"
    empty = (
        b"{"
        + b",".join(b'"m%d":{"dtype":"F32","shape":[0,%d],"data_offsets":[0,0]}' % (n, n) for n in range(1200))
        + b"}"
    )
    many = b"{" + b",".join(b'"rnn.weight_ih_l%d":%s' % (number, entry) for number in range(20_000)) + b"}"
    nested = b'{"a":' * 100_000
    digits = b'{"a":{"dtype":"F32","shape":[' + b"9" * 100_000 + b'],"data_offsets":[0,0]}}'
    return [with_header(header) for header in (twice, empty, many, nested, digits, b" " * 4_000_000 + b"{}")]


def slow_metadata() -> list[bytes]:
    """Sound weights that say of themselves what is made to be slow, huge or of the wrong type."""
    tensors = lstm(2, 3, fc__weight=(3, 2))
    said = [
        {"options": '{"projection": 5.0}'},
        {"options": '{"projection": true}'},
        {"vocabulary": json.dumps([chr(0x4E00 + number) for number in range(20_000)])},
        {"vocabulary": "[" * 50_000},
        {"labels": json.dumps([f"label {number}" for number in range(50_000)]), "gives": "classes"},
        {"example": json.dumps([[1e308] * 3] * 20_000), "reads": "values"},
        {"example": "9" * 100_000, "steps": "1" * 5000},
        {"title": "\u202e" * 100_000},
        {"steps": "10000", "pattern": "one-to-many", "gives": "classes"},
    ]
    return [save(tensors, facts) for facts in said]


def slow_lessons() -> list[bytes]:
    """Lessons that become gigabytes or take minutes where they are laid side by side before they are priced."""
    head = {"lessons": {"reads": "characters", "gives": "next", "pattern": "many-to-many"}}
    classes = {"lessons": {"reads": "characters", "gives": "classes", "pattern": "many-to-one"}}
    values = {"lessons": {"reads": "values", "gives": "classes", "pattern": "many-to-one"}}
    files = [
        [head, *[{"input": "ab"}] * 5000, {"input": "ab" * 25_000}],
        [classes, *({"input": "ab", "target": f"label {number}"} for number in range(20_000))],
        [
            values,
            *({"input": [[0.0] * 4] * 50, "target": "x"} for _ in range(500)),
            {"input": [[0.0] * 400], "target": "y"},
        ],
        [head, {"input": "ab", "asks": [10**400]}, {"input": "ab"}],
        [head, {"input": [[]]}, {"input": ""}],
    ]
    return ["\n".join(map(json.dumps, lines)).encode() for lines in files]


def network_of(size: int) -> bytes:
    """A sound network whose file has about this many bytes."""
    hidden = int((size / 2 / 9) ** 0.5)
    return save(lstm(hidden, hidden, fc__weight=(hidden, hidden)))
