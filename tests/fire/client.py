"""A small HTTP client for thousands of requests: what goes over the socket is known to the byte."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
import orjson

CHUNK = 2**16
ESTABLISHED = 1  # TCP's state of a connection, as the kernel counts them
PAUSE = 0.05  # seconds between two looks at how late the loop is


class Answer(NamedTuple):
    """What came: the status (0 where nothing did), seconds to the last byte, and the body."""

    status: int
    seconds: float
    body: bytes


class Server:
    """Where requests go, and the address of loopback that they come from: each is a person of its own to the server."""

    def __init__(self, address: str, sender: str = "127.0.0.1"):
        place, self.sender = urlsplit(address), sender
        self.host, self.port, self.name = place.hostname or "", place.port or 80, place.netloc

    def head(self, method: str, path: str, length: int | None = None, **headers: str) -> bytes:
        """The head of a request; an underscore in a header's name is a hyphen."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.name}", "Connection: close"]
        lines += [] if length is None else [f"Content-Length: {length}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection, which is cut at the end."""
        reader, writer = await asyncio.open_connection(self.host, self.port, limit=CHUNK, local_addr=(self.sender, 0))
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        kind: str = "application/json",
        limit: float = 60,
        keep: int = CHUNK,
    ) -> Answer:
        """Send a request and read its answer to the end, for at most `limit` seconds; about `keep` bytes of it stay."""
        began = time.perf_counter()
        answered, kept = b"", b""
        length = len(body) if method == "POST" else None
        headers = {"Content_Type": kind} if method == "POST" else {}
        with suppress(OSError, TimeoutError, ValueError, EOFError):
            async with asyncio.timeout(limit), self.connection() as (reader, writer):
                writer.write(self.head(method, path, length, **headers) + body)
                answered = await reader.readuntil(b"\r\n\r\n")
                while chunk := await reader.read(CHUNK):
                    kept += chunk if len(kept) < keep else b""
        status = int(answered.split(b" ", 2)[1]) if answered.startswith(b"HTTP/1.1 ") else 0
        return Answer(status, time.perf_counter() - began, kept)

    async def post(self, path: str, fields: dict[str, object], **options: float) -> Answer:
        """Send fields as JSON."""
        return await self.ask("POST", path, orjson.dumps(fields), **options)  # type: ignore[arg-type]


class Lateness:
    """How late this process itself is: what it measures is true as far as it is not."""

    def __init__(self) -> None:
        self.times: list[float] = []

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(PAUSE)
            self.times.append(time.perf_counter() - began - PAUSE)

    def report(self) -> dict[str, float]:
        """Its 99th percentile in seconds, and the share of a core that the process used."""
        late = float(np.percentile(self.times, 99)) if self.times else 0.0
        return {"late": late, "busy": time.process_time()}


def is_cut(writer: asyncio.StreamWriter) -> bool:
    """Whether the other side has ended a connection, which nobody notices who does not read from it."""
    connected = writer.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return bool(connected != ESTABLISHED)


async def until(end: float, pause: float) -> bool:
    """Wait a while; whether there is time left."""
    await asyncio.sleep(max(0.0, min(pause, end - time.monotonic())))
    return time.monotonic() < end


async def at_once(work: list) -> None:
    """Coroutines side by side, to the end of each; what one raises ends all."""
    async with asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(each)
