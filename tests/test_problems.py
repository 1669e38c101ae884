from errno import EIO, EMFILE, ENFILE

import httpx
import pytest
from fastapi import FastAPI

from gatescope.app.http.faults import Requests
from gatescope.app.http.headers import HouseHeaders
from gatescope.app.http.problems import add_handlers, unknown_characters, visible
from gatescope.models.refused import Refused, printable
from tests.service import serve


@pytest.mark.parametrize(
    ("character", "shown"),
    [("é", "é (U+00E9)"), ("\x00", "U+0000"), ("\u202e", "U+202E"), ("\u0301", "U+0301"), ("\u3000", "U+3000")],
)
def test_a_character_is_shown_only_where_that_shows_anything(character, shown):
    assert visible(character) == shown


def test_many_unknown_characters_are_counted():
    problem = unknown_characters("text", map(chr, range(0x4E00, 0x4E00 + 50)), "small")
    ((field, detail),) = problem.errors
    assert field == "text" and "U+4E00" in detail and "40 more" in detail and "/api/models/small" in detail


def test_a_field_name_is_made_fit_for_a_response():
    assert printable("layer") == "layer"
    assert printable("a\ud800\n") == r"a\ud800\n"
    assert len(printable("x" * 500)) == 61


SPENT = [OSError(EMFILE, "a b"), OSError(ENFILE, "a b"), MemoryError("a b"), RuntimeError("can't start new thread")]
FAULTS = [ValueError("text: a b"), OSError(EIO, "a b"), RuntimeError("a b"), ConnectionResetError("a b")]


@pytest.mark.parametrize(
    ("error", "status"),
    [(Refused("text", "must be short"), 422), *((error, 503) for error in SPENT), *((error, 500) for error in FAULTS)],
)
def test_only_what_the_networks_refuse_is_the_requests_fault(settings, error, status):
    app = FastAPI()
    add_handlers(app)
    app.add_middleware(Requests)
    app.add_middleware(HouseHeaders, frame_ancestors="'none'")

    @app.get("/")
    def fail() -> None:
        raise error

    with serve(settings, app) as address:
        response = httpx.get(address)
    assert response.status_code == status and "a b" not in response.text
    assert ("retry-after" in response.headers) is (status == 503)
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
    assert response.json()["errors"] == ([{"field": "text", "detail": "must be short"}] if status == 422 else [])
