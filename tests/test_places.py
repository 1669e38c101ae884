"""Who computes when, and how much memory is held: turns among addresses, limits, nothing lost by those who leave."""

import asyncio
import itertools
import math
import time

import pytest
from starlette.requests import Request

from gatescope.app.http.places import Places, Share
from gatescope.app.http.problems import Problem


async def waits(share: Share, amount: int, who: str, order: list, seconds: float = 0.0) -> None:
    async with share.taken(amount, who):
        order.append(who)
        await asyncio.sleep(seconds)


def test_addresses_take_turns():
    async def crowd() -> list[str]:
        share, order = Share(1), []
        async with asyncio.TaskGroup() as group:
            for who in ["crowd"] * 6 + ["one", "two"]:
                group.create_task(waits(share, 1, who, order))
        assert share.free == 1
        return order

    assert asyncio.run(crowd()) == ["crowd", "crowd", "one", "two", *["crowd"] * 4]


def test_one_address_has_its_part_and_the_rest_is_for_others():
    async def shared() -> list[str]:
        share, order = Share(10, each=5), []
        async with asyncio.TaskGroup() as group:
            for who, amount in [("crowd", 5), ("crowd", 1), ("other", 5)]:
                group.create_task(waits(share, amount, who, order, 0.01))
        assert share.free == 10
        return order

    assert asyncio.run(shared()) == ["crowd", "other", "crowd"]


@pytest.mark.parametrize("amount", [7, 10, 1000])
def test_more_than_a_part_is_had_at_once_where_it_is_asked_for_at_once(amount):
    async def alone() -> None:
        share = Share(10, each=5)
        async with asyncio.timeout(5):
            await waits(share, amount, "somebody", [])
        assert share.free == 10

    asyncio.run(alone())


def test_who_leaves_while_waiting_or_just_when_it_is_granted_takes_nothing():
    async def left() -> None:
        share = Share(1)
        for moment in range(6):
            first = asyncio.create_task(waits(share, 1, "first", [], 0.01))
            await asyncio.sleep(0)
            second = asyncio.create_task(waits(share, 1, "second", [], 0.01))
            for _ in range(moment):
                await asyncio.sleep(0.004)
            second.cancel()
            await asyncio.gather(first, second, return_exceptions=True)
            assert share.free == 1
            assert not share._waiting and not share._held

    asyncio.run(left())


def test_a_large_wish_is_not_starved_by_small_ones():
    async def mixed() -> list[str]:
        share, order = Share(4), []
        async with asyncio.TaskGroup() as group:
            group.create_task(waits(share, 3, "first", order, 0.01))
            await asyncio.sleep(0)
            group.create_task(waits(share, 4, "large", order, 0.01))
            await asyncio.sleep(0)
            for number in range(5):
                group.create_task(waits(share, 1, f"small {number}", order))
        return order

    assert asyncio.run(mixed())[:2] == ["first", "large"]


async def looks(places: Places, who: str, began: list, seconds: float = 0.05) -> None:
    def look() -> None:
        began.append((who, time.monotonic()))
        time.sleep(seconds)

    await places.looked_at(1, who, look)


def test_bodies_are_looked_at_one_after_the_other_with_rests_between():
    async def crowd() -> list[tuple[str, float]]:
        places, began = Places(1000, 10), []
        await asyncio.gather(*[looks(places, who, began) for who in ["crowd"] * 4 + ["other"]])
        return began

    began = asyncio.run(crowd())
    assert "other" in [who for who, _ in began[:3]]
    assert all(later - before > 0.14 for (_, before), (_, later) in itertools.pairwise(began))


def test_a_page_never_waits_behind_a_body():
    async def busy() -> float:
        places = Places(1000, 10)
        look = asyncio.create_task(looks(places, "somebody", [], 1.0))
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await places.painted(lambda: None, "reader", math.inf)
        waited = time.monotonic() - began
        await look
        return waited

    assert asyncio.run(busy()) < 0.5


def test_a_short_body_does_not_wait_behind_long_ones_of_the_same_address():
    def with_length(length: int) -> Request:
        return Request({"type": "http", "headers": [(b"content-length", b"%d" % length)], "client": ("crowd", 1)})

    async def crowd() -> int:
        places = Places(9_000_000, 0.05)
        async with places.body(with_length(3_000_000), 10**7):
            with pytest.raises(Problem):
                async with places.body(with_length(100_000), 10**7):
                    pass
            async with places.body(with_length(5000), 10**7):
                return 5000

    assert asyncio.run(crowd()) == 5000


def test_who_waits_too_long_is_told_when_to_come_again():
    async def refused() -> Problem:
        places = Places(1000, 0.05)
        async with places.room(1000, "somebody"):
            with pytest.raises(Problem) as problem:
                async with places.room(1000, "other"):
                    pass
        assert places.little.free == places.little.capacity and places.memory.free == places.memory.capacity
        return problem.value

    problem = asyncio.run(refused())
    assert problem.status == 503 and 1 <= int(problem.headers["Retry-After"]) <= 10


def test_who_leaves_in_the_moment_in_which_it_would_be_its_turn_takes_nothing_along():
    async def left() -> list[str]:
        share, order = Share(1), []
        async with share.taken(1, "first"):
            leaving = [asyncio.create_task(waits(share, 1, "leaving", order)) for _ in range(3)]
            staying = asyncio.create_task(waits(share, 1, "staying", order))
            await asyncio.sleep(0)
            for each in leaving:
                each.cancel()  # which they notice in the loop's next round: it is their turn before
        await staying
        assert await asyncio.gather(*leaving, return_exceptions=True) and share.free == 1
        return order

    assert asyncio.run(left()) == ["staying"]
