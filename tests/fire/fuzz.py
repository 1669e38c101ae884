"""Made-up requests over every route of /openapi.json and every page: no answer may be one that is not documented.

    python -m tests.fire.fuzz --requests 20000    prints requests and answers by route; exit status 1 where one is wrong

Most come from the schema itself (schemathesis: examples, coverage, fuzzing, stateful), the rest are drawn by
`made_up` and `odd`, since no schema says what a file of weights or an address of a page may hold.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from tests.fire import made_up, odd
from tests.fire.contract import NOT_NOW, Contract, Tally
from tests.fire.made_up import BYTES, MODELS, Reader, Request
from tests.fire.process import Served, leave_nothing, served

BOOK = b"It was the best of times, it was the worst of times. " * 60
BY_SCHEMA = 0.6  # of all requests
COVERAGE = 3000  # about as many requests try every bound of every field once
SECONDS = 60  # in which an answer must have come
AT_ONCE = 400  # requests that are drawn from one seed
CHECKS = (
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
    "allow_header_conformance",
)


class There:
    """What is there to be asked for: a run that is over, and a network of one's own."""

    def __init__(self, client: httpx.Client):
        run = client.post("/api/runs", params={"steps": 2, "hidden": 4}, content=BOOK).raise_for_status().json()
        weights = client.get(f"/api/models/{MODELS[0]}/weights").content
        kept = client.post("/api/models", content=weights, headers={"content-type": BYTES}).raise_for_status().json()
        end = time.monotonic() + SECONDS
        while not client.get(f"/api/runs/{run['id']}/events.json").json()["is_over"] and time.monotonic() < end:
            time.sleep(0.1)
        self.runs, self.models = (str(run["id"]),), (str(kept["id"]),)
        listed = [client.get(f"/api/models/{id}").json() for id in (*MODELS, *self.models)]
        self.readers = tuple(Reader(each["id"], tuple(each["vocabulary"]), each["channels"]) for each in listed)


def with_names(document: dict[str, Any], there: There) -> dict[str, Any]:
    """The API's description, which also says of some fields what is there: else nothing drawn would ever be found."""
    known: dict[str, Sequence[object]] = {
        "model": [*MODELS[:4], *there.models],
        "id": [*there.models, *there.runs, MODELS[0]],
        "runs": there.runs,
        "text": ["To be", "a"],
        "values": ["0.1;0.2;0.3"],
        "prompt": ["To be"],
        "signal": ["c", "h"],
    }
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                if parameter["name"] in known:
                    parameter["schema"] = {"anyOf": [{"enum": known[parameter["name"]]}, parameter["schema"]]}
    for schema in document["components"]["schemas"].values():
        for name, field in schema.get("properties", {}).items():
            if name in known and name != "values" and "model" in schema["properties"]:
                schema["properties"][name] = {"anyOf": [{"enum": known[name]}, field]}
    return document


