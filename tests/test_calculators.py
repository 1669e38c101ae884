"""Processes that compute: the same bits as here, in turns, left when nobody waits, replaced when they are lost."""

import asyncio
import gc
import logging
import math
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from operator import attrgetter

import httpx
import numpy as np
import pytest
from safetensors.numpy import load

from gatescope.app.calculators.messages import Failed
from gatescope.app.calculators.pool import KNOWN, Calculator, Calculators, Job, Lost, number_of_network
from gatescope.app.calculators.tasks import as_file, as_json, events, whole
from gatescope.app.http.places import DEAR
from gatescope.app.http.problems import Problem
from gatescope.models.cells import cells
from gatescope.models.inspection.influence import influence
from gatescope.models.inspection.price import Price
from gatescope.models.inspection.trace import stream, trace
from gatescope.models.network.network import Network, untrained
from gatescope.models.pretrained import load_pretrained
from gatescope.models.refused import Refused
from tests.fire.process import Process, served

QUICK, LONG = Price(2**20, 1), Price(2**20, DEAR + 1)
TOKENS, LETTERS = list(range(40)), list("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH")
SECRET = "the text that somebody typed"


async def whole_of(job: Job, until: float = math.inf) -> bytes:
    await job.begin(until)
    return await rest_of(job)


async def rest_of(job: Job) -> bytes:
    return b"".join([piece async for piece in job.pieces()])


async def done(pool: Calculators, task: Callable, network: Network, price: Price = QUICK, who: str = "") -> bytes:
    with pool.job(task, network, price, who) as job:
        return await whole_of(job)


def traced(network: Network, tokens: list[int] = TOKENS, **options: object) -> Callable:
    return partial(whole, trace, as_file, (network, tokens), options)


def told(network: Network, steps: int) -> Callable:
    return partial(events, stream, "float16", (network, [0] * steps), {})


def mapped(network: Network, steps: int) -> Callable:
    return partial(whole, influence, as_json, (network, [0] * steps), {})


def process_of(calculator: Calculator) -> Process:
    return Process(calculator.process.pid)


def test_a_trace_is_the_same_to_the_last_bit():
    shaped = [cell.with_options(*[(name, of[-1])]) for cell in cells().values() for name, of in cell.options.items()]
    networks = [load_pretrained("shakespeare-lstm"), load_pretrained("shakespeare-lstm-2x256")]
    networks += [untrained(cell, 1, 6, LETTERS) for cell in shaped]
    assert len(networks) > 4

    async def compared() -> None:
        async with Calculators(1, 2**28) as pool:
            for network in networks:
                for precision in ("float32", "float64"):
                    found = load(await done(pool, traced(network, precision=precision), network))
                    expected = trace(network, TOKENS, precision=precision).tensors
                    assert found.keys() == expected.keys()
                    assert all(np.array_equal(found[name], expected[name]) for name in found)

    asyncio.run(compared())


def test_streams_take_turns_at_one_calculator_and_each_is_whole():
    network = load_pretrained("shakespeare-lstm")

    async def crowd() -> list[bytes]:
        async with Calculators(1, 2**28) as pool:
            return await asyncio.gather(*[done(pool, told(network, 600), network, who=str(n)) for n in range(5)])

    found = asyncio.run(crowd())
    ends = [each.rpartition(b"event: end")[0] for each in found]
    assert len(ends[0]) > 2**21 and all(each == ends[0] for each in ends)


def test_what_is_dear_delays_nothing_quick():
    network = load_pretrained("shakespeare-lstm")

    async def both() -> tuple[bool, bytes]:
        async with Calculators(1, 2**30) as pool:
            dear = asyncio.create_task(done(pool, mapped(network, 900), network, LONG))
            for _ in range(10):
                await done(pool, traced(network), network)
            was_quicker = not dear.done()
            return was_quicker, await dear

    was_quicker, found = asyncio.run(both())
    assert was_quicker and len(found) > 900 * 900


def test_who_leaves_ends_what_is_computed_for_them_and_nothing_else():
    network = load_pretrained("shakespeare-lstm-2x256")

    async def left() -> None:
        async with Calculators(1, 2**31) as pool:
            calculator = pool._dear[0]
            with pool.job(told(network, 3000), network, LONG, "other") as other:
                await other.begin(math.inf)
                with pool.job(mapped(network, 1000), network, LONG, "leaves") as job:
                    waiting = asyncio.create_task(job.begin(math.inf))
                    await asyncio.sleep(0.5)
                    assert not waiting.done() and not calculator.turn.free
                    waiting.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await waiting
                async with asyncio.timeout(20):
                    found = await rest_of(other)
                assert found.startswith(b"event: begin") and found.rpartition(b"event: ")[2].startswith(b"end\n")
            process, before = process_of(calculator), process_of(calculator).seconds()
            await asyncio.sleep(0.5)
            assert process.seconds() - before < 0.2 and calculator.turn.free and not calculator.busy

    asyncio.run(left())


