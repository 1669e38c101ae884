"""Hostile clients, one of each kind, each going on as long as it is let.

python -m tests.fire.hostile ADDRESS SECONDS RUN    prints as JSON what each was answered, by status
"""

import asyncio
import itertools
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from urllib.parse import quote

import orjson

from tests.fire import files
from tests.fire.client import Lateness, Server, at_once, is_cut, until
from tests.fire.users import TEXT

BIG, BYTES = "shakespeare-lstm-2x256", "application/octet-stream"
LONG = (TEXT * 41)[:20_000]
HELD = 4  # connections that one client holds open
PAUSE = 0.2  # seconds between two requests of a client that waits for its answers
DEAR: dict[str, tuple[str, dict[str, object]]] = {
    "influence": ("/api/influence", {"model": "shakespeare-lstm", "text": LONG[:1000]}),
    "verification": ("/api/verification", {"model": BIG, "text": LONG}),
    "trace.json": ("/api/trace.json", {"model": BIG, "text": LONG, "precision": "float64"}),
    "trace.safetensors": ("/api/trace.safetensors", {"model": BIG, "text": LONG, "precision": "float64"}),
    "generation": ("/api/generate", {"model": BIG, "prompt": "To be", "length": 2000}),
    "arithmetic": ("/api/arithmetic", {"model": BIG, "text": LONG, "layer": 1}),
}


Answers = dict[str, Counter[str]]  # by kind and status


