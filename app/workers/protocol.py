"""Frames: what a worker and its server tell each other, over any pipe; JSON, and bytes beside it where a checkpoint
goes along. Nothing that arrives is believed before it is looked at.
"""

import asyncio
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from gatescope.models.training.recipe import longest_checkpoint

LENGTHS = struct.Struct(">II")
PIECE = 2**20
LONGEST_DATA, LONGEST_CONTENT = 2**20, longest_checkpoint()
FROM_A_WORKER = ("progress", "gates", "sample", "checkpoint", "beat", "exit")


class BadFrame(Exception):
    """Bytes that are no frame."""


@dataclass(frozen=True)
class Frame:
    """An event of a run, a `beat` (a worker's sign of life) or its `exit`; to a worker, a `job` or a `stop`.

    data: what a JSON object holds. content: a checkpoint's bytes.
    """

    name: str
    data: dict[str, Any] = field(default_factory=dict)
    content: bytes | bytearray = b""

    def pieces(self) -> Iterator[bytes | memoryview]:
        """The frame as it travels, in pieces of a mebibyte at most: two lengths, the data as JSON, the content."""
        data = orjson.dumps([self.name, self.data])
        yield LENGTHS.pack(len(data), len(self.content)) + data
        content = memoryview(self.content)
        for start in range(0, len(content), PIECE):
            yield content[start : start + PIECE]

    def to_bytes(self) -> bytes:
        """The frame whole, as it travels."""
        return b"".join(self.pieces())


def leaving(how: str, reason: str | None = None) -> Frame:
    """The last frame of a training: `finished`, `left` (it was asked to, and can go on), `failed` (it will not do
    better a second time) or `lost` (the worker is gone), and why.
    """
    return Frame("exit", {"how": how, "reason": reason})


def from_worker(found: bytes) -> Frame:
    """The frame that a worker sent; raises BadFrame."""
    sizes = lengths(found[: LENGTHS.size])
    if len(found) != LENGTHS.size + sum(sizes):
        raise BadFrame("a frame of another length than it says")
    return checked(found[LENGTHS.size :][: sizes[0]], found[LENGTHS.size + sizes[0] :])


def lengths(head: bytes) -> tuple[int, int]:
    """The lengths of a frame's data and content; raises BadFrame where they are out of all bounds."""
    if len(head) != LENGTHS.size:
        raise BadFrame("a frame without lengths")
    data, content = LENGTHS.unpack(head)
    if data > LONGEST_DATA or content > LONGEST_CONTENT:
        raise BadFrame("a frame that is too long")
    return data, content


def checked(data: bytes, content: bytes | bytearray) -> Frame:
    """The frame of these two parts, as a worker may send it; raises BadFrame."""
    try:
        name, values = orjson.loads(data)
    except (ValueError, TypeError):
        raise BadFrame("a frame that is not JSON") from None
    if name not in FROM_A_WORKER or not isinstance(values, dict):
        raise BadFrame("a frame of no known kind")
    step = values.get("step")
    if name not in ("beat", "exit") and (type(step) is not int or step < 0):
        raise BadFrame("an event without its step")
    if name == "checkpoint" and (not content or type(values.get("finished")) is not bool):
        raise BadFrame("a checkpoint without its content")
    if name == "exit" and values.get("how") not in ("finished", "left", "failed"):
        raise BadFrame("an exit of no known kind")
    return Frame(name, values, content)


async def read_frame(stream: asyncio.StreamReader) -> Frame:
    """The next frame that a worker sends; raises BadFrame, and IncompleteReadError at the stream's end."""
    sizes = lengths(await stream.readexactly(LENGTHS.size))
    data = await stream.readexactly(sizes[0])
    return checked(data, await read_content(stream, sizes[1]))


async def read_content(stream: asyncio.StreamReader, size: int) -> bytes | bytearray:
    """So many bytes, which are held once; raises IncompleteReadError."""
    if size <= PIECE:
        return await stream.readexactly(size)
    content, end = bytearray(size), 0
    while end < size:
        piece = await stream.readexactly(min(PIECE, size - end))
        content[end : end + len(piece)] = piece
        end += len(piece)
    return content
