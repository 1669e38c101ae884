"""A little proxy before a real server. It does to answers what proxies do: it holds streams back, cuts, breaks off."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

LONGEST_HEAD = 65536
PACED = "/static/data/connection.js"  # the module that has the pauses of a page of a run
PAUSES = "...PAUSES, ...pauses"
WAITED_OUT = ("answer", "silence")  # how long the service may take stays as it is


@dataclass
class Proxy:
    """What it does, to be changed while it runs, and what it was asked, and when.

    holds: streams are kept back for ever, their heads too; cuts: seconds after which a stream is ended; breaks: so many
    pages of the log break off in their bodies; down: it hangs up on everybody; answers: what it says to every question
    for the log itself, a whole HTTP answer; refuses: by the start of a path, the answers that the next questions get;
    sooner: how many times shorter the pauses of a run's page are than it has them, until it asks again.
    """

    upstream: str
    holds: bool = False
    cuts: float | None = None
    breaks: int = 0
    down: bool = False
    answers: bytes = b""
    sooner: int = 1
    asked: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    refuses: dict[str, list[bytes]] = field(default_factory=dict)
    address: str = ""
    over: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: one request, one answer."""
        try:
            async with asyncio.TaskGroup() as tasks:
                serving = tasks.create_task(self._serve(reader, writer))
                tasks.create_task(self._until_down(serving))
        except* (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _until_down(self, serving: asyncio.Task) -> None:
        while not serving.done() and not self.down:
            await asyncio.sleep(0.02)
        serving.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        path = lines[0].split(b" ")[1].decode()
        self.asked.append(path)
        self.times.append(time.monotonic())
        is_log = path.startswith("/api/events") or "/events.json" in path
        if is_log and self.answers:
            writer.write(self.answers)
            return await writer.drain()
        length = next((int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")), 0)
        body = await reader.readexactly(length)
        for start, answers in self.refuses.items():
            if path.startswith(start) and answers:
                writer.write(answers.pop(0))
                return await writer.drain()
        kept = [line for line in lines if not line.lower().startswith((b"connection:", b"accept-encoding:"))]
        at = urlsplit(self.upstream)
        up, down = await asyncio.open_connection(at.hostname, at.port)
        try:
            down.write(b"\r\n".join([kept[0], b"Connection: close", *kept[1:-2], b"", b""]) + body)
            if path.startswith("/api/events"):
                await self._stream(up, writer)
            elif path.startswith(PACED) and self.sooner > 1:
                writer.write(paced(await up.read(), self.sooner))
                await writer.drain()
            elif "/events.json" in path and self.breaks:
                self.breaks -= 1
                whole = await up.read()
                writer.write(whole[: whole.index(b"\r\n\r\n") + 40])
                await writer.drain()
            else:
                while piece := await up.read(65536):
                    writer.write(piece)
                    await writer.drain()
        finally:
            down.close()

    async def _stream(self, up: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(self.cuts):
                while piece := await up.read(65536):
                    if self.holds:
                        continue
                    writer.write(piece)
                    await writer.drain()
        except TimeoutError:
            pass


def paced(answer: bytes, sooner: int) -> bytes:
    """The answer with the module of the pauses, with shorter ones."""
    head, _, body = answer.decode().partition("\r\n\r\n")
    assert body.count(PAUSES) == 1, "the module has its pauses in another way now"
    quick = f"(v) => Array.isArray(v) ? v.map((ms) => ms / {sooner}) : v / {sooner}"
    kept = ", ".join(f"{name}: PAUSES.{name}" for name in WAITED_OUT)
    pauses = f"...Object.fromEntries(Object.entries(PAUSES).map(([k, v]) => [k, ({quick})(v)])), {kept}, ...pauses"
    lines = [line for line in head.split("\r\n") if not line.lower().startswith(("content-length:", "connection:"))]
    return "\r\n".join([*lines, "Connection: close", "", body.replace(PAUSES, pauses)]).encode()


@contextmanager
def proxy(upstream: str, **how) -> Iterator[Proxy]:
    """A proxy before a server's address, for the length of a `with` block."""
    made, ready = Proxy(upstream, **how), threading.Event()

    async def serve() -> None:
        server = await asyncio.start_server(made.serve, "127.0.0.1", 0, limit=LONGEST_HEAD)
        made.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        while not made.over:
            await asyncio.sleep(0.05)
        made.down = True
        server.close()
        await asyncio.sleep(0.2)  # every connection notices

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    assert ready.wait(20)
    try:
        yield made
    finally:
        made.over = True
        thread.join(20)
