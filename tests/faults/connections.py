"""Heads of requests, lengths of bodies, hosts, methods: what a connection may carry and what ends it."""

import itertools
import json
import socket
import time
from urllib.parse import quote

from tests.faults.sockets import Answer, asked, connected, everything, head, is_closed
from tests.faults.table import Trial, row

TRACE = b'{"model":"reber-lstm","text":"BTX"}'
JSON = "Content-Type: application/json"
ANY = "Content-Type: application/octet-stream"
MOST_AFTER = 16_000_000  # bytes that kernels on both sides may hold of what nobody takes
STYLE = "/static/style.css"
PAGES = ("/", "/train", "/docs", "/embed/unfold", STYLE, "/healthz", "/api/cells", "/api/models", "/runs/x")


@row(
    10,
    "a byte more than a body may have: announced, chunked, announced shorter; and what is sent after the refusal",
    "413, and no more is taken",
    "heads",
)
def too_long(trial: Trial) -> None:
    server, limits = trial.server, {"/api/trace": 2**20, "/api/generate": 2**20, "/api/influence": 2**20}
    limits |= {"/api/models": 2**21, "/api/runs": 2**21, "/api/runs?dry_run=true": 2**21, "/api/runs/x/stop": 2**20}
    before, most = server.peak(), 0
    for path, limit in limits.items():
        kind = ANY if "models" in path else JSON
        start = safetensors_start() if "models" in path else b""
        for announced in (True, False):
            with connected(server.port) as connection:
                length = f"Content-Length: {limit + 1}" if announced else "Transfer-Encoding: chunked"
                connection.sendall(head("POST", path, length, kind))
                taken = pushed(connection, start + bytes(limit + 1 - len(start)), chunked=not announced)
                more = 0 if announced and taken < limit else pushed_on(connection)
                trial.status(first(connection), *refusals(path), what=f"{path} {length}")
                trial.holds(is_closed(connection, 1), f"{path}: stays open after 413")
                most = max(most, more)
        whole = head("POST", path, f"Content-Length: {300_000_000}", kind)
        with connected(server.port) as connection:
            connection.sendall(whole)
            more = pushed_on(connection)
            trial.status(first(connection), *refusals(path), what=f"{path} 300 MB")
            most = max(most, more)
    trial.note(f"{most / 1e6:.1f} MB went into the kernels after a refusal, memory + {server.peak() - before:.0f} MB")
    trial.holds(most < MOST_AFTER, "a refused body is taken on")


def refusals(path: str) -> tuple[int, ...]:
    """What may answer a body that is too long: also that there is nothing here to send it to."""
    return (413, 404) if path.endswith("stop") else (413,)


def safetensors_start() -> bytes:
    """The first bytes of a file that is yet to be refused."""
    header = json.dumps({"a": {"dtype": "U8", "shape": [2**21], "data_offsets": [0, 2**21]}}).encode()
    return len(header).to_bytes(8, "little") + header


def pushed(connection: socket.socket, content: bytes, chunked: bool) -> int:
    """Send content; gives how much went out before the other side would have no more."""
    size, sent = 65_536, 0
    try:
        for start in range(0, len(content), size):
            piece = content[start : start + size]
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            sent += len(piece)
    except OSError:
        pass
    return sent


def pushed_on(connection: socket.socket) -> int:
    """How many bytes still go out on a connection, up to 300 MB or for some seconds."""
    block, sent, end = bytes(1_000_000), 0, time.monotonic() + 3
    connection.settimeout(1)
    try:
        while sent < 300_000_000 and time.monotonic() < end:
            sent += connection.send(block)
    except OSError:
        pass
    return sent


def first(connection: socket.socket) -> Answer:
    """The status, the type and nosniff of what was answered, also where a reset follows it."""
    text, closed = everything(connection, 5)
    top = text.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in top[1:])}
    status = int(top[0].split()[1]) if top[0].startswith("HTTP/1.1 ") else 0
    return Answer(status, headers, text, text.count(b"HTTP/1.1 "), closed)


