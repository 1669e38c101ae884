"""Requests that a schema cannot say: networks in every state of disrepair, texts and lessons, addresses of pages, what
fits a network more often than not. Each strategy draws one request.
"""

import json
import struct
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import numpy as np
from hypothesis import strategies as st
from safetensors.numpy import save

from gatescope.models.pretrained import shipped

BYTES, JSON, TEXT = "application/octet-stream", "application/json", "text/plain"
MODELS = sorted(shipped())
READING = ("trace", "trace.json", "trace.safetensors", "arithmetic", "verification", "influence")
WORDS = st.text(max_size=12) | st.sampled_from(
    ["", "h", "c", "all", "\u202e", "\ud7ff", "%00", "../../etc", "<b>", "=1"]
)
TEXTS = st.text("To be, rnt:\n", max_size=60) | st.text(max_size=40)
ODD = st.sampled_from([0, -1, 1, 2**31, 2**63, 10**30, 10**400, -0.0, 1e-320, 1e308, "5", 5.0, True, None, [], {}, "é"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS | ODD,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


class Request(NamedTuple):
    """A request to be sent."""

    method: str
    path: str  # with its query, quoted
    content: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class Reader(NamedTuple):
    """A network that is there, and what it can read."""

    id: str
    vocabulary: tuple[str, ...]
    channels: int | None


@st.composite
def sizes(draw: st.DrawFn) -> tuple[int, int, int, int, int]:
    """Gates stacked, units, inputs, outputs and layers of a network."""
    gates = draw(st.sampled_from([1, 3, 4, 4, 2]))
    return (
        gates,
        *(draw(st.integers(0 if draw(st.integers(0, 9)) == 0 else 1, 6)) for _ in range(3)),
        draw(st.integers(1, 2)),
    )


@st.composite
def networks(draw: st.DrawFn) -> bytes:
    """A file of weights as a torch module would have them, most of them sound, with metadata of any kind."""
    gates, hidden, inputs, outputs, layers = draw(sizes())
    module = draw(st.sampled_from(["rnn", "lstm", "net.memory", ""])).strip(".")
    prefix, kind = (
        f"{module}." if module else "",
        draw(st.sampled_from([np.float32, np.float32, np.float16, np.float64])),
    )
    shapes: dict[str, tuple[int, ...]] = {}
    if embedded := draw(st.booleans()):
        shapes["encoder.weight"] = (draw(st.integers(1, 9)), inputs)
    both_ways = ("", "_reverse") if draw(st.integers(0, 4)) == 0 else ("",)
    for layer in range(layers):
        for way in both_ways:
            width = inputs if layer == 0 else hidden * len(both_ways)
            shapes[f"{prefix}weight_ih_l{layer}{way}"] = (gates * hidden, width)
            shapes[f"{prefix}weight_hh_l{layer}{way}"] = (gates * hidden, hidden)
            shapes[f"{prefix}bias_ih_l{layer}{way}"] = shapes[f"{prefix}bias_hh_l{layer}{way}"] = (gates * hidden,)
    if draw(st.booleans()):
        shapes["fc.weight"], shapes["fc.bias"] = (outputs, hidden * len(both_ways)), (outputs,)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):  # something is not as it should be
        name = draw(st.sampled_from(sorted(shapes)))
        shape = draw(st.lists(st.integers(0, 5), max_size=3))
        shapes |= {draw(st.just(name) | WORDS): tuple(shape)}
    fill = draw(st.sampled_from([0.1, 0.0, -3.0, 1e30, 6e4, float("nan")]))
    with np.errstate(over="ignore"):
        tensors = {name: np.full(shape, fill, kind) for name, shape in shapes.items()}
    tokens = shapes["encoder.weight"][:1] if embedded else (inputs,)
    return save(tensors, draw(metadata(tokens[0] if tokens else 1)))


@st.composite
def metadata(draw: st.DrawFn, tokens: int) -> dict[str, str]:
    """What a file says of itself."""
    said: dict[str, Any] = {
        "vocabulary": st.just([*"abcdefghi"[:tokens]]) | st.lists(WORDS, max_size=9),
        "title": WORDS,
        "nonlinearity": st.sampled_from(["relu", "tanh", "sin"]),
        "reads": st.sampled_from(["characters", "words", "values", "pictures"]),
        "gives": st.sampled_from(["next", "classes", "values", ""]),
        "pattern": st.sampled_from(["many-to-many", "many-to-one", "one-to-many", "none"]),
        "labels": st.lists(WORDS, max_size=6),
        "steps": st.integers(-1, 40) | ODD,
        "example": st.text("abc", max_size=9) | st.lists(st.lists(st.floats(-2, 2), max_size=3), max_size=5) | VALUES,
        "options": st.dictionaries(st.sampled_from(["projection", "nonlinearity", "x"]), ODD, max_size=2),
        "form": VALUES,
        "cell": st.sampled_from(["lstm", "gru", "elman", "jordan", "no such cell"]),
        "card": VALUES,
        "absent": st.lists(st.sampled_from(["rnn.bias_ih_l0", "readout.bias", "x"]), max_size=2),
    }
    texts = ("title", "nonlinearity", "reads", "gives", "pattern", "cell")
    chosen = draw(st.lists(st.sampled_from(sorted(said)), max_size=4, unique=True))
    drawn = {key: draw(said[key]) for key in chosen}
    return {key: value if key in texts else json.dumps(value) for key, value in drawn.items()}


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A file whose header or whose bytes are not what they say."""
    content = draw(networks())
    (length,), body = struct.unpack("<Q", content[:8]), content[8:]
    header, data = body[:length], body[length:]
    how = draw(st.integers(0, 6))
    if how == 0:
        return content[: draw(st.integers(0, len(content)))]
    if how == 1:
        return struct.pack("<Q", draw(st.sampled_from([0, 1, 2, length + 9, 2**22, 2**40, 2**64 - 1]))) + body
    if how == 2:
        place = draw(st.integers(0, max(0, len(header) - 1)))
        header = header[:place] + draw(st.binary(min_size=1, max_size=3)) + header[place + 1 :]
    if how == 3:
        header = json.dumps(draw(VALUES)).encode()
    if how == 4:
        entry = {"dtype": "F32", "shape": draw(st.lists(ODD, max_size=3)), "data_offsets": draw(VALUES)}
        header = json.dumps(json.loads(header) | {draw(WORDS): entry}).encode("utf-8", "surrogatepass")
    if how == 5:
        header = b"{" + b'"a":{},' * draw(st.integers(1, 40)) + b'"b":{}}'
    if how == 6:
        header = b"[" * draw(st.sampled_from([10, 1000, 100_000]))
    return struct.pack("<Q", len(header)) + header + data


@st.composite
def uploads(draw: st.DrawFn) -> Request:
    """A network brought, to be kept or only looked at."""
    content = draw(networks() | damaged() | st.binary(max_size=40))
    query = draw(st.sampled_from(["", "", "?dry_run=true", "?dry_run=x", "?speed=9"]))
    return Request("POST", f"/api/models{query}", content, (("content-type", BYTES),))


@st.composite
def lessons(draw: st.DrawFn) -> str:
    """A file of lessons, most of it sound."""
    head = {
        "reads": draw(st.sampled_from(["characters", "words", "values"])),
        "gives": draw(st.sampled_from(["next", "classes", "values"])),
        "pattern": draw(st.sampled_from(["many-to-many", "many-to-one", "one-to-many"])),
    }
    head |= draw(st.dictionaries(st.sampled_from(["steps", "labels", "example", "x"]), VALUES, max_size=1))
    numbers = st.lists(st.floats(-9, 9) | st.lists(st.floats(-9, 9), max_size=3), max_size=5)
    read = numbers if head["reads"] == "values" else st.text("ab c", max_size=8)
    line = {"input": read | read | VALUES, "target": st.sampled_from(["x", "y", 0, 1.5, [1, 2], [[1.0]]]) | VALUES}
    optional = {"asks": st.lists(st.integers(-1, 6), max_size=3) | VALUES}
    rows = draw(st.lists(st.fixed_dictionaries(line, optional=optional), max_size=6))
    ends = draw(st.sampled_from(["\n", "\n", "\r\n", "\u2028"]))
    return ends.join(json.dumps(each) for each in [{"lessons": head}, *rows])


@st.composite
def texts(draw: st.DrawFn) -> Request:
    """A text or lessons to train on, as a dry run."""
    recipe = {
        "cell": st.sampled_from(["lstm", "gru", "elman", "x"]),
        **dict.fromkeys(
            ("layers", "hidden", "sequence_length", "batch_size", "steps", "embedding"), st.integers(-1, 80)
        ),
        **dict.fromkeys(("learning_rate", "clip", "dropout"), st.floats()),
        "title": WORDS,
    }
    encodings = ["utf-8", "utf-16", "latin-1", "cp1252", "shift-jis", "utf-32", "utf-8-sig"]
    content = draw(
        st.binary(max_size=200)
        | lessons().map(lambda text: text.encode("utf-8", "surrogatepass"))
        | st.tuples(st.text(min_size=1, max_size=20), st.integers(1, 40), st.sampled_from(encodings)).map(
            lambda drawn: (drawn[0] * drawn[1]).encode(drawn[2], "replace")
        )
    )
    query = draw(st.fixed_dictionaries({}, optional=recipe))
    return Request("POST", f"/api/runs?{urlencode({'dry_run': 'true', **query})}", content, (("content-type", TEXT),))


@st.composite
def fitting(draw: st.DrawFn, reader: Reader, as_address: bool) -> dict[str, Any]:
    """Something that a network can read."""
    if reader.channels:
        number = st.floats(-3, 3, width=32)
        step = st.lists(number, min_size=reader.channels, max_size=reader.channels)
        rows = draw(st.lists(step, min_size=1, max_size=20))
        return {"values": ";".join(",".join(map(str, row)) for row in rows) if as_address else rows}
    if not as_address and draw(st.booleans()):
        return {"tokens": draw(st.lists(st.integers(0, len(reader.vocabulary) - 1), min_size=1, max_size=30))}
    return {"text": "".join(draw(st.lists(st.sampled_from(reader.vocabulary), min_size=1, max_size=30)))}


@st.composite
def readings(draw: st.DrawFn, readers: tuple[Reader, ...]) -> Request:
    """A network reads something, which fits it more often than not."""
    reader, as_address = draw(st.sampled_from(readers)), draw(st.booleans())
    fields = {"model": reader.id, **draw(fitting(reader, as_address))}
    odd = {
        "model": WORDS,
        "text": TEXTS,
        "values": WORDS,
        "target": WORDS,
        "targets": st.lists(ODD | WORDS, max_size=5),
    }
    if draw(st.integers(0, 3)) == 0:
        name = draw(st.sampled_from([*odd]))
        fields[name] = draw(odd[name])
    signals = st.sampled_from(["c", "h", "f", "z"])
    options = {
        "loss": st.sampled_from(["every", "last"]),
        "precision": st.sampled_from(["float32", "float64"]),
        "layer": st.sampled_from([0, 0, 0, 1, -1, 4]),
        "unit": st.sampled_from([0, 1, 7, 300, -1]),
        "signal": signals | WORDS,
        "signals": signals | st.just("c,h") | WORDS,
    }
    route = draw(st.sampled_from(READING))
    known = {"arithmetic": ("layer", "unit"), "influence": ("layer", "signal"), "verification": ("loss",)}
    taken = known.get(route, ("loss", "precision", "signals"))
    fields |= draw(st.fixed_dictionaries({}, optional={name: options[name] for name in taken}))
    if as_address:
        return Request("GET", f"/api/{route}?{urlencode(fields, doseq=True, errors='replace')}")
    overwritten = {"signal": signals, "value": st.floats(-9, 9)}
    places = {"from": st.integers(0, 9), "to": st.integers(1, 40), "units": st.lists(st.integers(0, 20))}
    changes = st.lists(st.fixed_dictionaries(overwritten, optional={"layer": st.integers(0, 1), **places}), max_size=2)
    fields |= draw(st.fixed_dictionaries({}, optional={"interventions": changes}))
    return Request("POST", f"/api/{route}", json.dumps(fields).encode(), (("content-type", JSON),))


@st.composite
def pages(draw: st.DrawFn, models: tuple[str, ...] = ()) -> Request:
    """A page by an address as people and crawlers have it."""
    place = draw(
        st.sampled_from(
            ["/", "/train", "/embed/unfold", "/embed/run", "/docs", "/docs/api", "/runs/x", "/static/app.js"]
        )
        | WORDS.map(lambda word: f"/embed/{quote(word)}")
        | WORDS.map(lambda word: f"/docs/{quote(word)}")
        | WORDS.map(lambda word: f"/static/{quote(word)}")
        | WORDS.map(lambda word: f"/{quote(word)}")
    )
    query = {"model": st.sampled_from([*MODELS, *models]) | WORDS, "text": TEXTS, "values": WORDS, "target": WORDS}
    query |= {"loss": st.sampled_from(["every", "last", "x"]), "layer": ODD, "unit": ODD, "step": ODD, "v": WORDS}
    drawn = draw(st.fixed_dictionaries({}, optional=query))
    return Request("GET", f"{place}?{urlencode(drawn, errors='replace')}"[:60_000])
