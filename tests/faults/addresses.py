"""Addresses and names: what is reflected, where one is sent, what lies in the data directory, what can be guessed."""

import itertools
import os
import socket
import statistics
import time
from pathlib import Path

import httpx
import numpy as np

from gatescope.models.cells import cells
from gatescope.models.network.network import untrained
from tests.faults.server import Server
from tests.faults.sockets import asked, connected, everything, head
from tests.faults.table import Trial, row
from tests.foreign import Theirs

BYTES = {"Content-Type": "application/octet-stream"}
SPLIT = "x%0d%0aX-Evil:%201%0d%0aSet-Cookie:%20a=b%0d%0a%0d%0a<html>"
TEXT = "one two buckle my shoe, three four knock at the door. " * 20


@row(21, "line ends in every value that is reflected: addresses, names, titles", "no header is split", "heads")
def split_headers(trial: Trial) -> None:
    server = trial.server
    module = Theirs("gru").saved(title="a\r\nX-Evil: 1\r\n\r\n<html>")
    made = server.client.post("/api/models", content=module, headers=BYTES).json()["id"]
    paths = [f"{start}{SPLIT}" for start in ("/", "/?text=", "/?model=", "/runs/", "/docs/", "/embed/", "/static/")]
    paths += [f"{start}{SPLIT}" for start in ("/api/models/", "/api/runs/", "/api/events?runs=", "/plotly.min.js?v=")]
    paths += [
        f"/api/models/{made}/weights",
        f"/api/trace.safetensors?model={made}&text=abc",
        f"/{SPLIT}/",
        f"//{SPLIT}",
    ]
    paths += [
        f"/api/trace.safetensors?model={made}&text=abc&signals={SPLIT}",
        f"/oembed?url={SPLIT}",
        f"/docs/{SPLIT}/",
    ]
    for path in paths:
        with connected(server.port) as connection:
            connection.sendall(head("GET", path, "Connection: close"))
            text, _ = everything(connection, 20)
        top = text.partition(b"\r\n\r\n")[0].lower()
        status = top.split(b" ")[1:2] or [b"closed"]
        trial.count(status[0].decode(), b"\nx-evil" not in top and b"\nset-cookie" not in top, path[:40])


@row(
    22,
    "addresses that would send one elsewhere: next=//evil, //evil, \\evil, slashes at the end",
    "only to this host",
    "heads",
)
def elsewhere(trial: Trial) -> None:
    starts = ("/", "/train", "/docs", "/docs/", "/runs/x", "/embed/unfold", "/api/models", "/static/", "/api/runs")
    for start, name in itertools.product(starts, ("next", "url", "redirect", "return", "continue")):
        for value in ("//evil.example", "https://evil.example", "\\evil.example", "/\\evil.example"):
            answer = trial.server.client.get(start, params={name: value})
            place = answer.headers.get("location", "").partition("?")[0]
            trial.count(str(answer.status_code), "evil" not in place, f"{start} {name} leads to {place}")
    ways = ("//evil.example", "//evil.example/", "/\\evil.example/", "/%5cevil.example/", "///evil.example/%2e%2e/")
    ways += ("//evil.example/docs/", "/docs//evil.example/", "/https://evil.example/", "/.evil.example/", "/train/")
    ways += (
        "/api/models//evil.example/",
        "//127.0.0.1:9@evil.example/",
        "/docs/runs/",
        "/static//e/",
        "/@evil.example/",
    )
    for path in ways:
        answer = asked(trial.server.port, head("GET", path, host=f"127.0.0.1:{trial.server.port}"), closing=0)
        place = answer.headers.get("location", "")
        home = f"http://127.0.0.1:{trial.server.port}/"
        own = not place or place.startswith(home) or (place.startswith("/") and place[1:2] not in ("/", "\\"))
        trial.count(str(answer.status), own, f"{path} leads to {place}")


TRAVERSALS = (
    "../etc/passwd",
    "../../../../etc/passwd",
    "%2e%2e/%2e%2e/etc/passwd",
    "%252e%252e/etc/passwd",
    "..%2f..%2f",
    "..%5c..%5cwindows",
    "..\\..\\x",
    "//etc/passwd",
    "a.txt%00.png",
    "%00",
    "....//....//etc/passwd",
    ".%2e/x",
    "%c0%ae%c0%ae/x",
    "style.css/../../app/server.py",
    "C:/windows",
    "file:///etc/passwd",
    "~root",
    ".git/config",
    "%2e%2e%2fruns.sqlite",
    "runs.sqlite",
    "..%2fruns.lock",
    "%2fetc%2fpasswd",
    "..;/x",
    "%E2%80%A5/x",
)


