"""Bodies and addresses that cannot be what they say: numbers, texts, JSON, types of content."""

import gzip
import itertools
import json
import re
import time
import zlib

import httpx

from tests.faults.sockets import asked, head
from tests.faults.table import Trial, row
from tests.house import HOUSE

MODEL = "reber-lstm"  # a small shipped network
TRACE = {"model": MODEL, "text": "BTX"}
NO_NUMBERS = ("NaN", "Infinity", "-Infinity", "1e999", "-1e999")
INTERVENTION = {"layer": 0, "signal": "f", "value": 0}
POSTS = ("/api/trace", "/api/trace.json", "/api/trace.safetensors", "/api/arithmetic", "/api/influence")
JSON = {"Content-Type": "application/json"}


def sent(trial: Trial, path: str, body: str | bytes, **headers: str) -> httpx.Response:
    """The answer to a body that is called JSON."""
    return trial.server.client.post(path, content=body, headers={**JSON, **headers})


def with_value(fields: dict[str, object], name: str, value: str) -> str:
    """Fields as JSON, one of them as it is written here."""
    return json.dumps(fields)[:-1] + f', "{name}": {value}}}'


@row(1, "NaN, ±Infinity and 1e999 as any number of a body or an address", "422", "parsing")
def no_numbers(trial: Trial) -> None:
    prompt = {"model": MODEL, "prompt": "B"}
    for value in NO_NUMBERS:
        trial.status(sent(trial, "/api/generate", with_value(prompt, "temperature", value)), 422, what=value)
        held = with_value(INTERVENTION, "value", value)
        for path in (*POSTS, "/api/verification"):
            body = with_value(TRACE, "interventions", f"[{held}]")
            trial.status(sent(trial, path, body), 422, what=f"{path} {value}")
        numbers = with_value({"model": "signal"}, "values", f"[[{value}], [1.0]]")
        trial.status(sent(trial, "/api/trace", numbers), 422, what=f"values {value}")
        trial.status(trial.server.client.get("/api/trace", params={"model": "signal", "values": f"1;{value}"}), 422)
    for value, name in itertools.product(("nan", "inf", "-inf", "1e999"), ("learning_rate", "dropout", "clip")):
        trial.status(trial.server.client.post("/api/runs", params={name: value}, content="abc" * 99), 422, what=name)


@row(2, "half of a surrogate pair in any text, name or address", "422, or 404 where it names something", "parsing")
def half_surrogates(trial: Trial) -> None:
    for half in ("\\ud800", "\\udfff", "a\\udc00b"):
        for name in ("model", "text", "targets", "signals"):
            value = f'["{half}"]' if name == "targets" else f'"{half}"'
            fields = {key: given for key, given in TRACE.items() if key != name}
            trial.status(sent(trial, "/api/trace", with_value(fields, name, value)), 422, what=name)
        trial.status(sent(trial, "/api/trace", with_value(TRACE, half, "1")), 422, what="a field's name")
        trial.status(sent(trial, "/api/generate", with_value({"model": MODEL}, "prompt", f'"{half}"')), 422)
    for path in ("/api/models/%ED%A0%80", "/api/runs/%ED%A0%80", "/api/models/%ED%B0%80/weights", "/docs/%ED%A0%80"):
        trial.status(trial.server.client.get(path), 404, what=path)
    for path in ("/api/trace?model=reber-lstm&text=%ED%A0%80", "/api/trace?model=%ED%A0%80&text=B"):
        trial.status(trial.server.client.get(path), 422, what=path)
    trial.status(trial.server.client.get("/?text=%ED%A0%80&model=%ED%A0%80"), 200, what="a page")


@row(3, "bodies that are no UTF-8 and no JSON", "400 or 422", "parsing")
def no_json(trial: Trial) -> None:
    whole = json.dumps(TRACE).encode()
    broken = [b"\xff\xfe", b'{"model": "\xff"}', b"\xc3\x28", whole[:-1], whole + b"x", b"", b"null", b"[]", b"3"]
    broken += [b"\x00" * 99, b'"\\u12"', b"{'model': 1}", b"\xef\xbb\xbf" + whole[1:]]
    for path, body in itertools.product((*POSTS, "/api/verification", "/api/generate"), broken):
        trial.status(sent(trial, path, body), 400, 422, what=f"{path} {body[:12]!r}")


