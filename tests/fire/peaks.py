"""The dearest requests that are still accepted, and how much memory each takes at its peak.

    python -m tests.fire.peaks    prints the table; exit status 1 where a peak is above what one request may hold

For each kind the largest size that is accepted is searched by halving; then a fresh server answers a small request and
that one, and its peak is read from the kernel (VmHWM).
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import quote

import httpx

from gatescope.app.settings import Settings
from tests.fire import files
from tests.fire.hostile import BIG, BYTES
from tests.fire.process import Served, leave_nothing, served
from tests.fire.users import TEXT

LONG = (TEXT * 41)[:20_000]
Sent = tuple[str, str, bytes, str]  # method, path, body and its kind
SECONDS = 300  # that an answer may take
NEAR = 1.03  # how near the search comes to what is refused
ALLOWED = 1.25  # of what one request may hold: what lies between is the allocator's


class Kind(NamedTuple):
    """A kind of request: its size from small to the largest that could be sent, and the request of a size. An uploaded
    network is brought first, and its id is the `model` of the request.
    """

    name: str
    most: int
    request: Callable[[int, str], Sent]
    upload: Callable[[], bytes] | None = None
    least: int = 2


def posted(path: str, **fields: object) -> Callable[[int, str], Sent]:
    """A JSON request whose size is the length of its text, or of what `fields` makes of a size."""

    def request(size: int, model: str) -> Sent:
        chosen = {name: value(size) if callable(value) else value for name, value in fields.items()}
        read = {} if {"tokens", "values", "prompt"} & {*chosen} else {"text": LONG[:size]}
        return "POST", path, json.dumps({"model": model, **read, **chosen}).encode(), "application/json"

    return request


def addressed(path: str) -> Callable[[int, str], Sent]:
    """An address whose size is the length of its text."""
    return lambda size, model: ("GET", f"{path}model={model}&text={quote(LONG[:size])}", b"", "")


def dry_run(path: str, content: Callable[[int], bytes], kind: str) -> Callable[[int, str], Sent]:
    """A body that is only looked at, of about so many bytes."""
    return lambda size, _: ("POST", f"{path}?dry_run=true", content(size), kind)


def lessons(size: int) -> bytes:
    """Lessons of a few characters each."""
    head = '{"lessons":{"reads":"characters","gives":"next","pattern":"many-to-many"}}\n'
    line = '{"input":"abcdefghij"}\n'
    return (head + line * (size // len(line))).encode()


def text(size: int) -> bytes:
    """A text in letters of two bytes."""
    return ("съешь же ещё этих мягких французских булок, да выпей чаю. " * (size // 100 + 1)).encode()[:size]


def pairs(size: int) -> list[int]:
    """Two tokens in turn."""
    return [0, 1] * (size // 2)


def classes(size: int) -> list[int]:
    """The first class, again and again."""
    return [0] * size


MIB = 2**20
KINDS = (
    Kind("trace.json, float64", 20_000, posted("/api/trace.json", precision="float64")),
    Kind("trace.safetensors, float64", 20_000, posted("/api/trace.safetensors", precision="float64")),
    Kind("trace as lists, float64", 20_000, posted("/api/trace", precision="float64", encoding="json")),
    Kind("trace", 20_000, posted("/api/trace")),
    Kind("verification", 20_000, posted("/api/verification")),
    Kind("influence", 20_000, posted("/api/influence")),
    Kind("arithmetic", 20_000, posted("/api/arithmetic", layer=1)),
    Kind("generation", 20_000, posted("/api/generate", prompt=lambda size: LONG[:size], length=2000)),
    Kind("trace.json by address", 2000, addressed("/api/trace.json?precision=float64&")),
    Kind("page", 2000, addressed("/?")),
    Kind("embed", 2000, addressed("/embed/unfold?")),
    Kind("65,536 outputs, forwards", 20_000, posted("/api/trace", tokens=pairs, backward=False), files.talkative),
    Kind("32 layers of 4,096 units", 20_000, posted("/api/trace", tokens=pairs), files.deep),
    Kind("one input, so many steps", 10_000, posted("/api/trace", values=[[0.5]], targets=classes), files.alone),
    Kind("import of a network", 60 * MIB, dry_run("/api/models", files.network_of, BYTES), None, MIB),
    Kind("lessons", 15 * MIB, dry_run("/api/runs", lessons, "text/plain"), None, 1000),
    Kind("text to train on", 16 * MIB, dry_run("/api/runs", text, "text/plain"), None, 1000),
)  # fmt: skip


class Found(NamedTuple):
    """The largest size that is accepted, with what it took, and what was said of the next larger one."""

    size: int
    seconds: float
    answer: float  # megabytes
    before: float
    peak: float
    refusal: str


def ask(server: Served, kind: Kind, size: int, model: str) -> tuple[int, float, str]:
    """The status, the answer's megabytes, and what a refusal says."""
    method, path, body, content_type = kind.request(size, model)
    length, start = 0, b""
    with httpx.stream(
        method, f"{server.address}{path}", content=body, headers={"content-type": content_type}, timeout=SECONDS
    ) as response:
        for chunk in response.iter_raw():
            start += chunk if len(start) < 2000 else b""
            length += len(chunk)
    refusal = json.loads(start).get("detail", "") if response.status_code >= 400 else ""
    return response.status_code, length / 1e6, refusal


