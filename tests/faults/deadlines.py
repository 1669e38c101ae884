"""Who sends slowly, takes nothing, or only holds a connection."""

import resource
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

from tests.faults.server import Server, comes_true, in_state
from tests.faults.sockets import Answer, answered, asked, connected, head, is_closed, is_held
from tests.faults.table import Trial, row
from tests.runs import TEXT
from tests.runs_over_http import ENDLESS, started

HEAD_SECONDS, BODY_SECONDS, STALL_SECONDS = 10.0, 30.0, 15.0
SLACK = 6.0  # what a busy machine may add
HOST = "Host: 127.0.0.1\r\n"


def trickled(port: int, begin: bytes, rest: bytes, limit: float, pause: float = 1.0) -> tuple[float, Answer]:
    """Send the beginning at once and the rest a byte a second; the seconds until it was ended, and the answer."""
    with connected(port) as connection:
        began = time.monotonic()
        connection.sendall(begin)
        for byte in rest:
            if ready(connection, pause):
                break
            if time.monotonic() - began > limit:
                return float("inf"), Answer(-1)
            with suppress(OSError):
                connection.sendall(bytes([byte]))
        took = time.monotonic() - began
        return took, answered(connection, closing=3)


def ready(connection: socket.socket, seconds: float) -> bool:
    """Whether something, or the end, comes within so many seconds; nothing is taken of it."""
    connection.settimeout(seconds)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def side_by_side(attempts: list[Callable[[], None]]) -> None:
    """Attempts that mostly wait, all at the same time."""
    threads = [threading.Thread(target=attempt, daemon=True) for attempt in attempts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)


@row(
    14,
    "a byte a second in the first line, in the headers, on a kept connection; nothing at all",
    "408 or closed within 10 s",
    "waits",
)
def slow_heads(trial: Trial) -> None:
    with trial.own_server() as server:
        whole, line = head("GET", "/healthz"), b"X-Slow: " + b"a" * 100
        kept = whole + b"GET /api/cells HT"
        starts = {"nothing": (b"", b""), "first line": (b"", whole * 3), "headers": (whole[:-2], line * 3)}
        starts |= {"first line of a POST": (b"P", b"OST /api/trace HTTP/1.1\r\n" + line), "no end": (whole[:-1], b"")}
        starts |= {"kept alive": (kept, b"TP/1.1\r\n" + line), "long line": (b"GET /?text=", b"a" * 100)}
        starts |= {"TLS": (b"\x16\x03\x01", bytes(100)), "empty lines": (b"\r\n", b"\r\n" * 60)}
        limit = HEAD_SECONDS + SLACK

        def attempt(name: str, begin: bytes, rest: bytes) -> None:
            rest = rest or (b"" if name == "nothing" else line)
            if name == "kept alive":
                took, answer = kept_alive(server, begin, rest, limit)
            elif rest:
                took, answer = trickled(server.port, begin, rest, limit)
            else:
                with connected(server.port) as connection:
                    began = time.monotonic()
                    closed = is_closed(connection, limit)
                    took, answer = (time.monotonic() - began if closed else float("inf")), Answer()
            came = f"{answer.status or 'closed'}" if took < limit else f"open after {limit:.0f} s"
            trial.count(came, took < limit and answer.status in (0, 400, 408), f"{name}, after {took:.1f} s")
            trial.note(f"{name} {took:.1f} s")

        side_by_side([lambda n=name, b=begin, r=rest: attempt(n, b, r) for name, (begin, rest) in starts.items()])


def kept_alive(server: Server, begin: bytes, rest: bytes, limit: float) -> tuple[float, Answer]:
    """A second request that trickles, on a connection whose first was answered."""
    with connected(server.port) as connection:
        connection.sendall(begin)
        connection.settimeout(10)
        while b'"ok"' not in connection.recv(65_536):
            pass
        began = time.monotonic()
        for byte in rest:
            if ready(connection, 1):
                break
            if time.monotonic() - began > limit:
                return float("inf"), Answer(-1)
            with suppress(OSError):
                connection.sendall(bytes([byte]))
        return time.monotonic() - began, answered(connection, closing=3)


@row(
    15,
    "a byte a second of a body, on every route that takes one; no body at all; chunks",
    "408 (503 where there is no room) within 30 s, closed",
    "waits",
)
def slow_bodies(trial: Trial) -> None:
    with trial.own_server() as server:
        limit = BODY_SECONDS + SLACK
        json, octets = "Content-Type: application/json", "Content-Type: application/octet-stream"
        routes = dict.fromkeys(("/api/trace", "/api/generate", "/api/influence", "/api/runs?dry_run=true"), json)
        routes |= {"/api/models": octets, "/api/runs": "Content-Type: text/plain"}
        start = (300).to_bytes(8, "little") + b"{"  # a network's file so far; others are refused at their first bytes

        def attempt(path: str, kind: str, length: str, rest: bytes) -> None:
            begin = head("POST", path, length, kind)
            if "chunked" in length:
                begin += b"%x\r\n" % 500
            begin += start if "models" in path else b""
            took, answer = trickled(server.port, begin, rest, limit) if rest else stalled(server, begin, limit)
            what = f"{path} {length.partition(':')[0]} {'' if rest else 'nothing '}after {took:.1f} s"
            if took < limit:
                # whose length is not told may wait for room for the longest there may be
                trial.status(answer, 408, *([503] if "chunked" in length else []), what=what)
                trial.holds(answer.closed, f"{what}: stays open")
            else:
                trial.count(f"open after {limit:.0f} s", False, what)

        attempts = []
        for path, kind in routes.items():
            for length in ("Content-Length: 5000", "Transfer-Encoding: chunked"):
                for rest in (b" " * 200, b""):
                    attempts.append(lambda p=path, k=kind, n=length, r=rest: attempt(p, k, n, r))
        side_by_side(attempts)