def test_a_job_that_is_left_while_another_is_computed_holds_nothing_meanwhile():
    network = load_pretrained("shakespeare-lstm-2x256")

    async def left() -> tuple[float, float]:
        async with Calculators(1, 2**31) as pool:
            large = Price(300 << 20, LONG.work)
            with pool.job(traced(network, [0] * 10_000, precision="float32"), network, large, "leaves") as job:
                await job.begin(math.inf)
                held = process_of(pool._dear[0]).memory()
                computing = asyncio.create_task(done(pool, mapped(network, 700), network, LONG))
                await asyncio.sleep(0.3)
            await asyncio.sleep(0.7)
            assert not computing.done()
            after = process_of(pool._dear[0]).memory()
            await computing
            return held, after

    held, after = asyncio.run(left())
    assert after < held - 100


def test_a_calculator_that_is_lost_is_replaced():
    network = load_pretrained("shakespeare-lstm")

    async def lost() -> None:
        async with Calculators(1, 2**28) as pool:
            with pool.job(told(network, 3000), network, QUICK, "") as streaming:
                await streaming.begin(math.inf)
                os.kill(process_of(pool._quick[0]).number, signal.SIGKILL)
                with pytest.raises(Lost) as problem:
                    await rest_of(streaming)
                assert problem.value.status == 503
            assert await done(pool, traced(network), network)
            with pool.job(told(network, 3000), network, QUICK, "") as streaming:
                await streaming.begin(math.inf)
                pool._quick[0].end()
                assert await done(pool, traced(network), network)
                with pytest.raises(Lost):
                    await rest_of(streaming)
            assert await done(pool, traced(network), network)  # which the loss before did not cost

    asyncio.run(lost())


def test_what_is_refused_comes_with_its_field():
    network = load_pretrained("shakespeare-lstm")

    async def refused() -> Refused:
        async with Calculators(1, 2**28) as pool:
            with pytest.raises(Refused) as error:
                await done(pool, traced(network, loss="none"), network)
            return error.value

    assert asyncio.run(refused()).field == "loss"


@pytest.mark.parametrize(
    "task",
    [
        partial(whole, trace, attrgetter(SECRET), (load_pretrained("shakespeare-lstm"), TOKENS), {}),
        partial(events, partial(map, attrgetter(SECRET)), "float16", ([1],), {}),
    ],
)
def test_a_fault_is_told_by_its_place_and_not_by_what_was_said(task, caplog):
    network = load_pretrained("shakespeare-lstm")

    async def failed() -> None:
        async with Calculators(1, 2**28) as pool:
            with pytest.raises(Failed):
                await done(pool, task, network)
            assert await done(pool, traced(network), network)

    with caplog.at_level(logging.ERROR):
        asyncio.run(failed())
    assert "AttributeError" in caplog.text and "calculator.py:" in caplog.text and SECRET not in caplog.text


def test_a_calculator_knows_few_networks_and_none_that_is_gone():
    async def told_many() -> None:
        async with Calculators(1, 2**28) as pool:
            calculator = pool._quick[0]
            for _ in range(8):
                network = untrained(cells()["elman"], 1, 1000, LETTERS)  # four megabytes
                await done(pool, traced(network, [0]), network)
            assert len(calculator.known) <= 2, "they are gone, but for the last"
            many = [untrained(cells()["elman"], 1, 1000, LETTERS) for _ in range(KNOWN // 4_000_000 + 3)]
            for network in many:
                await done(pool, traced(network, [0]), network)
            assert sum(calculator.known.values()) <= KNOWN and number_of_network(many[-1]) in calculator.known
            assert await done(pool, traced(many[0], [0]), many[0])

    asyncio.run(told_many())
    gc.collect()


def test_who_waits_too_long_for_a_turn_gets_503():
    network = load_pretrained("shakespeare-lstm")

    async def refused() -> None:
        async with Calculators(1, 2**30) as pool:
            dear = asyncio.create_task(done(pool, mapped(network, 600), network, LONG))
            await asyncio.sleep(0.1)
            with pytest.raises(Problem) as problem, pool.job(traced(network), network, LONG, "other") as job:
                await job.begin(asyncio.get_running_loop().time() + 0.05)
            assert problem.value.status == 503
            await dear

    asyncio.run(refused())


def test_calculators_go_with_their_server_however_it_goes():
    with served() as server:
        asked = {"model": "shakespeare-lstm", "text": "To be"}
        assert httpx.post(f"{server.address}/api/trace.json", json=asked).status_code == 200
        calculators = server.calculators()
        assert calculators
        os.kill(server.number, signal.SIGKILL)
        end = time.monotonic() + 5
        while any(each.place.exists() and each.command() for each in calculators):
            assert time.monotonic() < end
            time.sleep(0.05)