@row(
    23,
    "24 ways out of a folder on static files, models, runs, logs, pages",
    "404, the same body, the same time",
    "files",
)
def traversal(trial: Trial) -> None:
    bases = ("/static/", "/api/models/", "/api/runs/", "/docs/", "/embed/", "/runs/", "/api/models/{}/weights")
    bases += ("/api/runs/{}/events.json",)
    for base in bases:
        bodies, times = set(), []
        for way in TRAVERSALS:
            path = base.format(way) if "{}" in base else base + way
            answer = asked(trial.server.port, head("GET", path), closing=0)
            if answer.headers.get("content-type", "").startswith("text/html"):  # a page may say it too
                trial.count(f"{answer.status}, a page", answer.status == 404, path)
            else:
                trial.status(answer, 404, what=path)
            times.append(answer.seconds)
            if answer.status == 404 and "json" in answer.headers.get("content-type", ""):
                bodies.add(answer.body)
        trial.holds(len(bodies) <= 2, f"{base}: {len(bodies)} different bodies")
        trial.holds(statistics.median(times) < 0.3, f"{base}: {statistics.median(times):.2f} s")


NAMES = (
    "../../etc/passwd",
    "<img src=x onerror=alert(1)>",
    "a\x00b",
    "",
    " ",
    "x" * 200,
    "\u202etxt.exe",
    "CON",
    "aux.txt",
    "\r\nX: 1",
    '"; filename="evil',
    "Книга",
    "日本語",
    "%00",
    "${7*7}",
    "{{7*7}}",
    "\x1b[31mred",
    "\u2028",
    "'--",
)


@row(24, "names with ways out, tags, NUL, controls, 200 and 201 characters, as title of a run and of a network",
     "kept under an id of ours, shown as text; 201: 422", "files")  # fmt: skip
def names(trial: Trial) -> None:
    client, server = trial.server.client, trial.server
    for name in NAMES:
        answer = client.post("/api/runs", params={"title": name, "steps": 1, "hidden": 2}, content=TEXT)
        trial.status(answer, 202, what=f"run {name[:12]!r}")
        if answer.status_code == 202:
            said = client.get(f"/api/runs/{answer.json()['id']}").json()["title"]
            trial.holds(said == name.strip() or not name.strip(), f"{name!r} became {said!r}")
        answer = client.post("/api/models", content=Theirs("gru").saved(title=name), headers=BYTES)
        trial.status(answer, 201, what=f"network {name[:12]!r}")
        if answer.status_code == 201:
            id = answer.json()["id"]
            page = client.get("/", params={"model": id, "text": "abc"})
            trial.holds("<img src=x" not in page.text and page.status_code == 200, f"{name!r} in the page")
            for path in (f"/api/models/{id}/weights", f"/api/trace.safetensors?model={id}&text=abc"):
                file = client.get(path)
                trial.status(file, 200, what=f"{name!r} {path[:20]}")
                trial.holds(id in file.headers["content-disposition"], f"{name!r}: file name")
    trial.status(client.post("/api/runs", params={"title": "x" * 201}, content=TEXT), 422, what="201")
    kept = [path.name for path in server.data.rglob("*") if path.suffix in (".safetensors", ".owner")]
    odd = [name for name in kept if not name.replace(".", "").replace("-", "").isalnum()]
    trial.holds(not odd, f"files {odd[:3]}")


