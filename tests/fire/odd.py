"""Requests whose bodies are no JSON or whose heads are odd."""

import json
from urllib.parse import quote

from hypothesis import strategies as st

from tests.fire.made_up import JSON, MODELS, READING, VALUES, WORDS, Request

ROUTES = (*READING, "generate", "models", "runs", "events", "cells", "runs/x", "models/x", "models/lstm/weights")
NOT_JSON = [
    b'{"model":"shakespeare-lstm","prompt":"To","text":"To","temperature":NaN}',
    b'{"model":"shakespeare-lstm","prompt":"To","temperature":1e999}',
    b'{"model":"shakespeare-lstm","text":"\\ud800"}',
    b'{"model":"\\udfff","text":"To"}',
    b'{"model":"shakespeare-lstm","text":"To","text":"be"}',
    b'{"model":"shakespeare-lstm","tokens":[' + b"9" * 5000 + b"]}",
    b'{"text":"' + b"\xff\xfe" * 9 + b'"}',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"",
    b"null",
    b"\xef\xbb\xbf{}",
]
HEADERS = {
    "content-type": [
        JSON,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
        "a/b;c=\"'",
        "x",
    ],
    "content-encoding": ["gzip", "br", "identity", "x, y"],
    "authorization": ["Bearer", "Bearer x", "Basic YTpi", f"Bearer {'A' * 43}", "\t", "é"],
    "idempotency-key": ["", "1", "x" * 201, "é\x80"],
    "last-event-id": ["abc", "-1", "9" * 30, "999999", "\u00bd"],
    "range": ["bytes=0-", "bytes=9-1", "bytes=0-1,3-4", f"bytes={','.join(['0-1'] * 300)}", "bytes=-5", "x"],
    "origin": ["null", "https://evil.example", "http://127.0.0.1"],
    "sec-fetch-site": ["cross-site", "same-origin", "none", "?"],
    "accept": ["*/*", "text/html", "x"],
    "accept-encoding": ["gzip", "br", "*;q=0"],
    "access-control-request-method": ["GET", "POST", "TRACE"],
    "access-control-request-headers": ["content-type", "x" * 300],
    "x-forwarded-for": ["1.2.3.4", "::1", "x"],
    "if-none-match": ["*", '"x"'],
    "if-modified-since": ["Thu, 01 Jan 1970 00:00:00 GMT", "yesterday"],
    "expect": ["100-continue", "x"],
    "upgrade": ["websocket", "h2c"],
}
METHODS = [
    "GET",
    "GET",
    "POST",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "HEAD",
    "TRACE",
    "PROPFIND",
    "FOO",
    "X" * 300,
]


@st.composite
def headers(draw: st.DrawFn) -> tuple[tuple[str, str], ...]:
    """A few header lines."""
    names = draw(st.lists(st.sampled_from(sorted(HEADERS)), max_size=4, unique=True))
    return tuple((name, draw(st.sampled_from(HEADERS[name]))) for name in names)


@st.composite
def bodies(draw: st.DrawFn) -> Request:
    """Something as a body of a route that takes JSON."""
    fields = {
        "model": st.sampled_from(MODELS),
        **dict.fromkeys(("text", "prompt", "tokens", "targets", "length"), VALUES),
    }
    content = draw(
        st.sampled_from(NOT_JSON)
        | st.fixed_dictionaries({}, optional=fields).map(lambda value: json.dumps(value).encode())
        | VALUES.map(lambda value: json.dumps(value).encode())
        | st.binary(max_size=60)
    )
    return Request("POST", f"/api/{draw(st.sampled_from(ROUTES))}", content, (("content-type", JSON),))


@st.composite
def heads(draw: st.DrawFn, runs: tuple[str, ...] = ()) -> Request:
    """Any method at any route with any headers."""
    route = draw(st.sampled_from(ROUTES) | WORDS.map(lambda word: f"runs/{quote(word)}/pause"))
    query = draw(st.sampled_from(["", f"?runs={','.join(runs)}", "?runs=x", "?after=1", "?model=gru", "?dry_run=1"]))
    method = draw(st.sampled_from(METHODS))
    content = draw(st.sampled_from([b"", b"{}", b"some text, some text"])) if method not in ("GET", "HEAD") else b""
    return Request(method, f"/api/{route}{query}", content, draw(headers()))
