"""What browsers are told: frames, origins, headers, numbers, logs."""

import itertools
import json
import re

import httpx

from tests.faults.parsing import TRACE
from tests.faults.server import in_state
from tests.faults.sockets import asked, head
from tests.faults.table import Trial, row
from tests.foreign import Theirs
from tests.runs_over_http import QUICK, owned, started

BYTES = {"Content-Type": "application/octet-stream"}
TEXT = "one two buckle my shoe, three four knock at the door. " * 20
SITES = (
    "https://evil.example",
    "http://evil.example",
    "http://127.0.0.1:9",
    "https://127.0.0.1.evil.example",
    "http://localhost",
    "file://",
    "chrome-extension://abc",
    "NULL",
    "",
    "http://127.0.0.1:9@evil.example",
    "https://evil.example, null",
)


@row(
    69,
    "other origins, null, near ones: what they may read, and what without CORS",
    "null only what an embed needs; others nothing",
    "web",
)
def origins(trial: Trial) -> None:
    client, server = trial.server.client, trial.server
    made = client.post("/api/models", content=Theirs("gru").saved(), headers=BYTES).json()["id"]
    private = (
        "/api/models",
        "/api/runs",
        "/api/models/private",
        "/api/models/private/weights",
        "/api/trace?model=private&text=abc",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/",
        "/train",
        f"/api/models/{made}/weights",
        "/readyz",
    )
    public = (
        "/api/trace?model=reber-lstm&text=BTX",
        "/api/models/reber-lstm",
        f"/api/trace?model={made}&text=abc",
        "/static/embed.js",
        "/plotly.min.js",
        "/api/cells",
    )
    for path, origin in itertools.product((*private, *public), SITES):
        answer = client.get(path, headers={"Origin": origin})
        said = answer.headers.get("access-control-allow-origin")
        trial.count("nothing is allowed" if said is None else f"allows {said}", said is None, f"{origin!r} {path}")
        trial.holds("access-control-allow-credentials" not in answer.headers, f"{path}: credentials")
    for path in (*private, *public):
        answer = client.get(path, headers={"Origin": "null"})
        said = answer.headers.get("access-control-allow-origin")
        fine = (
            said == "null" and answer.status_code == 200 if path in public else said is None or answer.status_code > 400
        )
        trial.count(f"null: {said}", fine, f"null {path}")
    for path in [each for each in (*private, *public[:3]) if each not in ("/metrics", "/openapi.json", "/readyz")]:
        for mode in (
            {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
            {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
        ):
            answer = client.get(path, headers={"Sec-Fetch-Site": "cross-site", **mode})
            trial.status(answer, 403, what=f"an image of another site: {path}")
    navigation = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    for path, dest in (("/", "document"), ("/docs", "document"), ("/embed/unfold", "iframe"), ("/runs/x", "document")):
        answer = client.get(path, headers={**navigation, "Sec-Fetch-Dest": dest})
        trial.count(f"a link: {answer.status_code}", answer.status_code in (200, 404), path)
    for path, origin in itertools.product(
        ("/api/runs", "/api/models", f"/api/models/{made}", "/api/runs/x/stop"), (*SITES[:4], "null")
    ):
        asks = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,authorization",
        }
        said = client.request("OPTIONS", path, headers=asks).headers.get("access-control-allow-origin")
        trial.count(
            "preflight refused" if said is None else f"preflight allows {said}", said is None, f"{origin} {path}"
        )
    asks = {"Origin": "null", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for path in ("/api/generate", "/api/trace"):
        answer = client.request("OPTIONS", path, headers=asks)
        allowed = answer.headers.get("access-control-allow-origin") == "null" and answer.status_code in (200, 204)
        trial.count(
            "a sandboxed frame may write" if allowed else f"{answer.status_code}", allowed, f"preflight of {path}"
        )
    trial.holds(server.answers(), "alive")


@row(71, "/oembed with addresses that are not ours", "404; nothing is fetched from anywhere", "web", missing="oEmbed")
def oembed(trial: Trial) -> None:
    for url in (
        "javascript:alert(1)",
        "http://169.254.169.254/",
        "https://evil.example",
        "//evil",
        "file:///etc/passwd",
        "x" * 5000,
    ):
        for more in ({}, {"maxwidth": "-1"}, {"maxwidth": "x"}, {"maxwidth": 10**9}):
            trial.status(trial.server.client.get("/oembed", params={"url": url, **more}), 404, what=url[:20])


@row(35, "texts that begin with =, +, -, @, tab in a table for spreadsheets", "quoted", "web", missing="CSV export")
def tables(trial: Trial) -> None:
    for path in ("/api/trace.csv", f"/api/runs/{'0' * 32}/events.csv", "/export.csv", "/api/models.csv"):
        answer = trial.server.client.get(path, params={"model": "reber-lstm", "text": "=cmd|x"})
        trial.status(answer, 404, 405, what=path)


@row(
    72,
    "/docs, /openapi.json, /metrics, /healthz, /readyz asked by anybody",
    "numbers and documentation only: no id, title, text",
    "web",
)
def numbers_only(trial: Trial) -> None:
    client, secret = trial.server.client, "Zyzzyva-secret"
    run = started(client, f"{secret} is what I say. " * 40, **QUICK | {"steps": 5}, title=secret)
    in_state(client, run, "finished")
    made = client.post("/api/models", content=Theirs("gru").saved(title=secret), headers=BYTES).json()
    for path in (
        "/docs",
        "/docs/api",
        "/docs/service",
        "/openapi.json",
        "/metrics",
        "/healthz",
        "/readyz",
        "/api/models",
        "/api/cells",
    ):
        answer = client.get(path)
        leaks = [
            word
            for word in (secret, run["id"], made["id"], made["owner_token"], str(trial.server.data))
            if word in answer.text
        ]
        trial.count(str(answer.status_code), answer.status_code == 200 and not leaks, f"{path}: {leaks}")
    lines = [line for line in client.get("/metrics").text.split("\n") if line and not line.startswith("#")]
    odd = [line for line in lines if not re.fullmatch(r'[a-z_]+(\{[a-z_]+="[a-z0-9.]+"\})? [0-9.e+-]+', line)]
    trial.holds(lines and not odd, f"/metrics: {odd[:2]}")
    client.delete(run["links"]["self"], headers=owned(run))


HEADERS = {
    "content-security-policy": "default-src 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "",
}


def headed(trial: Trial, headers: dict[str, str] | httpx.Headers, status: int, what: str) -> None:
    """Count an answer by whether it has the headers that every one must have."""
    wrong = [name for name, value in HEADERS.items() if value not in headers.get(name, "\0")]
    trial.count(str(status), not wrong and "set-cookie" not in headers, f"{what}: {status} without {', '.join(wrong)}")


@row(74, "every route with every method, and every refusal: 304, 400, 403, 404, 405, 408, 413, 414, 415, 422, 431",
     "policy, nosniff, cache-control, referrer; no cookie", "web")  # fmt: skip
def every_route(trial: Trial) -> None:
    client, port = trial.server.client, trial.server.port
    paths = [path.replace("{id}", "0" * 32) for path in client.get("/openapi.json").json()["paths"]]
    pages = [
        "/",
        "/train",
        "/docs",
        "/docs/api",
        "/embed/unfold",
        "/embed/run",
        "/runs/x",
        "/static/style.css",
        "/plotly.min.js",
        "/none",
    ]
    for path, method in itertools.product(
        [*paths, *pages, "/static/none.js"], ("GET", "POST", "DELETE", "PUT", "OPTIONS", "HEAD")
    ):
        if path == "/api/events" and method == "HEAD":
            continue
        answer = client.request(method, path)
        headed(trial, answer.headers, answer.status_code, f"{method} {path}")
    tag = client.get("/static/style.css").headers.get("etag", "")
    answer = client.get("/static/style.css", headers={"If-None-Match": tag})
    headed(trial, answer.headers, answer.status_code, "unchanged")
    body = json.dumps(TRACE).encode()
    raw = {"413": head("POST", "/api/trace", "Content-Length: 99999999"), "404": head("GET", "/static/../x")}
    raw |= {"host": head("GET", "/", host="evil.example"), "431": head("GET", "/", *["X: " + "a" * 900] * 60)}
    raw |= {
        "414": head("GET", "/?text=" + "a" * 60_000),
        "415": head("POST", "/api/models", f"Content-Length: {len(body)}") + body,
    }
    raw |= {
        "line": b"GET\r\n\r\n",
        "verb": head("\xff", "/"),
        "length": head("POST", "/api/trace", "Content-Length: -1"),
    }
    raw |= {
        "range": head("GET", "/static/style.css", "Range: bytes=9-3"),
        "422": head("GET", "/api/trace?model=none&text=a"),
    }
    raw |= {"coding": head("POST", "/api/trace", "Content-Encoding: gzip", "Content-Length: 2") + b"{}"}
    for what, request in raw.items():
        answer = asked(port, request, closing=0)
        headed(trial, answer.headers, answer.status, what)


@row(
    68,
    "pages framed by another site: what the policy says, with and without a list of sites",
    "only /embed, only those sites",
    "web",
)
def frames(trial: Trial) -> None:
    with trial.own_server(frame_ancestors="https://course.example 'self'") as listed:
        for server, sites in ((trial.server, "*"), (listed, "https://course.example 'self'")):
            for path in (
                "/embed/unfold",
                "/embed/run",
                "/embed/cell",
                "/embed/generate",
                "/embed/gates",
                "/embed/text",
            ):
                policy = server.client.get(path).headers["content-security-policy"]
                trial.count("embed", policy.endswith(f"frame-ancestors {sites}"), f"{path}: {policy[-60:]}")
            for path in (
                "/",
                "/train",
                "/runs/x",
                "/docs",
                "/docs/api",
                "/api/models",
                "/embedded",
                "/static/style.css",
            ):
                policy = server.client.get(path).headers["content-security-policy"]
                trial.count("not framed", policy.endswith("frame-ancestors 'none'"), f"{path}: {policy[-60:]}")