def oddities(data: Path) -> None:
    """Puts into a data directory what a crash, a prankster or a careless person might."""
    outside = data.parent / "outside"
    outside.mkdir()
    network = untrained(cells()["gru"], 1, 4, list("abc"), title="Mine").to_bytes()
    (data / "mine.safetensors").write_bytes(network)
    (outside / "secret.safetensors").write_bytes(network)
    (outside / "secret.txt").write_text("secret")
    (data / "linked.safetensors").symlink_to(outside / "secret.safetensors")
    (data / "text.safetensors").symlink_to(outside / "secret.txt")
    (data / "dangling.safetensors").symlink_to(outside / "none")
    (data / "around.safetensors").symlink_to(data / "around.safetensors")
    (data / "passwd.safetensors").symlink_to("/etc/passwd")
    (data / "folder.safetensors").mkdir()
    (data / "half.safetensors").write_bytes(network[: len(network) // 2])
    (data / "empty.safetensors").touch()
    (data / "null.safetensors").symlink_to("/dev/null")
    uploads = data / "uploads"
    uploads.mkdir()
    (uploads / f"{'a' * 32}.safetensors").symlink_to(outside / "secret.safetensors")
    (uploads / f"{'a' * 32}.owner").write_text("x")
    (uploads / f"{'b' * 32}.safetensors").write_bytes(network)  # without an owner
    (uploads / f"{'c' * 32}.safetensors").symlink_to(outside / "none")


@row(25, "links out of the data directory, dangling and circular ones, folders, pipes, sockets, half files, odd names",
     "not followed, left out; the rest is served", "addresses")  # fmt: skip
def links(trial: Trial) -> None:
    with trial.own_server(prepare=oddities) as server:
        looked_at(trial, server, "links")
        os.mkfifo(server.data / "pipe.safetensors")
        with socket.socket(socket.AF_UNIX) as there:
            there.bind(os.path.relpath(server.data / "socket.safetensors"))
        for name in (b"line\nend", b"\x1b[31mred", b"\xff\xfe", "\u202egnp".encode(), b"<img src=x>", b"a" * 200):
            Path(os.fsdecode(os.fsencode(server.data) + b"/" + name + b".safetensors")).write_bytes(b"nothing")
        looked_at(trial, server, "pipes and names")
        for id in ("linked", "text", "passwd", "null", "pipe", "socket", "folder", "a" * 32, "c" * 32):
            for path in (f"/api/models/{id}", f"/api/models/{id}/weights"):
                trial.status(got(server, path), 404, what=path)
        for path in (f"/api/models/{'b' * 32}", f"/api/trace.json?model={'b' * 32}&text=abc"):
            trial.status(got(server, path), 200, 404, 422, what=path)
        denied = server.client.delete(f"/api/models/{'b' * 32}", headers={"Authorization": "Bearer " + "x" * 43})
        trial.status(denied, 403, 404, what="without an owner")


def looked_at(trial: Trial, server: Server, what: str) -> None:
    """Count whether the lists and pages are there, with the network that is one and without the rest."""
    for path in ("/api/models", "/", "/train", "/api/models/mine", "/readyz"):
        trial.status(got(server, path), 200, what=f"{path} with {what}")
    listed = got(server, "/api/models").text
    trial.holds('"mine"' in listed, f"with {what}: the good one is not listed")
    trial.holds('"linked"' not in listed, f"with {what}: a link out of the directory is listed")


def got(server: Server, path: str) -> httpx.Response:
    """An answer; 504 stands for none within ten seconds, and 500 for a connection that broke."""
    try:
        return httpx.get(server.address + path, timeout=10)
    except httpx.TimeoutException:
        return httpx.Response(504)
    except httpx.HTTPError:
        return httpx.Response(500)


@row(
    26,
    "ids guessed, nearly right, malformed, of runs and networks",
    "404 in the time of real ones; 128 random bits",
    "files",
)
def guesses(trial: Trial) -> None:
    client = trial.server.client
    made = [client.post("/api/runs?steps=1&hidden=2", content=TEXT).json()["id"] for _ in range(8)]
    brought = client.post("/api/models", content=Theirs("gru").saved(), headers=BYTES).json()["id"]
    trial.holds(all(len(id) == 32 and set(id) <= set("0123456789abcdef") for id in [*made, brought]), "short ids")
    bits = np.array([[int(bit) for bit in f"{int(id, 16):0128b}"] for id in made])
    trial.holds(0.35 < bits.mean() < 0.65 and len({id[:8] for id in made}) == 8, "ids follow a rule")
    near = [id[:-1] + ("0" if id[-1] != "0" else "1") for id in [*made, brought]]
    wrong = [
        *near,
        "0" * 32,
        made[0].upper(),
        made[0][:31],
        made[0] + "0",
        "%20" + made[0],
        "1",
        "-1",
        "*",
        "%25",
        "''",
    ]
    for id in wrong:
        for path in (f"/api/runs/{id}", f"/api/models/{id}", f"/api/runs/{id}/events.json", f"/api/events?runs={id}"):
            trial.status(client.get(path), 404, *([422] if "events?" in path else []), what=path)
    times = {}
    for kind, id in (("real", made[0]), ("near", near[0]), ("none", "f" * 32)):
        took = []
        for _ in range(30):
            began = time.perf_counter()
            client.get(f"/api/runs/{id}")
            took.append(time.perf_counter() - began)
        times[kind] = statistics.median(took)
    trial.note(", ".join(f"{kind} {took * 1000:.1f} ms" for kind, took in times.items()))
    trial.holds(times["near"] < 5 * times["none"] + 0.01, "a near guess takes another time than a far one")