SMUGGLED = b"GET /api/cells HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@row(
    11,
    "lengths that are negative, differ, are no number; length and chunks together; bad chunks; a request behind",
    "400 (501 for unknown codings), closed, nothing behind is served",
    "heads",
)
def bad_lengths(trial: Trial) -> None:
    length = len(TRACE)
    wrong = [("Content-Length: -1",), ("Content-Length: 0x10",), ("Content-Length: 3, 4",), ("Content-Length: 1e2",)]
    wrong += [(f"Content-Length: {length}", f"Content-Length: {length + 1}"), ("Content-Length: 99999999999999999999",)]
    wrong += [
        (f"Content-Length: {length}", "Transfer-Encoding: chunked"),
        ("Content-Length: ",),
        ("Content-Length: ٣",),
    ]
    wrong += [("Transfer-Encoding: chunked", f"Content-Length: {length}"), ("Transfer-Encoding: chunked, identity",)]
    wrong += [("Transfer-Encoding: gzip, chunked",), ("Transfer-Encoding: xchunked",), ("Content-Length : 3",)]
    wrong += [("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), ("Content-Length: +5",)]
    for path, lines in itertools.product(("/api/trace.json", "/api/runs", "/"), wrong):
        request = head("POST" if path != "/" else "GET", path, JSON, *lines) + TRACE + SMUGGLED
        refused(trial, request, " + ".join(lines), 400, 413, 501)
    for chunk in (
        b"-1\r\n",
        b"g\r\n",
        b"5;" + b"x" * 70_000,
        b"f" * 40 + b"\r\n",
        b"3\nabc",
        b"3\r\nabcd\r\n0\r\n\r\n",
    ):
        request = head("POST", "/api/trace.json", JSON, "Transfer-Encoding: chunked") + chunk + SMUGGLED
        refused(trial, request, f"chunk {chunk[:12]!r}", 400, 413, 422, 431)
    for start in (
        b"GET / HTTP/1.1\nHost: x\n",
        b"GET  /  HTTP/1.1\r\n",
        b"GET / HTTP/9.9\r\n",
        b"\x16\x03\x01\x02\x00" * 9,
    ):
        refused(trial, start + b"Host: 127.0.0.1\r\n\r\n" + SMUGGLED, f"{start[:16]!r}", 400, 505)


def refused(trial: Trial, request: bytes, what: str, *allowed: int) -> None:
    """Count the answer to a request that must be refused, closed, and be the last on its connection."""
    with connected(trial.server.port) as connection:
        connection.sendall(request)
        found = first(connection)
    trial.status(found, *allowed, what=what)
    trial.holds(found.closed, f"{what}: stays open")
    trial.holds(found.answers <= 1, f"{what}: {found.answers} answers")


@row(12, "heads of 70 KB, of 5,000 and 16,000 lines, of 101 lines; one of 90 lines", "431; 200", "heads")
def long_heads(trial: Trial) -> None:
    many = [[f"X-{n}: {'a' * 20}" for n in range(5000)], [f"X{n}: a" for n in range(16_000)], ["X: a"] * 101]
    many += [["Cookie: " + "a=b; " * 14_000], ["X: " + "a" * 70_000], [f"X-{n}: {'a' * 700}" for n in range(60)]]
    many += [["X" * 40_000 + ": a"], ["Accept: */*"] * 200, ["X: a"] * 150]
    for path, lines in itertools.product(("/", "/api/models", STYLE, "/none", "/healthz"), many):
        answer = asked(trial.server.port, head("GET", path, *lines), closing=1)
        trial.status(answer, 431, what=f"{path} {len(lines)} lines of {len(lines[0])}")
        trial.holds(answer.closed, "stays open")
    for path in ("/", "/api/models"):
        lines = [f"X-{n}: {'a' * 100}" for n in range(90)]
        trial.status(asked(trial.server.port, head("GET", path, *lines), closing=0), 200, what="90 lines")


@row(13, "addresses of 41 to 700 KB: paths, queries; a usual text of 2,000 letters, escaped", "414; 200", "heads")
def long_addresses(trial: Trial) -> None:
    for size in (42_000, 70_000, 200_000, 700_000):
        for start in (
            "/",
            "/?text=",
            "/api/trace?model=reber-lstm&text=",
            "/static/",
            "/api/models/",
            "/runs/",
            "/docs/",
        ):
            answer = asked(trial.server.port, head("GET", start + "a" * size), closing=1)
            trial.status(answer, 414, 431, 400, what=f"{start} {size}")
            trial.holds(answer.closed, f"{start} {size}: stays open")
    text = quote("ü€😀 " * 500)  # 2,000 characters, 20 KB
    for path in (f"/?model=shakespeare-lstm&text={text}", f"/embed/text?text={text}"):
        request = head("GET", path)
        pieces = [request[start : start + 1400] for start in range(0, len(request), 1400)]
        trial.status(asked(trial.server.port, pieces, closing=0), 200, what="2,000 characters")


OTHER_HOSTS = (
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "evil.example:80",
    "127.0.0.1@evil",
    "127.0.0.2",
    "[::2]",
    "0.0.0.0",
    "",
    "a" * 300,
    "127.0.0.1, evil.example",
    "localhost#",
    "10.0.0.1",
    "ü",
)


@row(
    17,
    "hosts that are not this one, none, two, in the address; a name that was rebound",
    "400; 200 for its own",
    "heads",
)
def hosts(trial: Trial) -> None:
    port = trial.server.port
    for path, host in itertools.product(("/", "/api/models", "/healthz", STYLE, "/api/runs"), OTHER_HOSTS):
        trial.status(asked(port, head("GET", path, host=host), closing=0), 400, what=f"{path} {host[:30]!r}")
    for path in ("/", "/api/models"):
        trial.status(asked(port, head("GET", path, host=None), closing=0), 400, what="no host")
        trial.status(asked(port, head("GET", path, "Host: evil.example"), closing=0), 400, what="two hosts")
        whole = head("GET", f"http://evil.example{path}", host="evil.example")
        trial.status(asked(port, whole, closing=0), 400, 404, what="in the address")
    for host in ("127.0.0.1", "localhost", f"127.0.0.1:{port}", f"localhost:{port}", "[::1]", f"[::1]:{port}"):
        trial.status(asked(port, head("GET", "/api/models", host=host), closing=0), 200, what=host)


RANGES = (
    "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 400, 2)),
    "bytes=" + ",".join(["0-"] * 1000),
    "bytes=9-3",
    "bytes=abc",
    "bytes=-5",
    "bytes=0-99999999999",
    "bytes=99999999-",
    "lines=1-2",
    "bytes=",
    "bytes=--1",
    "bytes=0-0",
    "bytes=" + ",".join(f"{n}-" for n in range(1000)),
    "bytes=" + "9" * 5000 + "-",
    "bytes=0-0,-1",
    "bytes=١-٢",
)


@row(
    18,
    "200 and 1,000 ranges, overlapping, inverted, endless, of other units, with HEAD",
    "200, 206, 416 or 400, linear",
    "heads",
)
def ranges(trial: Trial) -> None:
    paths = (STYLE, "/plotly.min.js", "/api/models/reber-lstm/weights", "/api/models", "/")
    for path, given, method in itertools.product(paths, RANGES, ("GET", "HEAD")):
        began = time.monotonic()
        answer = asked(trial.server.port, head(method, path, f"Range: {given}"), method, closing=0)
        trial.status(answer, 200, 206, 416, 400, 405, what=f"{method} {path} {given[:20]}")
        trial.holds(time.monotonic() - began < 5, f"{path} {given[:20]} takes long")
        trial.holds(len(answer.body) < 6_000_000, f"{path} {given[:20]} gives {len(answer.body):,} bytes")


METHODS = ("TRACE", "CONNECT", "FOO", "PATCH", "PROPFIND", "PUT", "get", "OPTIONS", "M" * 300, "DELETE", "PRI", "Ü")


@row(
    19,
    "TRACE, CONNECT, PATCH, PROPFIND, invented methods on every kind of route; HEAD",
    "405, 404, 501 or 400",
    "heads",
)
def methods(trial: Trial) -> None:
    for path, method in itertools.product((*PAGES, "*", "/api/events", "/metrics"), METHODS):
        answer = asked(trial.server.port, head(method, path, "Content-Length: 0"), method, closing=0)
        allowed = (400, 404, 405, 501, *([200, 204] if method == "OPTIONS" else []))
        trial.status(answer, *allowed, what=f"{method[:12]} {path}")
        trial.holds(method != "TRACE" or b"TRACE" not in answer.body, "TRACE is echoed")
    said = {path: asked(trial.server.port, head("HEAD", path), "HEAD", closing=0) for path in PAGES[:-1]}
    for path, answer in said.items():
        trial.count(f"HEAD {answer.status}", answer.status in (200, 405), path)
        trial.holds(answer.status != 405 or answer.headers.get("allow"), f"HEAD {path} says not what is allowed")
    trial.holds(
        len({answer.status for answer in said.values()}) == 1, "HEAD is answered differently by different routes"
    )


@row(20, "X-Forwarded-For and its kin, made up by whoever is no proxy", "ignored by limits; no listing", "addresses")
def forwarded(trial: Trial) -> None:
    names = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via")
    with trial.own_server(runs_per_minute=5, workers=1) as server:
        found = []
        for n in range(20):
            given = {names[n % 2]: f"10.0.0.{n}"} | ({"Forwarded": f"for=10.0.0.{n}"} if n % 3 == 0 else {})
            answer = server.client.post("/api/runs?steps=2&hidden=4", content="one two three " * 20, headers=given)
            trial.status(answer, 202, 429, what="an address each")
            found.append(answer.status_code)
        trial.holds(found.count(202) == 5, f"{found.count(202)} of 5 in a minute are accepted")
        trial.holds(len(server.client.get("/api/runs").json()["runs"]) == 5, "the person at the machine sees all")
        for name in names:
            answer = server.client.get("/api/runs", headers={name: "127.0.0.1"})
            trial.status(answer, 200, what=name)
            trial.holds(answer.json()["runs"] == [], f"{name}: the runs are listed to whoever is forwarded")
        for value in ("127.0.0.1, 10.0.0.1", "", "x" * 9000, "::1", "\x7f", "10.0.0.1" * 1000):
            trial.status(server.client.get("/healthz", headers={"X-Forwarded-For": value}), 200, what=value[:20])
