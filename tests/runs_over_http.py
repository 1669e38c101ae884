"""Runs as somebody has them over HTTP."""

import json
import time

import httpx

from tests.runs import TEXT

QUICK = {"cell": "gru", "hidden": 24, "steps": 120, "sequence_length": 32, "batch_size": 8, "seed": 7}
ENDLESS = QUICK | {"hidden": 64, "steps": 200_000}


def posted(here: httpx.Client, text: str | bytes = TEXT, headers: dict | None = None, **params) -> httpx.Response:
    content = text.encode() if isinstance(text, str) else text
    return here.post("/api/runs", content=content, params=params, headers=headers)


def started(here: httpx.Client, text: str | bytes = TEXT, headers: dict | None = None, **params) -> dict:
    response = posted(here, text, headers, **params)
    assert response.status_code == 202, response.text
    made = response.json()
    assert response.headers["location"] == made["links"]["self"] == f"/api/runs/{made['id']}"
    assert response.headers["cache-control"] == "no-store"
    return made


def owned(made: dict) -> dict[str, str]:
    return {"Authorization": f"Bearer {made['owner_token']}"}


def told(here: httpx.Client, made: dict) -> list[tuple[str, dict]]:
    """The events of a run until its end."""
    blocks = here.get(made["links"]["events"]).text.split("\n\n")
    fields = [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks if "data: " in block]
    return [(each["event"], json.loads(each["data"])) for each in fields]


def in_state(here: httpx.Client, made: dict, *states: str) -> dict:
    deadline = time.monotonic() + 40
    while (run := here.get(made["links"]["self"]).json())["state"] not in states:
        assert time.monotonic() < deadline, run
        time.sleep(0.05)
    return run
