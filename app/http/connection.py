"""A connection as a long response needs it: it can be cut where nobody reads, and it says when the server leaves."""

import socket
import struct
from collections.abc import Callable
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

EXTENSION = "gatescope.connection"
LITTLE = 65_536  # bytes
AT_ONCE = struct.pack("ii", 1, 0)


class Connection(H11Protocol):
    """uvicorn's protocol; a response finds it in `scope["extensions"]` and may set `when_leaving`."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.when_leaving: Callable[[], None] | None = None
        served = self.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await served({**scope, "extensions": {EXTENSION: self}}, receive, send)

        self.app = app

    def cut(self) -> None:
        """Close at once and let go of what is unsent: closing properly would wait for a reader that reads no more."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self.transport.abort()

    def hold_little(self) -> None:
        """Let the kernel hold little that is unsent, not megabytes: who reads no more is soon noticed."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LITTLE)

    def shutdown(self) -> None:
        """The server leaves: the response may end, and the connection after it."""
        super().shutdown()
        if self.when_leaving:
            self.when_leaving()
