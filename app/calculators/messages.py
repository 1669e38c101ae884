"""What a server and its calculators tell each other over a socket: a kind, a number, and bytes.

A task is pickled, which both sides may believe: they are the same program. A network in it is only named, by a number,
since it is told once and asked about often.
"""

import io
import pickle
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gatescope.models.cells import cells
from gatescope.models.graph.cell import Cell
from gatescope.models.network.network import Network

HEAD = struct.Struct(">cQQ")
# to a calculator: a part of a network and the network, with its number; the number of one that is wanted no more; with
# the number of a job its task, a wish for its next piece, and that nobody waits for it
PART, NETWORK, FORGET, BEGIN, NEXT, LEAVE = b"a", b"k", b"f", b"b", b"n", b"l"
# and its answers: how the result travels, a piece of it, that there are more to be asked for, that it was the last, and
# a fault
HOW, PIECE, MORE, LAST, FAULT = b"h", b"p", b"m", b"e", b"x"


@dataclass(frozen=True)
class Message:
    """A kind, the number of a job or a network, and what is said."""

    kind: bytes
    number: int
    content: bytes | bytearray | memoryview = b""

    def head(self) -> bytes:
        """What goes before the content."""
        return HEAD.pack(self.kind, self.number, len(self.content))


class Failed(Exception):
    """A task failed by a fault of the program; `trail`: where, as lines without what was said."""

    def __init__(self, trail: list[str]):
        super().__init__(trail)
        self.trail = trail


class _Pickler(pickle.Pickler):
    """number: of a network."""

    def __init__(self, file: io.BytesIO, number: Callable[[Network], int], **options: Any):
        super().__init__(file, pickle.HIGHEST_PROTOCOL, **options)
        self.number = number

    def persistent_id(self, found: Any) -> int | None:
        """The name under which something is known to the other side."""
        return self.number(found) if isinstance(found, Network) else None

    def reducer_override(self, found: Any) -> Any:
        """A cell is known by its id: with options it is made when it is asked for, and nowhere to be found by name."""
        if isinstance(found, type) and issubclass(found, Cell):
            return _cell, (found.id, *found.chosen.items())
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, networks: Mapping[int, Network]):
        super().__init__(file)
        self.networks = networks

    def persistent_load(self, number: int) -> Network:
        """What the other side means by a number."""
        return self.networks[number]


def _cell(id: str, *chosen: tuple[str, int | str]) -> type[Cell]:
    return cells()[id].with_options(*chosen)


def packed_task(task: Any, number: Callable[[Network], int]) -> bytes:
    """A task as bytes; number: tells that of a network."""
    file = io.BytesIO()
    _Pickler(file, number).dump(task)
    return file.getvalue()


def unpacked_task(content: bytes | bytearray, networks: Mapping[int, Network]) -> Any:
    """The task again; networks: by number."""
    return _Unpickler(io.BytesIO(content), networks).load()


def network_messages(network: Network, number: int) -> list[Message]:
    """A network told: its arrays as they lie in memory, then the rest."""
    parts: list[pickle.PickleBuffer] = []
    facts = {name: value for name, value in vars(network).items() if not name.startswith("_")}
    file = io.BytesIO()
    _Pickler(file, _no_number, buffer_callback=parts.append).dump(facts)
    told = [Message(PART, number, part.raw()) for part in parts]
    return [*told, Message(NETWORK, number, file.getvalue())]


def _no_number(network: Network) -> int:
    raise TypeError("a network within a network")


def told_network(content: bytes | bytearray, parts: list[bytes | bytearray]) -> Network:
    """The network again."""
    return Network(**pickle.loads(content, buffers=parts))