@row(4, "JSON nested 100,000 deep, alone and in a field", "400 or 422, quickly", "parsing")
def deep(trial: Trial) -> None:
    depth, slowest = 100_000, 0.0
    nests = ["[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth, "[" * depth, "[{" * depth]
    for path in ("/api/trace", "/api/generate", "/api/influence"):
        for nest in nests:
            for body in (nest, f'{{"model": "{MODEL}", "text": {nest}}}', f'{{"x": {nest}}}'):
                began = time.monotonic()
                trial.status(sent(trial, path, body), 400, 422, what=path)
                slowest = max(slowest, time.monotonic() - began)
    trial.note(f"slowest {slowest * 1000:.0f} ms")
    trial.holds(slowest < 1, "slow")


@row(5, "a number of 5,000 digits in a body, a query, a page's address", "400, 422; the page with a notice", "parsing")
def long_numbers(trial: Trial) -> None:
    digits = "9" * 5000
    for path, name in (("/api/arithmetic", "unit"), ("/api/arithmetic", "layer"), ("/api/influence", "layer")):
        trial.status(sent(trial, path, with_value(TRACE, name, digits)), 400, 422, what=name)
        trial.status(trial.server.client.get(path, params={**TRACE, name: digits}), 400, 422, what=name)
    for name in ("length", "seed", "top_k", "temperature"):
        trial.status(sent(trial, "/api/generate", with_value({"model": MODEL, "prompt": "B"}, name, digits)), 400, 422)
    for name in ("steps", "hidden", "seed", "patience"):
        trial.status(trial.server.client.post("/api/runs", params={name: digits}, content="abc" * 99), 422, what=name)
    for query in ("after", "limit"):
        trial.status(trial.server.client.get(f"/api/runs/{'0' * 32}/events.json?{query}={digits}"), 404, 422)
    for name in ("t", "layer", "unit", "step"):
        page = trial.server.client.get("/", params={**TRACE, name: digits})
        trial.status(page, 200, what=name)


@row(6, "true for a number, “4” for a number, 4 for a text, 1.5 for a whole number", "422", "parsing")
def wrong_types(trial: Trial) -> None:
    wrong = ("true", "false", '"4"', '"true"', "4.5", "[]", "{}", "[4]", "null")
    for path, name in (("/api/arithmetic", "unit"), ("/api/arithmetic", "layer"), ("/api/influence", "layer")):
        for value in wrong:
            trial.status(sent(trial, path, with_value(TRACE, name, value)), 422, what=f"{name} {value}")
    for name in ("length", "seed"):
        for value in wrong:
            body = with_value({"model": MODEL, "prompt": "B"}, name, value)
            trial.status(sent(trial, "/api/generate", body), 422, what=f"{name} {value}")
    for name, value in itertools.product(("backward",), ("1", "0", '"true"', '"yes"', "null")):
        trial.status(sent(trial, "/api/trace", with_value(TRACE, name, value)), 422, what=f"{name} {value}")
    for name, value in itertools.product(("model", "text"), ("4", "true", "[]", '["a"]')):
        fields = {key: given for key, given in TRACE.items() if key != name}
        trial.status(sent(trial, "/api/trace", with_value(fields, name, value)), 422, what=f"{name} {value}")
    for value in ("[true, false]", '["1"]', "[1.5]", "[[1]]", "1", '"1"'):
        body = with_value({"model": MODEL}, "tokens", value)
        trial.status(sent(trial, "/api/trace", body), 422, what=f"tokens {value}")


@row(
    7,
    "unknown fields; a key or a parameter twice",
    "422; the last one counts, and the documentation says so",
    "parsing",
)
def unknown_and_twice(trial: Trial) -> None:
    client = trial.server.client
    for path in (*POSTS, "/api/verification"):
        for name in ("speed", "Text", "text ", "", "__proto__", "modeI"):
            trial.status(sent(trial, path, with_value(TRACE, name, "1")), 422, what=f"{path} {name}")
        trial.status(client.get(path, params={**TRACE, "speed": "1"}), 422, what=f"{path} query")
    for path in ("/api/runs?dry_run=true&speed=9", "/api/models?speed=9", "/api/runs?ids=&speed=9"):
        answer = client.get(path) if "ids" in path else client.post(path, content=b"abc" * 99, headers=BYTES)
        trial.status(answer, 422, what=path)
    right, wrong = json.dumps(MODEL), '"none"'
    for first, second, status in ((wrong, right, 200), (right, wrong, 422)):
        body = f'{{"model": {first}, "text": "BTX", "model": {second}}}'
        trial.status(sent(trial, "/api/trace.json", body), status, what="twice in a body")
        query = f"model={first.strip(chr(34))}&text=BTX&model={second.strip(chr(34))}"
        trial.status(client.get(f"/api/trace.json?{query}"), status, what="twice in an address")
    said = "\n".join(path.read_text() for path in sorted((HOUSE / "templates/docs").glob("*.md")))
    told = re.search(r"(?is)\b(twice|duplicate|more than once)\b[^.]{0,120}\blast\b|\blast\b[^.]{0,120}\btwice\b", said)
    trial.holds(told, "the documentation does not say that the last one counts")


BYTES = {"Content-Type": "application/octet-stream"}


@row(
    8,
    "JSON and files under another content type or none; forms; pages of other sites that start runs",
    "415, 422 or 403; nothing is made",
    "parsing",
)
def other_types(trial: Trial) -> None:
    client, server = trial.server.client, trial.server
    before = runs_and_uploads(trial)
    types = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/html")
    types += ("application/jsonx", "application", "", "x" * 500, "application/octet-stream", "image/png")
    for path in (*POSTS, "/api/verification", "/api/generate"):
        body = {"model": MODEL, "prompt": "B"} if path.endswith("generate") else TRACE
        for kind in types:
            answer = client.post(path, content=json.dumps(body), headers={"Content-Type": kind})
            trial.status(answer, 415, 422, what=f"{path} as {kind[:30]!r}")
        content = json.dumps(body).encode()
        bare = head("POST", path, f"Content-Length: {len(content)}") + content
        trial.status(asked(server.port, bare, closing=0), 415, 422, what=f"{path} as nothing")
    for kind in (*types[:-2], "application/json"):
        trial.status(client.post("/api/models", content=b"x" * 99, headers={"Content-Type": kind}), 415, 422, what=kind)
    text = "One two three, one two three. " * 40
    sites = ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"})
    sites += ({"Sec-Fetch-Site": "same-site"}, {"Origin": "http://127.0.0.1:9"}, {"Origin": "http://127.0.0.1"})
    for site, kind in itertools.product(sites, ("text/plain", "application/x-www-form-urlencoded")):
        trial.status(client.post("/api/runs?steps=5", content=text, headers={**site, "Content-Type": kind}), 403)
    trial.holds(runs_and_uploads(trial) == before, "something was made")


def runs_and_uploads(trial: Trial) -> tuple[int, int]:
    """How many runs and uploads there are."""
    listed = trial.server.client.get("/api/runs").json()["runs"]
    return len(listed), len(list((trial.server.data / "uploads").glob("*.safetensors")))


@row(
    9,
    "compressed bodies, bombs among them, and plain ones labelled as compressed",
    "415, nothing is inflated",
    "parsing",
)
def compressed(trial: Trial) -> None:
    bomb = gzip.compress(bytes(300_000_000), 9)
    plain, before = json.dumps(TRACE).encode(), trial.server.peak()
    kinds = {"gzip": gzip.compress(plain), "deflate": zlib.compress(plain), "br": plain, "zstd": plain, "x-gzip": plain}
    kinds |= {"gzip, gzip": gzip.compress(gzip.compress(plain)), "GZIP": plain, "unknown": plain}
    for path in (*POSTS, "/api/generate", "/api/verification", "/api/runs", "/api/models", "/api/runs?dry_run=true"):
        kind = {"Content-Type": "application/octet-stream" if path == "/api/models" else "application/json"}
        for label, content in kinds.items():
            for body in (content, plain):
                answer = trial.server.client.post(path, content=body, headers={**kind, "Content-Encoding": label})
                trial.status(answer, 415, what=f"{path} as {label}")
        answer = trial.server.client.post(path, content=bomb, headers={**kind, "Content-Encoding": "gzip"})
        trial.status(answer, 415, what=f"{path} bomb")
    same = trial.server.client.post("/api/trace.json", content=plain, headers={**JSON, "Content-Encoding": "identity"})
    trial.status(same, 200, what="identity")
    grown = trial.server.peak() - before
    trial.note(f"memory grew by {grown:.0f} MB")
    trial.holds(grown < 100, "memory grew")
