"""Event streams: from where they go on, who leaves them, crowds, restarts."""

import asyncio
import json
import time
from collections.abc import Callable

import httpx
import numpy as np

from tests.faults.server import Server, comes_true, crowding, in_state
from tests.faults.sockets import connected, head, reset
from tests.faults.table import Trial, row
from tests.runs import TEXT
from tests.runs_over_http import ENDLESS, QUICK, owned, started

Seen = list[list[tuple[int, float]]]  # of each viewer the ids of events, and when they came
LIVELY = QUICK | {"hidden": 16, "steps": 1_000_000}
LAST_IDS = (
    "abc",
    "-1",
    "1" + "0" * 30,
    "",
    "0",
    "00",
    "1.5",
    "٣",
    "9" * 5000,
    "NaN",
    "1e3",
    "0x1",
    "1;2",
    "%00",
    "+1",
    "9223372036854775807",
    "9223372036854775808",
    "\u00e9",
    "1,2",
    "null",
)


@row(
    46,
    "22 odd Last-Event-IDs, of other runs, from the future; ten odd lists of runs",
    "200 with a log, or 404 or 422 before it",
    "jobs",
)
def odd_ids(trial: Trial) -> None:
    client = trial.server.client
    made, other = (started(client, TEXT, **QUICK | {"steps": 20, "seed": n}) for n in range(2))
    for each in (made, other):
        in_state(client, each, "finished")
    others = [event["id"] for event in client.get(other["links"]["log"]).json()["events"]]
    for last in (*LAST_IDS, str(others[0]), str(others[-1]), str(others[-1] + 10**6)):
        answer = client.get(made["links"]["events"], headers={b"Last-Event-ID": last.encode()})
        trial.status(answer, 200, 204, what=f"Last-Event-ID {last[:12]!r}")
        own = last.strip().isdecimal() and last.strip() not in ("0", "00")
        fine = answer.text.count("event: end") == 1 and (not own or "event: gap" in answer.text)
        trial.holds(fine or answer.status_code == 204, f"{last[:12]!r}: not the whole log")
    wrong = (
        "",
        ",",
        "x",
        "0" * 32,
        made["id"] + ",",
        made["id"][:31],
        "*",
        "%00",
        made["id"].upper(),
        f"{made['id']},{'0' * 32}",
    )
    for runs in (*wrong, ",".join([made["id"]] * 60)):
        trial.status(client.get(f"/api/events?runs={runs}"), 404, 422, what=f"runs={runs[:20]}")
    for after in ("-1", "abc", "1" + "0" * 30, "1.5", ""):
        trial.status(client.get(f"{made['links']['events']}&after={after}"), 422, what=f"after={after[:12]}")


@row(49, "a thousand who connect, ask for a stream and reset", "every place is given back", "crowds")
def resets(trial: Trial) -> None:
    with trial.own_server(workers=1) as server:
        made = started(server.client, TEXT, **LIVELY)
        in_state(server.client, made, "running")
        paths = (made["links"]["events"], "/api/trace?model=shakespeare-lstm&text=To%20be%20or%20not%20to%20be")
        for path, count in ((paths[0], 1000), (paths[1], 300)):
            for n in range(count):
                with connected(server.port) as connection:
                    connection.sendall(head("GET", path))
                    if n % 3 == 1:
                        connection.recv(1)
                    (connection.close if n % 3 == 2 else lambda c=connection: reset(c))()
                trial.count("reset", True)
        left = lambda: viewers(server) == 0  # noqa: E731
        trial.holds(comes_true(left, 30), f"{viewers(server)} places are not given back")
        for _ in range(5):
            with server.client.stream("GET", paths[0]) as answer:
                trial.count(f"then {answer.status_code}", answer.status_code == 200, "a viewer afterwards")
        trial.holds(comes_true(lambda: server.open_files() < 60, 20), f"{server.open_files()} files stay open")


def viewers(server: Server) -> int:
    """How many viewers it counts."""
    lines = server.client.get("/metrics").text.split("\n")
    return int(float(next(line.split()[1] for line in lines if line.startswith("gatescope_viewers "))))


@row(51, "a viewer that comes back after the end: by header, by `after`, of two runs", "204", "jobs")
def after_the_end(trial: Trial) -> None:
    client = trial.server.client
    made = [started(client, TEXT, **QUICK | {"steps": 10, "seed": n}) for n in range(2)]
    for each in made:
        in_state(client, each, "finished")
    for ids in ([made[0]["id"]], [made[1]["id"]], [each["id"] for each in made]):
        path = f"/api/events?runs={','.join(ids)}"
        text = client.get(path).text
        last = max(int(line[4:]) for line in text.split("\n") if line.startswith("id: "))
        trial.holds(text.count("event: end") == len(ids), "no end")
        for _ in range(5):
            for answer in (client.get(path, headers={"Last-Event-ID": str(last)}), client.get(f"{path}&after={last}")):
                trial.count(str(answer.status_code), answer.status_code == 204 and not answer.content, "after the end")


