"""The usual load: people who watch trainings, and people who let networks read.

    python -m tests.fire.users readers ADDRESS SECONDS COUNT RUN,RUN
    python -m tests.fire.users traces ADDRESS SECONDS PER_SECOND
    python -m tests.fire.users health ADDRESS SECONDS PER_SECOND

Each is a process of its own, so that none waits for another; each prints what it saw as JSON.
"""

import asyncio
import random
import sys
import time
from collections import Counter
from urllib.parse import quote

import orjson

from tests.fire.client import CHUNK, Answer, Lateness, Server, at_once, until

TEXT = (
    "To be, or not to be: that is the question:\nWhether 'tis nobler in the mind to suffer\nThe slings and arrows of "
    "outrageous fortune,\nOr to take arms against a sea of troubles,\nAnd by opposing end them? To die: to sleep;\n"
    "No more; and by a sleep to say we end\nThe heart-ache and the thousand natural shocks\nThat flesh is heir to, "
    "'tis a consummation\nDevoutly to be wish'd. To die, to sleep;\nTo sleep: perchance to dream: ay, there's the "
    "rub;\n"
)[:500]
READ_TEXT = ("shakespeare-lstm", "shakespeare-gru", "shakespeare-elman", "shakespeare-lstm-2x256")
READ_NUMBERS = ("signal", "adding-lstm", "gestures")
PAGES = ("/", "/train", "/docs", "/docs/traces", "/embed/unfold", "/api/models", "/static/bench.js", "/api/cells")
PEOPLE = 20  # addresses that usual requests come from
LONGEST = 30  # seconds that anybody waits for an answer


async def reader(server: Server, runs: str, end: float, seen: dict[str, list[float]]) -> None:
    """Watch runs; comes again whenever the stream ends."""
    while time.monotonic() < end:
        began, first = time.perf_counter(), True
        try:
            async with asyncio.timeout(end - time.monotonic()), server.connection() as (stream, writer):
                writer.write(server.head("GET", f"/api/events?runs={runs}"))
                status = await stream.readuntil(b"\r\n\r\n")
                if b" 200 " not in status.partition(b"\r\n")[0]:
                    seen["refused"].append(int(status.split(b" ", 2)[1]))
                    await asyncio.sleep(2)
                    continue
                while chunk := await stream.read(CHUNK):
                    if first and b"event: " in chunk:
                        seen["first"].append(time.perf_counter() - began)
                        first = False
                    seen["events"].append(chunk.count(b"\nid: "))
        except TimeoutError:
            return
        except (OSError, EOFError):
            pass
        seen["cut"].append(time.perf_counter() - began)
        await asyncio.sleep(1)


async def readers(servers: list[Server], seconds: float, count: int, runs: str) -> dict[str, object]:
    """So many readers, who come within two seconds; each watches one of the runs."""
    end, seen = time.monotonic() + seconds, {"first": [], "events": [], "refused": [], "cut": []}
    named = runs.split(",")

    async def later(place: int) -> None:
        await asyncio.sleep(2 * place / count)
        await reader(servers[place % len(servers)], named[place % len(named)], end, seen)

    await at_once([later(place) for place in range(count)])
    events: list[float] = seen.pop("events")
    return {**seen, "events": sum(events)}


def trace_of(chance: random.Random) -> tuple[str, str, bytes]:
    """A usual request: method, path and body."""
    if chance.random() < 0.2:
        model, channels = (name := chance.choice(READ_NUMBERS)), 1 if name == "signal" else 2
        steps = [[round(chance.random(), 3) for _ in range(channels)] for _ in range(chance.randint(20, 100))]
        if chance.random() < 0.5:
            values = ";".join(",".join(map(str, step)) for step in steps)
            return "GET", f"/api/trace?model={model}&values={values}", b""
        return "POST", "/api/trace", orjson.dumps({"model": model, "values": steps})
    model, start = chance.choice(READ_TEXT), chance.randint(0, 60)
    text = TEXT[start : start + chance.choice([42, 42, 80, 160, 300, 440])]
    if chance.random() < 0.5:
        return "GET", f"/api/trace?model={model}&text={quote(text)}", b""
    return "POST", "/api/trace", orjson.dumps({"model": model, "text": text})


async def traces(servers: list[Server], seconds: float, rate: float) -> dict[str, object]:
    """So many traces a second, whatever becomes of those before, and a page each second."""
    chance, began, count = random.Random(0), time.monotonic(), 0
    found: list[tuple[str, Answer]] = []
    async with asyncio.TaskGroup() as group:

        async def ask(kind: str, method: str, path: str, body: bytes = b"") -> None:
            answer = await chance.choice(servers).ask(method, path, body, limit=LONGEST, keep=0)
            found.append((kind, answer))

        while (now := time.monotonic()) < began + seconds:
            while count < (now - began) * rate:
                group.create_task(ask("traces", *trace_of(chance)))
                if count % rate < 1:
                    group.create_task(ask("pages", "GET", chance.choice(PAGES)))
                count += 1
            await asyncio.sleep(0.01)
    kinds = ("traces", "pages")
    seen: dict[str, object] = {
        kind: [each.seconds for of, each in found if of == kind and each.status == 200] for kind in kinds
    }
    for kind in kinds:
        seen[f"{kind} answered"] = Counter(str(each.status) for of, each in found if of == kind)
    return seen


async def health(servers: list[Server], seconds: float, rate: float) -> dict[str, object]:
    """Whether it lives, so many times a second."""
    server = servers[0]
    end, times, answered = time.monotonic() + seconds, [], Counter()
    while await until(end, 1 / rate):
        answer = await server.ask("GET", "/healthz", limit=LONGEST)
        times.append(answer.seconds)
        answered[str(answer.status)] += 1
    return {"health": times, "health answered": answered}


async def observed(kind: str, address: str, seconds: float, *rest: str) -> dict[str, object]:
    """What one kind of user saw, and how late and busy this process was itself."""
    servers, lateness = [Server(address, f"127.0.1.{place}") for place in range(1, PEOPLE + 1)], Lateness()
    watching = asyncio.create_task(lateness.watch())
    if kind == "readers":
        seen = await readers(servers, seconds, int(rest[0]), rest[1])
    else:
        seen = await {"traces": traces, "health": health}[kind](servers, seconds, float(rest[0]))
    watching.cancel()
    return seen | lateness.report()


if __name__ == "__main__":
    sys.stdout.buffer.write(
        orjson.dumps(asyncio.run(observed(sys.argv[1], sys.argv[2], float(sys.argv[3]), *sys.argv[4:])))
    )