class Enemy:
    """A client: the server, when to end, the run to look at, and what came to all of them."""

    def __init__(self, server: Server, end: float, run: str, answers: Answers):
        self.server, self.end, self.run, self.answers = server, end, run, answers
        self.chance = random.Random(1)

    def note(self, kind: str, status: int | str) -> None:
        """Count what came."""
        self.answers.setdefault(kind, Counter())[str(status)] += 1

    async def going_on(self, pause: float = PAUSE) -> bool:
        """Wait a little; whether to go on."""
        return await until(self.end, pause)

    async def post(self, kind: str, path: str, body: bytes, content_type: str = "application/json") -> bytes:
        """Send, read everything, count."""
        answer = await self.server.ask("POST", path, body, content_type, limit=max(1, self.end - time.monotonic()))
        if time.monotonic() < self.end:  # what the end cut off says nothing
            self.note(kind, answer.status)
        return answer.body

    async def dear(self, name: str) -> None:
        """The dearest computation of one kind, again and again."""
        path, fields = DEAR[name]
        while await self.going_on():
            await self.post(f"dear {name}", path, orjson.dumps(fields))

    async def dear_addresses(self) -> None:
        """What any site's pictures can ask for."""
        while await self.going_on():
            path = f"/api/trace.json?precision=float64&model={BIG}&text={quote(LONG[:1900])}"
            answer = await self.server.ask("GET", path, limit=30, keep=0)
            self.note("dear addresses", answer.status)

    async def abandoned(self) -> None:
        """Dear requests whose sender leaves at once."""
        while await self.going_on():
            path, fields = DEAR[self.chance.choice([*DEAR])]
            body = orjson.dumps(fields)
            with suppress(OSError):
                async with self.server.connection() as (_, writer):
                    writer.write(self.server.head("POST", path, len(body), Content_Type="application/json") + body)
                    await writer.drain()
                    await asyncio.sleep(0.05)
            self.note("abandoned", "left")

    async def huge(self) -> None:
        """Small uploads that describe huge networks, and a few tokens for each."""
        made = [files.wide(), files.deep(), files.talkative(), files.alone()]
        for content in itertools.cycle(made):
            if not await self.going_on():
                return
            said = await self.post("huge uploads", "/api/models", content, BYTES)
            with suppress(ValueError, KeyError, TypeError):  # it was refused, or nobody answered
                id = orjson.loads(said)["id"]
                for fields in ({"tokens": [0, 1]}, {"tokens": [0, 1] * 10_000, "backward": False}, {"values": [[0.5]]}):
                    await self.post("huge traces", "/api/trace", orjson.dumps({"model": id, **fields}))
                    if not await self.going_on():
                        return
                page = await self.server.ask("GET", f"/?model={id}", limit=30, keep=0)
                self.note("huge pages", page.status)

    async def races(self) -> None:
        """Networks that are deleted while they are read in every way."""
        content = files.network_of(100_000)
        while await self.going_on():
            said = await self.post("races", "/api/models", content, BYTES)
            with suppress(ValueError, KeyError, TypeError):
                made = orjson.loads(said)
                path, owner = f"/api/models/{made['id']}", f"Bearer {made['owner_token']}"
                gets = [path, f"{path}/weights", f"{path}/weights", f"/api/trace?model={made['id']}&values=1;2", path]

                async def get(path: str) -> None:
                    self.note("races", (await self.server.ask("GET", path, limit=30, keep=0)).status)

                async def delete(path: str = path, owner: str = owner) -> None:
                    async with self.server.connection() as (reader, writer):
                        writer.write(self.server.head("DELETE", path, Authorization=owner))
                        self.note(
                            "races", (await reader.readuntil(b" ") + await reader.readuntil(b" "))[-4:-1].decode()
                        )

                with suppress(ExceptionGroup):  # a connection was cut
                    await at_once([*map(get, gets[:3]), delete(), *map(get, gets[3:]), delete()])

    async def come_and_go(self) -> None:
        """Event streams that are left as soon as they are asked for, some with a reset."""
        while await self.going_on(0.02):
            with suppress(OSError):
                async with self.server.connection() as (_, writer):
                    writer.write(self.server.head("GET", f"/api/events?runs={self.run}"))
            self.note("come and go", "left")

    async def stopped(self) -> None:
        """Readers of streams and of files that read no more."""
        body = orjson.dumps({"model": BIG, "text": LONG[:4000]})
        posts = [
            ("/api/trace", body),
            ("/api/trace.safetensors", body),
            ("/api/generate", orjson.dumps(DEAR["generation"][1])),
        ]
        gets = [f"/api/events?runs={self.run}", f"/api/models/{BIG}/weights"]

        async def hold(path: str, body: bytes | None) -> None:
            while time.monotonic() < self.end:
                with suppress(OSError, TimeoutError, EOFError):
                    async with (
                        asyncio.timeout(max(0.1, self.end - time.monotonic())),
                        self.server.connection() as (reader, writer),
                    ):
                        method, length = ("GET", None) if body is None else ("POST", len(body))
                        writer.write(
                            self.server.head(method, path, length, Content_Type="application/json") + (body or b"")
                        )
                        status = (await reader.readexactly(100)).split(b" ", 2)[1].decode()
                        self.note("stopped readers", status)
                        while not is_cut(writer):
                            await asyncio.sleep(1)
                await asyncio.sleep(1)

        held = [*posts, *((path, None) for path in gets)]
        await at_once([hold(path, body) for path, body in held for _ in range(HELD)])

    async def trickled(self) -> None:
        """Heads and bodies of a byte a second, bodies that stop before their end, and connections that say nothing."""
        head, body = self.server.head("GET", "/api/cells"), b"x" * 16_000_000
        begun = self.server.head("POST", "/api/trace", 1000, Content_Type="application/json")
        upload = self.server.head("POST", "/api/models", len(body), Content_Type=BYTES)
        text = self.server.head("POST", "/api/runs?dry_run=true", len(body), Content_Type="text/plain")
        start = files.network_of(len(body))

        async def hold(kind: str, at_once: bytes, slowly: bytes) -> None:
            while time.monotonic() < self.end:
                with suppress(OSError, TimeoutError):
                    async with (
                        asyncio.timeout(max(0.1, self.end - time.monotonic())),
                        self.server.connection() as (reader, writer),
                    ):
                        writer.write(at_once)
                        answer = asyncio.create_task(reader.read(20))
                        for byte in itertools.chain(slowly, itertools.repeat(None)):
                            if answer.done():
                                break
                            if byte is not None:
                                writer.write(bytes([byte]))
                            await asyncio.wait([answer], timeout=1)
                        said = await answer
                        self.note(kind, said.split(b" ", 2)[1].decode() if said else "closed")
                await asyncio.sleep(1)

        kinds = [
            ("slow heads", b"", head * 20),
            ("slow bodies", begun, b'{"model":' + b" " * 900),
            ("stalled uploads", upload + start[: len(body) - 1000], b""),
            ("stalled texts", text + (b"some text " * 1_600_000)[: len(body) - 1000], b""),
            ("idle connections", b"", b""),
        ]
        await at_once([hold(*kind) for kind in kinds for _ in range(HELD)])

    async def files_of(self, kind: str, path: str, made: list[bytes], content_type: str) -> None:
        """Files that are made to be slow, in turn."""
        for content in itertools.cycle(made):
            if not await self.going_on():
                return
            await self.post(kind, path, content, content_type)

    async def addresses(self) -> None:
        """Addresses of pages and routes that are too long, or ask for what there is not."""
        bad = [
            f"/?text={'a' * 60_000}",
            f"/?values={'1;' * 20_000}",
            f"/?model=signal&values={';'.join(['0.5'] * 1900)}",
            f"/?layer={'9' * 4000}",
            f"/embed/unfold?model={'%00' * 60}",
            f"/?model={BIG}&text={quote(LONG[:1900])}",
            f"/embed/unfold?model={BIG}&text={quote(LONG[:1900])}",
            f"/runs/{','.join(['0' * 32] * 100)}",
            f"/api/events?runs={','.join(['0' * 32] * 50)}",
            f"/static/{'../' * 1000}etc/passwd",
            f"/{'a' * 70_000}",
        ]
        for path in itertools.cycle(bad):
            if not await self.going_on():
                return
            answer = await self.server.ask("GET", path, limit=30, keep=0)
            self.note("bad addresses", answer.status)