def brought(server: Served, kind: Kind) -> str:
    """The network that the request is about."""
    if kind.upload is None:
        return BIG
    made = httpx.post(
        f"{server.address}/api/models", content=kind.upload(), headers={"content-type": BYTES}, timeout=60
    )
    return str(made.json()["id"]) if made.status_code == 201 else ""


def largest(kind: Kind) -> tuple[int, str]:
    """The largest size that is accepted, nearly, and what is said of the one above; 0 where none is."""
    refusal, low, high = "", 0, kind.most
    with served() as server:
        if not (model := brought(server, kind)):
            return 0, "the network is not taken"
        size = high
        while low * NEAR < high:
            try:
                status, _, said = ask(server, kind, size, model)
            except httpx.TransportError as error:
                return low, f"the server breaks off: {type(error).__name__}"
            if status == 200:
                low = size
            else:
                refusal, high = f"{status}: {said}", size
            if low == kind.most or high <= kind.least:
                break
            size = max(kind.least, (low + high) // 2)
    return low, refusal


def measured(kind: Kind) -> Found:
    """The largest accepted request of a kind, answered by a fresh server."""
    size, refusal = largest(kind)
    if not size:
        return Found(0, 0, 0, 0, 0, refusal)
    with served() as server:
        model = brought(server, kind)
        ask(server, kind, kind.least, model)
        server.forget_peak()
        before, began = server.memory(), time.monotonic()
        _, answer, _ = ask(server, kind, size, model)
        return Found(size, time.monotonic() - began, answer, before, server.peak(), refusal)


def rows(kinds: tuple[Kind, ...] = KINDS) -> Iterator[tuple[str, bool]]:
    """The table, and whether each row holds."""
    bar = Settings().computation_memory / 1e6 * ALLOWED
    yield (
        f"{'':5}  {'size':>10} {'s':>6} {'answer':>8} {'before':>7} {'peak':>7} {'more':>7}  MB; what is said of more",
        True,
    )
    for kind in kinds:
        found = measured(kind)
        more = found.peak - found.before
        held = more < bar
        figures = (
            f"{found.size:>10,} {found.seconds:>6.1f} {found.answer:>8.1f} {found.before:>7.0f} {found.peak:>7.0f}"
        )
        yield f"{'held' if held else 'SHORT':5}  {figures} {more:>7.0f}  {kind.name}: {found.refusal[:200]}", held


def main() -> None:
    """Measure, and print the table."""
    leave_nothing()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="kinds of request; all of them unless said")
    chosen = parser.parse_args().names
    every = True
    for line, held in rows(tuple(kind for kind in KINDS if not chosen or kind.name in chosen)):
        print(line, flush=True)
        every &= held
    sys.exit(not every)


if __name__ == "__main__":
    main()
