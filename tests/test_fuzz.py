"""Some hundred of the made-up requests of `tests.fire.fuzz`, always the same; and that it would notice a fault."""

import httpx
import pytest

from gatescope.app.server import create_app
from gatescope.app.settings import Settings
from tests.fire.contract import Contract, Tally
from tests.fire.fuzz import fuzz

PROBLEM = {"type": "about:blank", "title": "x", "status": 422, "detail": "x", "errors": []}


@pytest.mark.slow
def test_made_up_requests_get_documented_answers():
    tally = Tally()
    fuzz(tally, 400)
    assert tally.faults == {} and tally.requests >= 400, "\n".join(tally.rows())


@pytest.fixture(scope="module")
def contract(data) -> Contract:
    return Contract(create_app(Settings(data=data)).openapi())


def faults(
    contract: Contract, method: str, path: str, status: int, json: object = None, kind: str = "", **headers
) -> list:
    """What the contract says of an answer."""
    there = {"x-content-type-options": "nosniff"} | ({"content-type": kind} if kind else {}) | headers
    request = httpx.Request(method, f"http://x{path}")
    return [*contract.faults(method, path, httpx.Response(status, json=json, headers=there, request=request))]


def test_an_answer_that_is_documented_is_none_of_its_faults(contract):
    said = {"status": "ok"}
    assert faults(contract, "GET", "/healthz", 200, said, "application/json") == []
    assert faults(contract, "GET", "/api/models/x", 404, PROBLEM, "application/problem+json") == []
    assert faults(contract, "PUT", "/api/models/x", 405, PROBLEM, "application/problem+json") == []
    later = {"retry-after": "5"}
    assert faults(contract, "POST", "/api/trace", 503, PROBLEM, "application/problem+json", **later) == []


@pytest.mark.parametrize(
    ("method", "path", "status", "json", "kind", "words"),
    [
        ("GET", "/healthz", 500, PROBLEM, "application/problem+json", "answers 500"),
        ("GET", "/healthz", 200, {"state": "ok"}, "application/json", "'status' is a required property"),
        ("GET", "/healthz", 200, {"status": 1}, "application/json", "status: 1 is not of type"),
        ("GET", "/healthz", 200, {"status": "ok"}, "text/html", "200 as text/html"),
        ("GET", "/healthz", 202, {"status": "ok"}, "application/json", "202 is undocumented"),
        ("GET", "/api/trace", 404, PROBLEM, "application/problem+json", "404 is undocumented"),
        ("GET", "/api/trace", 422, PROBLEM, "application/json", "and not as application/problem+json"),
        ("POST", "/api/trace", 503, PROBLEM, "application/problem+json", "503 without Retry-After"),
        ("PUT", "/api/trace", 200, {}, "application/json", "a method that is not documented"),
        ("GET", "/embed/x", 201, None, "text/html", "201 is undocumented"),
        ("GET", "/nowhere", 200, None, "text/html", "200 is undocumented"),
    ],
)
def test_any_other_answer_is_a_fault(contract, method, path, status, json, kind, words):
    found = faults(contract, method, path, status, json, kind)
    assert any(words in fault for fault in found), found


def test_a_traceback_and_a_missing_header_are_faults(contract):
    request = httpx.Request("GET", "http://x/")
    page = httpx.Response(200, text="Traceback (most recent call last)", request=request)
    assert {*contract.faults("GET", "/", page)} == {"shows a traceback", "200 without nosniff"}
