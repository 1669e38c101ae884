"""What an answer may be: what /openapi.json documents for its route, and for the pages a short table."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import httpx
from jsonschema import Draft202012Validator, ValidationError

PROBLEM = "application/problem+json"
NOT_NOW = (503, 507)  # the only answers from 500 on that this service gives
HEADS = {400, 403, 408, 413, 414, 415, 431, 503}  # what any request may be answered before its route is looked for
A_RUN = "/runs/[^/]*"  # where there is none, its page says so
PAGES = {
    "/": {200},
    "/train": {200},
    A_RUN: {200, 404},
    "/embed/[^/]*": {200, 404},
    "/docs": {200},
    "/docs/[^/]*": {200, 404},
    "/plotly.min.js": {200},
    "/openapi.json": {200},
    "/static/.*": {200, 206, 304, 404, 416},
}
ELSEWHERE = {404}


class Contract:
    """The answers that are documented."""

    def __init__(self, document: dict[str, Any]):
        self.components, self.operations = document["components"], document["paths"]
        self.paths = {re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))): path for path in self.operations}
        self._checks: dict[str, Callable[[Any], Any]] = {}

    def route(self, method: str, path: str) -> str:
        """What a request is for: a documented route (or `others`, methods it does not take), a page, or `elsewhere`."""
        for pattern, documented in self.paths.items():
            if pattern.fullmatch(path):
                documents = method.lower() in self.operations[documented]  # HEAD counts among the others
                return f"{method if documents else 'others'} {documented}"
        for pattern in PAGES:
            if re.fullmatch(pattern, path):
                return f"{method} {pattern.replace('[^/]*', '…').replace('.*', '…')}"
        return "elsewhere"

    def faults(self, method: str, path: str, response: httpx.Response) -> Iterator[str]:
        """What is wrong with an answer to this method and this decoded path; nothing where it is as documented."""
        status, kind = response.status_code, response.headers.get("content-type", "").partition(";")[0]
        asked, method = method, "GET" if method == "HEAD" else method  # which may be answered so, and need not
        if status >= 500 and status not in NOT_NOW:
            yield f"answers {status}"
            return
        if b"Traceback (most recent" in response.content:
            yield "shows a traceback"
        if response.headers.get("x-content-type-options") != "nosniff":
            yield f"{status} without nosniff"
        if status >= 400 and not (status == 404 and kind == "text/html" and re.fullmatch(A_RUN, path)):
            yield from self._problem_faults(response, kind)
        found = next((each for pattern, each in self.paths.items() if pattern.fullmatch(path)), None)
        methods = self.operations.get(found, {})
        if (
            asked == "HEAD"
            and status == 405
            or method == "OPTIONS"
            and "access-control-request-method" in response.request.headers
        ):
            return
        if found and method.lower() not in methods:
            if status not in HEADS | {405, 404}:
                yield f"{status} to a method that is not documented"
        elif found:
            yield from self._documented_faults(methods[method.lower()], response, kind)
        else:
            allowed = next((here for pattern, here in PAGES.items() if re.fullmatch(pattern, path)), ELSEWHERE)
            redirected = {307} if path.endswith("/") else set()
            if status not in allowed | redirected | HEADS | {405, 422}:
                yield f"{status} is undocumented"

    def _problem_faults(self, response: httpx.Response, kind: str) -> Iterator[str]:
        if kind != PROBLEM:
            yield f"{response.status_code} as {kind or 'nothing'} and not as {PROBLEM}"
        else:
            shape = {"$ref": "#/components/schemas/ProblemAnswer"}
            yield from self._shape_faults(shape, response)
        if response.status_code in (429, *NOT_NOW) and not response.headers.get("retry-after", "").isdecimal():
            yield f"{response.status_code} without Retry-After"

    def _documented_faults(self, operation: dict[str, Any], response: httpx.Response, kind: str) -> Iterator[str]:
        status = response.status_code
        answer = operation["responses"].get(str(status))
        if answer is None:
            if status not in (206, 304, 416):  # a file in parts
                yield f"{status} is undocumented"
            return
        if "$ref" in answer:
            answer = self.components["responses"][answer["$ref"].rpartition("/")[2]]
        content = answer.get("content", {})
        documented = {media_type.partition(";")[0]: each for media_type, each in content.items()}
        if documented and kind not in documented:
            yield f"{status} as {kind or 'nothing'}, documented as {', '.join(documented)}"
        elif kind == "application/json":
            yield from self._shape_faults(documented.get(kind, {}).get("schema", {}), response)

    def _shape_faults(self, schema: dict[str, Any], response: httpx.Response) -> Iterator[str]:
        if response.request.method == "HEAD":  # has no body
            return
        key = json.dumps(schema)
        if key not in self._checks:
            self._checks[key] = Draft202012Validator(schema | {"components": self.components}).validate
        try:
            self._checks[key](json.loads(response.content, parse_constant=_no_number))
        except ValidationError as error:
            yield f"{response.status_code}: {'.'.join(map(str, error.path)) or 'the answer'}: {error.message[:200]}"
        except ValueError as error:
            yield f"{response.status_code}: is no JSON: {error}"


def _no_number(word: str) -> None:
    raise ValueError(f"holds {word}")


class Tally:
    """How many requests each route got, what it answered, and every fault with the request that showed it first.

    news: where to say now and then how far it is. peak: the most megabytes that the server held.
    """

    def __init__(self, news: TextIO | None = None):
        self.answers: dict[str, Counter[str]] = {}
        self.faults: dict[tuple[str, str], str] = {}
        self.news, self.peak = news, 0.0

    @property
    def requests(self) -> int:
        """How many there were."""
        return sum(counter.total() for counter in self.answers.values())

    def add(self, route: str, answer: int | str) -> None:
        """Count a request and its status, or what came in place of an answer."""
        self.answers.setdefault(route, Counter())[str(answer)] += 1
        if self.news and self.requests % 1000 == 0:
            print(f"{self.requests:,} requests, {len(self.faults)} faults", file=self.news)

    def fault(self, route: str, words: str, request: str) -> None:
        """Keep a fault, and the request that showed it where it is the first to."""
        self.faults.setdefault((route, words), request)

    def rows(self) -> Iterator[str]:
        """The table: a row a route, then the faults."""
        yield f"{'route':<42} {'requests':>8}  answers"
        for route, counter in sorted(self.answers.items(), key=lambda row: row[0].split()[::-1]):
            said = "  ".join(f"{answer}×{count:,}" for answer, count in sorted(counter.items()))
            yield f"{route:<42} {counter.total():>8,}  {said}"
        yield f"{'together':<42} {self.requests:>8,}  {len(self.faults)} faults"
        yield f"{'peak of the memory, MB':<42} {self.peak:>8,.0f}"
        for (route, words), request in self.faults.items():
            yield f"  FAULT {route}: {words}\n        {request[:600]}"