def by_schema(server: Served, there: There, tally: Tally, most: int, first: int) -> None:
    """So many requests drawn from the schema, whose answers schemathesis holds to it."""
    document = with_names(httpx.get(f"{server.address}/openapi.json").json(), there)
    number, end = first, tally.requests + most
    is_wide = most > 2 * COVERAGE
    while tally.requests < end:
        examples = max(1, min(100, (end - tally.requests) // (4 * len(document["paths"]))))
        phases = {name: {"enabled": is_wide and number == first} for name in ("examples", "coverage")}
        options = {
            "base-url": server.address,
            "request-timeout": SECONDS,
            "continue-on-failure": True,
            "max-stream-events": 1000,
            "checks": {"enabled": False, **{name: {"enabled": True} for name in CHECKS}},
            "generation": {"max-examples": examples, "database": "none", "no-shrink": True},
            "phases": phases,
            "cache": {"enabled": False},
        }
        schema = schemathesis.openapi.from_dict(document, config=SchemathesisConfig.from_dict(options))
        schema.config.seed = number
        stream = from_schema(schema).execute()
        for event in stream:
            note(event, tally)
            if tally.requests >= end:
                stream.stop()
        number += 1


def note(event: events.EngineEvent, tally: Tally) -> None:
    """Count what an event of schemathesis tells of."""
    if isinstance(event, events.FatalError):
        raise event.exception
    if isinstance(event, events.NonFatalError):
        tally.fault(event.label, f"{type(event.value).__name__}: {event.value}"[:300], "")
    if not isinstance(event, events.ScenarioFinished):
        return
    recorder = event.recorder
    for id, interaction in recorder.interactions.items():
        case, response = recorder.cases[id].value, interaction.response
        method, path = case.method.upper(), case.operation.path
        route = f"{method if method == case.operation.method.upper() else 'others'} {path}"
        tally.add(route, response.status_code if response else "no answer")
        if response and response.status_code >= 500 and response.status_code not in NOT_NOW:
            tally.fault(route, f"answers {response.status_code}", case.as_curl_command())
    for checks in recorder.checks.values():
        for check in checks:
            if check.failure_info:
                failure = check.failure_info.failure
                words = f"{failure.title}: {failure.message}".replace("\n", " ")[:300]
                tally.fault(failure.operation, words, check.failure_info.code_sample)


class Sender:
    """Sends what was drawn, and holds its answer to the contract."""

    def __init__(self, client: httpx.Client, contract: Contract, tally: Tally):
        self.client, self.contract, self.tally = client, contract, tally

    def __call__(self, request: Request) -> httpx.Response | None:
        """The answer, or None where none came."""
        path, shown = unquote(request.path.partition("?")[0]), f"{request}"
        route = self.contract.route(request.method, path)
        headers = [(name, value.encode()) for name, value in request.headers]
        try:
            response = self.client.request(request.method, request.path, content=request.content, headers=headers)
        except httpx.LocalProtocolError:  # h11 does not send such a thing
            return None
        except httpx.TransportError as error:
            self.tally.add(route, type(error).__name__)
            self.tally.fault(route, f"no answer: {type(error).__name__}", shown)
            return None
        self.tally.add(route, response.status_code)
        for fault in self.contract.faults(request.method, path, response):
            self.tally.fault(route, fault, shown)
        return response

    def bring(self, request: Request) -> None:
        """Upload a network, look at it in every way, and delete it."""
        response = self(request)
        if response is None or response.status_code != 201:
            return
        made = response.json()
        id, owner = made["id"], (("authorization", f"Bearer {made['owner_token']}"),)
        details = self(Request("GET", f"/api/models/{id}"))
        task = details.json() if details and details.status_code == 200 else {}
        read = "values=0.5;0.25;1" if task.get("channels") == 1 else "text=abcab"
        for route in made_up.READING:
            self(Request("GET", f"/api/{route}?model={id}&{read}"))
            self(Request("POST", f"/api/{route}", b'{"model":"%s","tokens":[0,0,0]}' % id.encode(), JSON))
        self(Request("POST", "/api/generate", b'{"model":"%s","prompt":"a","length":5}' % id.encode(), JSON))
        self(Request("GET", f"/?model={id}"))
        self(Request("GET", f"/api/models/{id}/weights"))
        self(Request("DELETE", f"/api/models/{id}", headers=owner))


JSON = (("content-type", made_up.JSON),)


def drawn(strategy: st.SearchStrategy[Request], number: int, act: Callable[[Request], object]) -> None:
    """Do something with each of some hundred requests drawn from this seed."""

    @seed(number)
    @settings(
        max_examples=AT_ONCE,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    @given(strategy)
    def each(request: Request) -> None:
        act(request)

    each()


def by_hand(client: httpx.Client, contract: Contract, there: There, tally: Tally, most: int, first: int) -> None:
    """So many requests of our own drawing, of each kind about the same number."""
    send = Sender(client, contract, tally)
    kinds: list[tuple[st.SearchStrategy[Request], Callable[[Request], object]]] = [
        (made_up.uploads(), send.bring),
        (made_up.texts(), send),
        (made_up.readings(there.readers), send),
        (made_up.pages(there.models), send),
        (odd.bodies(), send),
        (odd.heads(there.runs), send),
    ]
    share, number = most // len(kinds), first
    for kind, (strategy, act) in enumerate(kinds):
        end = tally.requests + (most - share * kind if kind == len(kinds) - 1 else share)

        def until_enough(request: Request, act: Callable[[Request], object] = act, end: int = end) -> None:
            if tally.requests < end:
                act(request)

        while tally.requests < end:
            number += 1
            drawn(strategy, number, until_enough)


def fuzz(tally: Tally, most: int, first: int = 1) -> None:
    """Send so many requests, drawn from this seed on, to a server of its own."""
    # nobody is to be refused for being many: what is behind the refusal is to be tried
    with (
        served(runs_per_minute=100_000, upload_count=5000, workers=1) as server,
        httpx.Client(base_url=server.address, timeout=SECONDS) as client,
    ):
        there, contract = There(client), Contract(client.get("/openapi.json").json())
        by_schema(server, there, tally, int(most * BY_SCHEMA), first)
        by_hand(client, contract, there, tally, most - tally.requests, first)
        if client.get("/healthz").json() != {"status": "ok"}:
            tally.fault("GET /healthz", "is not alive any more", "")
        for words in server.exceptions():
            tally.fault("log", f"a traceback: {words}", "")
        tally.peak = server.peak()


def main() -> None:
    """Fuzz, and print the table, also where it is cut short."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    leave_nothing()
    tally = Tally(sys.stderr)
    try:
        fuzz(tally, chosen.requests, chosen.seed)
    finally:
        print("\n".join(tally.rows()))
    sys.exit(len(tally.faults) > 0)


if __name__ == "__main__":
    main()