DRY = "?dry_run=true"
# One client of each kind, each with an address of its own.
KINDS: dict[str, Callable[[Enemy], Awaitable[None]]] = {
    **{name: partial(Enemy.dear, name=name) for name in DEAR},
    "addresses of pictures": Enemy.dear_addresses,
    "abandoned": Enemy.abandoned,
    "huge": Enemy.huge,
    "races": Enemy.races,
    "imports": lambda each: each.files_of("dear imports", f"/api/models{DRY}", [files.network_of(50_000_000)], BYTES),
    "come and go": Enemy.come_and_go,
    "stopped": Enemy.stopped,
    "trickled": Enemy.trickled,
    "headers": lambda each: each.files_of("slow headers", f"/api/models{DRY}", files.slow_headers(), BYTES),
    "metadata": lambda each: each.files_of("slow metadata", f"/api/models{DRY}", files.slow_metadata(), BYTES),
    "lessons": lambda each: each.files_of("slow lessons", f"/api/runs{DRY}", files.slow_lessons(), "text/plain"),
    "addresses": Enemy.addresses,
}


async def attack(address: str, seconds: float, run: str, names: list[str]) -> dict[str, object]:
    """All kinds at once, or those that are named."""
    answers: Answers = {}
    lateness, end = Lateness(), time.monotonic() + seconds
    kinds = [KINDS[name] for name in names or KINDS]
    enemies = [Enemy(Server(address, f"127.0.2.{place}"), end, run, answers) for place in range(1, len(kinds) + 1)]
    watching = asyncio.create_task(lateness.watch())
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds + 30):
            await at_once([kind(enemy) for kind, enemy in zip(kinds, enemies, strict=True)])
    watching.cancel()
    return {"answers": answers} | lateness.report()


if __name__ == "__main__":
    place, seconds, run, *names = sys.argv[1:]
    sys.stdout.buffer.write(orjson.dumps(asyncio.run(attack(place, float(seconds), run, names))))
