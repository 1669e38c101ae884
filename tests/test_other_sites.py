"""What pages of other sites may ask for, as their browsers say it: by fetch metadata, or by the origin alone."""

import re
import shutil
from pathlib import Path

import httpx
import pytest

from gatescope.app.http.other_sites import COMPUTED, READ
from gatescope.app.settings import Settings
from tests.runs import TEXT
from tests.runs_over_http import started
from tests.service import errors_of, serve

HOUSE = Path(__file__).parent.parent
EVIL = "https://evil.example"
TEXT_READ = {"model": "shakespeare-lstm", "text": "To be"}
PROMPT = {"model": "shakespeare-lstm", "prompt": "To", "length": 1}
SANDBOXED = {"Origin": "null", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
COMPUTATIONS = ("/api/trace", "/api/arithmetic", "/api/verification")
PAGES = ("/", "/train", "/docs", "/embed/unfold", "/openapi.json")
ELSEWHERE = (*PAGES, "/healthz", "/metrics", "/api/models", "/api/runs")
FOREIGN = [
    {"Origin": EVIL},
    {"Origin": f"{EVIL}.com"},
    {"Origin": "https://127.0.0.1"},
    {"Origin": "http://127.0.0.1:9999", "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    {"Origin": EVIL, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "style"},
    {"Sec-Fetch-Site": "something new"},
]


def navigating(to: str, site: str = "cross-site") -> dict[str, str]:
    """The headers of somebody who follows a link of another site, or whose page frames ours."""
    return {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": to}


def asked(client: httpx.Client, method: str, path: str, headers: dict) -> httpx.Response:
    """A request that computes something where its path is one of a computation."""
    body = PROMPT if path == "/api/generate" else TEXT_READ
    options = {"json": body} if method == "POST" else {"params": TEXT_READ if path.startswith("/api/") else None}
    return client.request(method, path, headers=headers, **options)


@pytest.fixture(scope="module")
def run(client) -> str:
    """A run that somebody told the page of."""
    return started(client, TEXT, steps=2, hidden=4, sequence_length=8, batch_size=2)["id"]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_other_sites_get_nothing(client, run, headers):
    named = [f"/api/runs/{run}", f"/api/events?runs={run}", "/api/models/small-lstm/weights", "/api/influence"]
    for path in (*ELSEWHERE, *COMPUTATIONS, *named, "/api/trace.json", "/api/cells"):
        response = asked(client, "GET", path, headers)
        assert "another" not in errors_of(response, 403)["origin"]
        assert "access-control-allow-origin" not in response.headers
    for path in (*COMPUTATIONS, "/api/generate", "/api/models", "/api/runs", "/api/runs?dry_run=true"):
        assert asked(client, "POST", path, headers).status_code == 403
    assert client.delete("/api/models/small-lstm", headers=headers).status_code == 403
    assert client.get("/api/runs").status_code == 200


@pytest.mark.parametrize("headers", [SANDBOXED, {"Origin": "null"}], ids=["now", "without fetch metadata"])
def test_a_frame_without_an_origin_gets_what_an_embed_asks_for(client, run, headers):
    log = (f"/api/runs/{run}", f"/api/runs/{run}/events.json", f"/api/events?runs={run}")
    files = ("/static/embed.js", "/static/views/cell.js", "/plotly.min.js")
    for path in (*files, *log, "/api/cells", "/api/models/shakespeare-lstm"):
        response = client.get(path, headers=headers)
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, "null"), path
        assert "Origin" in response.headers["vary"]
        assert "access-control-allow-credentials" not in response.headers
    for path in (*COMPUTATIONS, "/api/generate"):
        for method in ("GET", "POST")[path == "/api/generate" :]:
            response = asked(client, method, path, headers)
            assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, "null"), path


def test_a_frame_without_an_origin_gets_no_more(client, run):
    weights = (f"/api/models/{run}/weights", "/api/models/shakespeare-lstm/weights")
    for path in (*ELSEWHERE, *weights, "/api/trace.json", "/api/trace.safetensors", "/api/influence", "/static"):
        assert asked(client, "GET", path, SANDBOXED).status_code == 403, path
    changing = ("/api/models", "/api/models?dry_run=true", "/api/runs", f"/api/runs/{run}/stop", f"/api/runs/{run}")
    for path in changing:
        assert asked(client, "POST", path, SANDBOXED).status_code == 403, path
        assert asked(client, "DELETE", path, SANDBOXED).status_code == 403, path
    form = SANDBOXED | {"Sec-Fetch-Mode": "no-cors", "Content-Type": "text/plain"}
    assert client.post("/api/trace", content=b'{"model": "shakespeare-lstm"}', headers=form).status_code == 403


@pytest.mark.parametrize("id", ["small-lstm", "no-such-network", "../small-lstm"])
def test_networks_of_the_data_directory_are_private(client, id):
    for path in COMPUTATIONS:
        for options in ({"params": TEXT_READ | {"model": id}}, {"json": TEXT_READ | {"model": id}}):
            response = client.request("POST" if "json" in options else "GET", path, headers=SANDBOXED, **options)
            assert "private" in errors_of(response, 403)["model"]
    response = client.post("/api/generate", json=PROMPT | {"model": id}, headers=SANDBOXED)
    assert "private" in errors_of(response, 403)["model"]
    if "/" not in id:
        assert "private" in errors_of(client.get(f"/api/models/{id}", headers=SANDBOXED), 403)["model"]


def test_a_setting_shows_them(data, tmp_path):
    shutil.copy(data / "small-lstm.safetensors", tmp_path)
    with serve(Settings(data=tmp_path, sandboxed_networks=True)) as address:
        read = {"model": "small-lstm", "text": "ab"}
        response = httpx.get(f"{address}/api/trace", params=read, headers=SANDBOXED)
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, "null")


