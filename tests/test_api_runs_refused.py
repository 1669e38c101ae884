"""Runs over HTTP: what is said of a text before it starts, what is refused, and the limits."""

from collections.abc import Iterator

import httpx
import pytest

from gatescope.app.server import create_app
from gatescope.app.settings import Settings
from tests.runs import TEXT
from tests.runs_over_http import ENDLESS, QUICK, in_state, owned, posted, started, told
from tests.service import errors_of, serve

LIMITS = {"run_text_limit": 300_000, "runs_per_owner": 3, "queue_limit": 4, "vocabulary_limit": 500, "address_share": 1}


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Iterator[httpx.Client]:
    settings = Settings(data=tmp_path_factory.mktemp("runs"), workers=1, **LIMITS)
    with serve(settings) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


def test_before_it_starts_it_is_said_what_a_network_would_see(here):
    text = "Zeile eins\r\nZeile zwei: Größe\r\n" * 30
    said = posted(here, text.encode("utf-16"), dry_run=True, steps=50).json()
    assert said["text"]["encoding"] == "UTF-16-LE" and said["text"]["lines"] == 60
    assert said["text"]["vocabulary"] == sorted(set(text) - {"\r"}) and len(said["text"]["notes"]) == 2
    assert said["text"]["start"].startswith("Zeile eins↵Zeile")
    assert said["recipe"]["steps"] == 50 and said["recipe"]["cell"] == "lstm"
    assert 0 < said["cost"]["minutes"] < 1 and said["cost"]["characters"] > 0 and "id" not in said
    assert here.get("/api/runs").text.count("Zeile") == 0


def test_a_page_of_another_site_starts_nothing(here):
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}):
        assert "origin" in errors_of(posted(here, headers=headers, dry_run=True), 403)
    own = {"Origin": str(here.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert posted(here, headers=own, dry_run=True).status_code == 200
    assert posted(here, headers={"Origin": own["Origin"]}, dry_run=True).status_code == 200


@pytest.mark.parametrize(
    ("text", "params", "field", "status"),
    [
        (b"", {}, "body", 422),
        (b"a", {}, "body", 422),
        (b"a" * 5000, {}, "body", 422),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), {}, "body", 415),
        (bytes(range(256)) * 10, {}, "body", 415),
        (b"ab" * 150_001, {}, "body", 413),
        ("".join(map(chr, range(0x4E00, 0x4E00 + 501))).encode() * 3, {}, "body", 422),
        ("a\ud800b".encode("utf-8", "surrogatepass"), {}, "body", 422),
        (TEXT.encode(), {"hidden": 10**6}, "hidden", 422),
        (TEXT.encode(), {"steps": 10**12}, "steps", 422),
        (TEXT.encode(), {"hidden": 2048, "layers": 3, "batch_size": 4096, "sequence_length": 1000}, "hidden", 422),
        (TEXT.encode(), {"layers": 10**4}, "layers", 422),
        (TEXT.encode(), {"batch_size": 0}, "batch_size", 422),
        (TEXT.encode(), {"learning_rate": "nan"}, "learning_rate", 422),
        (TEXT.encode(), {"learning_rate": "1e999"}, "learning_rate", 422),
        (TEXT.encode(), {"clip": -1}, "clip", 422),
        (TEXT.encode(), {"steps": "many"}, "steps", 422),
        (TEXT.encode(), {"steps": "9" * 5000}, "steps", 422),
        (TEXT.encode(), {"cell": "none"}, "cell", 422),
        (TEXT.encode(), {"title": "x" * 201}, "title", 422),
        (TEXT.encode(), {"speed": 9}, "speed", 422),
    ],
)
def test_what_is_refused(here, text, params, field, status):
    before = here.get("/api/runs").json()
    assert field in errors_of(posted(here, text, **params), status)
    assert here.get("/api/runs").json() == before


def test_compressed_and_endless_bodies_are_refused(here):
    assert "content-encoding" in errors_of(posted(here, headers={"Content-Encoding": "gzip"}), 415)
    response = here.post("/api/runs", content=(b"endless " * 1000 for _ in range(100)))
    assert "300,000 bytes" in errors_of(response, 413)["body"]
    wrong = posted(here, headers={"Idempotency-Key": "k" * 201})
    assert "idempotency-key" in errors_of(wrong)


@pytest.mark.slow
def test_lines_of_any_length_and_any_character_are_learned(here):
    odd = ("x" * 60_000 + "y\x00\x07\x1b\u2028\u202e\ufeff<script>" * 20) * 2
    made = started(here, odd, **QUICK | {"steps": 3})
    log = told(here, made)
    assert log[-2][1]["state"] == "finished"
    assert here.get(made["links"]["model"]).json()["vocabulary"] == sorted(set(odd))
    assert here.get(made["links"]["events"]).text.count("event: ") == len(log)


def test_the_limits_of_an_owner_and_of_the_queue(here):
    made = [started(here, **ENDLESS)]
    in_state(here, made[0], "running")
    made += [started(here, headers=owned(made[0]), **ENDLESS) for _ in range(2)]
    refused = posted(here, headers=owned(made[0]), **ENDLESS)
    assert "at most 3" in errors_of(refused, 429)["runs"] and int(refused.headers["retry-after"]) > 0
    made += [started(here, **ENDLESS) for _ in range(2)]
    assert [here.get(each["links"]["self"]).json()["position"] for each in made] == [None, 3, 4, 1, 2]
    full = posted(here, **ENDLESS)
    assert "4 are waiting" in errors_of(full, 503)["queue"] and int(full.headers["retry-after"]) > 0
    assert here.get("/readyz").json() == {"status": "ready"}
    metrics = here.get("/metrics").text
    assert 'gatescope_runs{state="queued"} 4.0' in metrics and "process_resident_memory_bytes" in metrics
    for each in reversed(made):
        assert here.delete(each["links"]["self"], headers=owned(each)).status_code == 204


def test_the_limit_of_an_address_in_a_minute(tmp_path):
    settings = Settings(data=tmp_path, runs_per_minute=2, workers=1)
    with serve(settings) as address, httpx.Client(base_url=address, timeout=60) as client:
        made = [started(client, **ENDLESS) for _ in range(2)]
        refused = posted(client, **ENDLESS)
        assert "2 a minute" in errors_of(refused, 429)["runs"] and 50 <= int(refused.headers["retry-after"]) <= 60
        assert posted(client, dry_run=True).status_code == client.get("/api/runs").status_code == 200
        for each in made:
            client.delete(each["links"]["self"], headers=owned(each))


def test_a_full_disk_takes_no_run_and_goes_on_reading(tmp_path):
    app = create_app(Settings(data=tmp_path, workers=1))
    with serve(app.state.settings, app) as address, httpx.Client(base_url=address, timeout=60) as client:
        with app.state.store.database.writing() as connection:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count={pages + 2}")
        refused = posted(client, TEXT * 20, **ENDLESS)
        assert refused.status_code == 507 and "the disk takes no more" in refused.json()["detail"]
        assert refused.headers["retry-after"] and client.get("/api/runs").json()["runs"] == []
        with app.state.store.database.writing() as connection:
            connection.execute(f"PRAGMA max_page_count={2**30}")
        made = started(client, TEXT * 20, **ENDLESS)
        client.delete(made["links"]["self"], headers=owned(made))