def stalled(server: Server, begin: bytes, limit: float) -> tuple[float, Answer]:
    """The seconds until a request whose body does not come was ended, and the answer."""
    with connected(server.port) as connection:
        connection.sendall(begin)
        began = time.monotonic()
        if not ready(connection, limit):
            return float("inf"), Answer(-1)
        return time.monotonic() - began, answered(connection, closing=3)


@row(
    47,
    "viewers, readers of traces, of files and of JSON that stop taking anything",
    "cut in 15 s, others unaffected",
    "waits",
)
def stopped_readers(trial: Trial) -> None:
    with trial.own_server(workers=1) as server:
        made = started(server.client, TEXT, **ENDLESS | {"hidden": 16, "sequence_length": 4, "batch_size": 1})
        in_state(server.client, made, "running")
        text = "To be, or not to be, that is the question: " * 40
        address = quoted(text)
        paths = [f"/api/trace?model=shakespeare-lstm-2x256&text={address}", "/plotly.min.js"]
        paths += [f"/api/trace.safetensors?model=shakespeare-lstm-2x256&text={address}"]
        paths += [
            f"/api/trace.json?model=shakespeare-lstm&text={address}",
            "/api/models/shakespeare-lstm-2x256/weights",
        ]
        # the C library keeps some of what was given back for the next one: what it keeps must not grow
        grown = [server.megabytes()]
        for _ in range(2):
            trial.note(f"the last after {all_cut(trial, server, paths * 2):.0f} s")
            grown.append(server.megabytes())
        trial.note("memory " + " → ".join(f"{size:.0f}" for size in grown) + " MB")
        trial.holds(grown[2] < grown[1] + 150 and grown[2] < grown[0] + 500, "memory is not given back")
        page = server.client.get(f"{made['links']['log']}?limit=1").json()
        trial.holds(page["events"] and server.client.get(made["links"]["self"]).json()["state"] == "running", "the run")


def all_cut(trial: Trial, server: Server, paths: list[str]) -> float:
    """Ask for all of these at the same time, take nothing, and count who is cut; the seconds until the last one is."""
    with ExitStack() as stack:
        held, longest = {}, 0.0
        for path in paths:
            connection = stack.enter_context(connected(server.port, receive=4096))
            connection.sendall(head("GET", path))
            held[connection.getsockname()[1]] = path.partition("?")[0]
            ready(connection, 30)  # it has begun to come
        began = time.monotonic()
        places = dict(held)
        while places and time.monotonic() - began < STALL_SECONDS + 3 * SLACK:
            for client in [client for client in places if not is_held(server.port, client)]:
                places.pop(client)
                longest = time.monotonic() - began
            time.sleep(0.2)
        for client, path in held.items():
            trial.count("held on" if client in places else "cut", client not in places, path)
    return longest


def quoted(text: str) -> str:
    """A text as an address has it."""
    return text.replace(" ", "%20")


@row(
    16,
    "2,000 idle connections; more than there may be open files",
    "new visitors are served or get 503; memory bounded",
    "crowds",
)
def idle_connections(trial: Trial) -> None:
    for count, limits in ((2000, None), (1300, (1024, 20_000)), (700, (512, 512))):
        with (
            trial.own_server(limits={resource.RLIMIT_NOFILE: limits} if limits else {}) as server,
            ExitStack() as stack,
        ):
            before, used, place = server.megabytes(), server.cpu_seconds(), server.log_size()
            began = time.monotonic()
            for _ in range(count):
                with suppress(OSError):
                    stack.enter_context(connected(server.port, 5))
            for _ in range(20):
                answer = asked(server.port, head("GET", "/healthz", "Connection: close"), timeout=10, closing=0)
                trial.count(str(answer.status or "closed"), answer.status in (0, 200, 503), f"{count} idle")
                time.sleep(0.1)
            busy = (server.cpu_seconds() - used) / (time.monotonic() - began)
            grown, said = server.megabytes() - before, server.log_size() - place
            trial.note(f"{count}: + {grown:.0f} MB, {busy:.0%} of a core, {said / 1000:.0f} kB of log")
            trial.holds(grown < 200 and busy < 0.8 and said < 100_000, f"{count}: memory, processor or log")
            stack.close()
            trial.holds(comes_true(lambda: server.answers(2), 20), f"{count}: it answers when they have left")