def preflight(client: httpx.Client, path: str, method: str, origin: str = "null", fields: str = "content-type"):
    asking = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": fields}
    return client.options(path, headers=asking | {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"})


def test_preflights_of_computations_are_granted_without_an_origin(client, run):
    for path in (*COMPUTATIONS, "/api/generate"):
        granted = preflight(client, path, "POST")
        assert granted.status_code == 200 and granted.headers["access-control-allow-origin"] == "null"
        assert "POST" in granted.headers["access-control-allow-methods"]
        assert "content-type" in granted.headers["access-control-allow-headers"].lower()
        assert "access-control-allow-credentials" not in granted.headers
    assert preflight(client, f"/api/events?runs={run}", "GET", fields="last-event-id").status_code == 200
    assert preflight(client, "/api/cells", "GET").status_code == 200


def test_no_other_preflight_is_granted(client, run):
    for path in ("/api/runs", "/api/models", f"/api/runs/{run}/stop", "/api/trace.json", "/api/influence", "/"):
        for method in ("GET", "POST", "DELETE"):
            assert preflight(client, path, method).status_code == 400, (path, method)
    refused = [preflight(client, "/api/trace", "DELETE"), preflight(client, f"/api/runs/{run}", "DELETE")]
    refused += [preflight(client, "/api/generate", "POST", origin) for origin in (EVIL, "http://127.0.0.1:9999", "")]
    refused += [preflight(client, "/api/generate", "POST", fields="authorization")]
    refused += [preflight(client, "/api/models/small-lstm", "POST"), preflight(client, f"/api/runs/{run}", "POST")]
    for response in refused:
        assert response.status_code == 400 and "access-control-allow-origin" not in response.headers
        assert response.headers["content-type"] == "application/problem+json"


def test_links_and_frames_of_other_sites_work(client):
    for site in ("cross-site", "same-site"):
        for path in ("/", "/train", "/docs", "/embed/unfold", "/api/models/small-lstm"):
            assert client.get(path, headers=navigating("document", site)).status_code == 200
        for dest in ("iframe", "frame", "object", "embed", "fencedframe"):
            assert client.get("/embed/text", headers=navigating(dest, site)).status_code == 200
            for path in ("/", "/train", "/api/cells", "/embed", "/docs"):
                assert client.get(path, headers=navigating(dest, site)).status_code == 403
    for path in ("/api/trace", "/api/generate", "/embed/text"):
        assert client.post(path, data={"a": "b"}, headers=navigating("document")).status_code == 403
    script = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}
    assert client.get("/plotly.min.js", headers=script).status_code == 200  # a sandboxed embed loads it so


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    ],
    ids=str,
)
def test_programs_and_our_own_pages_are_not_held_up(client, headers):
    for path in ("/", "/api/models", "/api/models/small-lstm", "/api/runs", "/metrics"):
        assert client.get(path, headers=headers).status_code == 200
    for path in (*COMPUTATIONS, "/api/generate"):
        assert asked(client, "POST", path, headers).status_code == 200


def test_our_own_origin_is_known_without_fetch_metadata(client, address):
    assert asked(client, "POST", "/api/trace", {"Origin": address}).status_code == 200
    behind_a_proxy = {"Origin": address.replace("http:", "https:")}  # which takes TLS off
    assert asked(client, "POST", "/api/trace", behind_a_proxy).status_code == 200
    assert asked(client, "POST", "/api/trace", {"Origin": address + "0"}).status_code == 403


LEADING = [b"//evil.example", b"//evil.example/", b"/%5cevil.example/", b"/\\evil.example/", b"/docs/", b"/static"]
LEADING += [b"/train/?next=//evil.example", b"/api/models/?url=javascript:alert(1)"]
LEADING += [b"/%0d%0aLocation:%20//evil.example/", b"/docs/%0d%0aX-Evil:1"]


@pytest.mark.parametrize("path", LEADING)
def test_nothing_leads_elsewhere(client, address, path):
    """A redirect only adds or takes a slash, and nothing of an address becomes a header."""
    request = client.build_request("GET", address)
    request.extensions["target"] = path
    response = client.send(request)
    assert "x-evil" not in response.headers
    if response.is_redirect:
        assert response.headers["location"].startswith(f"{address}/")
    else:
        assert response.status_code == 404 and "location" not in response.headers


def test_what_embeds_ask_for_is_what_they_are_given():
    """Every address of the API in the modules that an embed loads can be had without an origin."""
    loaded, waiting = set(), [HOUSE / "static/embed.js", HOUSE / "static/run.js", *HOUSE.glob("static/views/**/*.js")]
    while waiting:
        path = waiting.pop().resolve()
        if path not in loaded:
            loaded.add(path)
            waiting += [path.parent / name for name in re.findall(r'from "(\.[^"]+)"', path.read_text())]
    named = {each for path in loaded for each in re.findall(r'["`](/api/[^"`?]+)', path.read_text())}
    filled = {re.sub(r"\$\{[^}]*\}", "x", each) for each in named}
    assert {"/api/trace", "/api/generate", "/api/events"} <= filled
    by_owners = {"/api/runs/xx", "/api/models/x/weights", "/api/models", "/api/runs"}  # by links, or on whole pages
    assert {each for each in filled if not (READ.fullmatch(each) or COMPUTED.fullmatch(each))} <= by_owners