@row(52, "proxies that buffer or cut: the header, comments every 15 s, `retry`; the log in pages", "there", "waits")
def through_proxies(trial: Trial) -> None:
    with trial.own_server(workers=1) as server:
        made = started(server.client, TEXT, **LIVELY)
        assert comes_true(
            lambda: (server.client.get(made["links"]["self"]).json()["progress"] or {}).get("step", 0) > 99,
            120,
        )
        server.client.post(f"{made['links']['self']}/pause", headers=owned(made))
        in_state(server.client, made, "paused")
        comments, began = [], time.monotonic()
        with server.client.stream("GET", made["links"]["events"]) as answer:
            trial.status(answer, 200, what="a stream")
            for name, value in (
                ("x-accel-buffering", "no"),
                ("cache-control", "no-"),
                ("content-type", "text/event-stream"),
            ):
                trial.holds(value in answer.headers.get(name, ""), f"{name}: {answer.headers.get(name)}")
            trial.holds("content-encoding" not in answer.headers, "compressed")
            for line in answer.iter_lines():
                if line.startswith("retry:"):
                    trial.count("retry", 0 < int(line[6:]) < 60_000)
                if line.startswith(":"):
                    comments.append(time.monotonic() - began)
                if len(comments) >= 2:
                    break
        trial.note("comments after " + ", ".join(f"{at:.0f} s" for at in comments))
        trial.count(f"{len(comments)} comments", len(comments) == 2 and comments[1] < 36)
        page = server.client.get(f"{made['links']['log']}?limit=5")
        trial.status(page, 200, what="a page of the log")
        trial.holds(len(page.json()["events"]) == 5 and page.json()["more"], "pages")


async def watch(
    server: Server, path: str, seen: list[tuple[int, float]], firsts: list[float], until: Callable[[], bool]
) -> None:
    """One viewer: the ids it is given and when; it comes back after its last one when the stream is cut."""
    began, last = time.monotonic(), 0
    while not until():
        writer = None
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**22)
            writer.write(head("GET", path, *([f"Last-Event-ID: {last}"] if last else [])))
            while not until() and (line := await asyncio.wait_for(reader.readline(), 20)):
                if line.startswith(b"id: "):
                    last = int(line[4:])
                    seen.append((last, time.monotonic()))
                    if len(seen) == 1:
                        firsts.append(time.monotonic() - began)
        except (OSError, TimeoutError, ValueError):
            pass
        finally:
            if writer:
                writer.transport.abort()
        if not until():
            await asyncio.sleep(float(np.random.default_rng().uniform(0.2, 1.5)))


def crowd(
    server: Server, path: str, count: int, within: float, meanwhile: Callable[[Seen], object]
) -> tuple[Seen, list]:
    """So many viewers who come within some seconds, until `meanwhile`, which is given what they see, has come to its
    end; what each saw, and how long each waited for its first event.
    """
    seen: Seen = [[] for _ in range(count)]
    firsts: list[float] = []
    over = False

    async def all_of_them() -> None:
        nonlocal over
        async with asyncio.TaskGroup() as group:
            for each in seen:
                group.create_task(watch(server, path, each, firsts, lambda: over))
                await asyncio.sleep(within / count)
            await asyncio.to_thread(meanwhile, seen)
            over = True

    asyncio.run(all_of_them())
    return seen, firsts


@row(
    48,
    "1,000 viewers of one run within ten seconds",
    "first event p95 < 2 s, behind p99 < 1 s, memory bounded",
    "crowds",
)
def thousand(trial: Trial) -> None:
    with trial.own_server(workers=1) as server:
        made = started(server.client, TEXT, **ENDLESS)
        in_state(server.client, made, "running")
        before = server.megabytes()
        seen, firsts = crowd(server, made["links"]["events"], 1000, 10, lambda _: time.sleep(15))
        times: dict[int, list[float]] = {}
        for each in seen:
            for id, moment in each[-40:]:
                times.setdefault(id, []).append(moment)
        here = max((each[0][1] for each in seen if each), default=0.0)  # from when on all of them watch
        live = [found for found in times.values() if len(found) > 900 and min(found) > here]
        behind = [moment - min(found) for found in live for moment in found]
        for each in seen:
            ids = [id for id, _ in each]
            trial.count("a log" if ids else "nothing", bool(ids) and ids == sorted(set(ids)), "a viewer")
        first, late = float(np.percentile(firsts, 95)), float(np.percentile(behind or [9e9], 99))
        trial.note(f"{len(live)} live events, first p95 {first * 1000:.0f} ms, behind p99 {late * 1000:.0f} ms")
        trial.note(f"memory {before:.0f} → {server.megabytes():.0f} MB")
        others = crowding()
        trial.note(f"the machine is {others:.1f} times taken")
        trial.holds(first < 2 * others and late < others, "late")
        trial.holds(server.megabytes() < before + 200, "too much memory")


@row(50, "kill -9 and a new start with 1,000 viewers", "all come back; no event missing, none twice", "crowds")
def restarted(trial: Trial) -> None:
    with trial.own_server(workers=1) as server:
        made = started(server.client, TEXT, **ENDLESS)
        in_state(server.client, made, "running")

        def meanwhile(seen: Seen) -> None:
            time.sleep(2)
            for _ in range(2):
                server.end(9)
                server.start()
                time.sleep(6)
            server.client.post(f"{made['links']['self']}/stop", headers=owned(made))
            in_state(server.client, made, "stopped")
            last = every_event(server.client, made)[-1]["id"]
            comes_true(lambda: all(each and each[-1][0] == last for each in seen), 60, 0.5)

        seen, _ = crowd(server, made["links"]["events"], 1000, 8, meanwhile)
        whole = [event["id"] for event in every_event(server.client, made)]
        for each in seen:
            ids = [id for id, _ in each]
            trial.count("the whole log" if ids == whole else f"{len(ids)} of {len(whole)}", ids == whole, "a viewer")


def every_event(client: httpx.Client, made: dict) -> list[dict]:
    """The log of a run, by its pages."""
    found, after = [], 0
    while True:
        page = json.loads(client.get(f"{made['links']['log']}?after={after}&limit=2000").content)
        found, after = found + page["events"], page["last"]
        if not page["more"]:
            return found
