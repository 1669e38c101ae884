"""The load of `tests.fire.load` for a moment, whose assertions are no matter of speed; and that it notices a leak."""

import asyncio
import json

import numpy as np
import pytest

from tests.fire import files
from tests.fire.client import Server, is_cut
from tests.fire.load import Crowd, Measured, Memory, percentile
from tests.fire.process import Served, served


@pytest.fixture(scope="module")
def measured() -> Measured:
    """Some readers, some traces and every hostile client, for a quarter of a minute."""
    found = Measured(15, Crowd(readers=40, traces=3))
    print("\n".join(map(str, found.rows())), *found.hostile_answers().items(), sep="\n")
    return found


@pytest.mark.fire
def test_nobody_is_answered_a_fault(measured):
    assert (measured.faults(), measured.exceptions) == ({}, {})


@pytest.mark.fire
def test_trainings_go_on_and_everybody_is_served(measured):
    assert measured.states == ["running"] * 2, measured.last_words
    assert len(measured.seen["readers"]["first"]) >= 40 and measured.seen["readers"]["refused"] == []
    assert measured.answered("health")["200"] > 0
    assert measured.answered("traces")["200"] > 0 and measured.answered("pages")["200"] > 0


@pytest.mark.fire
def test_memory_is_bounded(measured):
    assert 0 < measured.peak < 1500 and max(measured.memory.server) < 1500


def memory(held: np.ndarray) -> Memory:
    return Memory([*np.arange(len(held)) / 2], [*held], [0.0] * len(held))


def test_a_leak_is_growth_and_dear_computations_are_none():
    chance = np.random.default_rng(0)
    held = 150 + chance.normal(0, 2, 600)
    held[chance.choice(600, 150)] += chance.uniform(0, 640, 150)
    growth, middle = memory(held).growth()
    assert abs(growth) < 0.1 * middle
    growth, _ = memory(held + np.linspace(0, 100, 600)).growth()
    assert growth == pytest.approx(60, abs=15)
    assert percentile([], 99) == float("inf") and percentile([0.1, 0.2], 100) == 200


@pytest.fixture
def server() -> Served:
    with served() as server:
        yield server


def test_the_memory_of_a_server_is_seen_from_outside(server):
    assert 20 < server.memory() <= server.peak() < 1000 and server.seconds() > 0 and server.files() > 5
    server.forget_peak()
    assert server.peak() < server.memory() + 20
    assert "Uvicorn running" in server.said() and server.exceptions() == {}
    with server.log.open("a") as log:
        log.write("Traceback (most recent call last):\n  File x\n    y\nKeyError: 'x'\nINFO: on\n" * 2)
    assert server.exceptions() == {"KeyError: 'x'": 2}


def test_the_small_client_tells_what_came_and_sees_a_connection_that_was_cut(server):
    async def tried() -> None:
        there = Server(server.address)
        answer = await there.ask("GET", "/healthz")
        assert answer.status == 200 and b'"ok"' in answer.body and answer.seconds < 30
        assert (await there.post("/api/trace", {"model": "none"})).status == 422
        async with there.connection() as (reader, writer):
            assert not is_cut(writer)
            writer.write(there.head("GET", "/healthz"))  # which asks for the connection to be closed
            await reader.read()
            for _ in range(100):
                if is_cut(writer):
                    return
                await asyncio.sleep(0.05)
        raise AssertionError("the end of the connection is not seen")

    asyncio.run(tried())


def test_a_server_that_is_gone_is_no_answer():
    async def tried() -> None:
        answer = await Server("http://127.0.0.1:9").ask("GET", "/")
        assert (answer.status, answer.body) == (0, b"")

    asyncio.run(tried())


def test_hostile_files_are_small_and_describe_much():
    for made in (files.wide(), files.talkative(), files.alone()):
        assert len(made) < 400_000
    assert all(len(made) < 4_100_000 for made in (*files.slow_headers(), *files.slow_metadata(), *files.slow_lessons()))
    length = int.from_bytes(files.alone()[:8], "little")
    assert json.loads(files.alone()[8 : 8 + length])["decoder.weight"]["shape"] == [files.LARGEST, 1]
    assert 900_000 < len(files.network_of(1_000_000)) < 1_100_000
