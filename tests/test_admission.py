"""Who may start a run: a class behind one address, one address against all others, the space there is, and expiry."""

import asyncio
import os
import time

import httpx
import pytest

from gatescope.app.http.owners import address_hash
from gatescope.app.http.problems import Problem
from gatescope.app.runs.admission import Admission
from gatescope.app.runs.checkpoints import Checkpoints
from gatescope.app.runs.run import Waiting, in_turn
from gatescope.app.runs.store import Store
from gatescope.app.runs.training import GAVE_WAY, Limits
from gatescope.app.settings import Settings
from gatescope.app.workers.inline import InlineBackend
from tests.runs import TEXT, Trainings, recipe, trainings
from tests.runs_over_http import ENDLESS, owned, posted, started
from tests.service import a_server, serve

HALL = "192.0.2.1"


@pytest.fixture
def admitting(tmp_path):
    """Makes an admission with settings of its own, over one store."""
    store = Store(tmp_path)
    store.open()
    yield lambda **chosen: Admission(store, Checkpoints(tmp_path, store), Settings(data=tmp_path, **chosen))
    store.close()


def asked(admission: Admission, address: str = HALL, text: bytes = b"text", token: str | None = None) -> str:
    return admission.create("A book", "{}", text, token, None, address)[0].id


def refusal(admission: Admission, **chosen) -> tuple[int, str]:
    with pytest.raises(Problem) as refused:
        asked(admission, **chosen)
    assert refused.value.headers["Retry-After"]
    return refused.value.status, str(refused.value)


@pytest.mark.slow
def test_five_hundred_students_behind_one_address_are_taken(admitting):
    admission = admitting()
    for _ in range(500):
        asked(admission)
    status, sentence = refusal(admission)
    assert status == 429 and "at most 500 from one address may wait or pause" in sentence
    other = asked(admission, "198.51.100.7")
    assert admission.store.position(other) == 2  # after the first of the five hundred


def test_the_queue_of_one_address_does_not_fill_it_for_others(admitting):
    admission = admitting(queue_limit=4)
    assert [asked(admission) for _ in range(2)]
    assert refusal(admission)[0] == 429
    assert [asked(admission, f"198.51.100.{n}") for n in range(2)]
    assert refusal(admission, address="203.0.113.1")[0] == 503


def test_a_network_of_ipv6_is_one_address(admitting):
    secret = b"secret"
    one = {address_hash(secret, f"2001:db8:1:2::{n:x}") for n in range(1, 100)}
    assert len(one) == 1 and address_hash(secret, "2001:db8:1:3::1") not in one
    assert address_hash(secret, "::ffff:192.0.2.1") == address_hash(secret, "192.0.2.1")
    assert address_hash(b"other", "192.0.2.1") != address_hash(secret, "192.0.2.1") != address_hash(secret, "192.0.2.2")
    assert (
        "192.0.2.1" not in address_hash(secret, "192.0.2.1") and address_hash(secret, "") and address_hash(secret, "a")
    )


def test_addresses_take_turns_and_the_owners_behind_one():
    crowd = [Waiting(f"a{n}", f"owner {n % 2}", "hall") for n in range(4)]
    alone = [Waiting("b0", "b", "home"), Waiting("b1", "b", "home")]
    assert [run.id for run in in_turn(crowd + alone, [])] == ["a0", "b0", "a1", "b1", "a2", "a3"]
    assert [run.id for run in in_turn(crowd + alone, [Waiting("x", "owner 0", "hall")])][:3] == ["b0", "a1", "b1"]
    same = [Waiting(f"c{n}", "first" if n < 3 else "second", "hall") for n in range(4)]
    assert [run.id for run in in_turn(same, [])] == ["c0", "c3", "c1", "c2"]
    assert [run.id for run in in_turn(crowd + alone, [], crowd[:1])][:2] == ["b0", "a1"]


def test_texts_have_a_quota_of_all_and_of_one_address(admitting):
    admission = admitting(run_space=10_000)
    asked(admission, text=b"t" * 4000)
    status, sentence = refusal(admission, text=b"t" * 4000)
    assert status == 507 and "your address" in sentence
    asked(admission, "198.51.100.1", b"t" * 4000)
    status, sentence = refusal(admission, address="203.0.113.1", text=b"t" * 4000)
    assert status == 507 and "10,000 bytes" in sentence and len(admission.store.runs()) == 2


def test_where_runs_expire_the_oldest_that_is_over_makes_room(admitting):
    keeping, expiring = admitting(run_space=6000), admitting(run_space=6000, keep_days=30)
    store, made = keeping.store, []
    for n in range(3):
        made.append(asked(keeping, f"198.51.100.{n}", b"t" * 1500))
        store.move(made[-1], ["queued"], "running")
    for id in (made[1], made[0]):
        store.append(id, "progress", {"filled": "x" * 1500}, 1)
        store.move(id, ["running"], "finished")
    assert refusal(keeping, address="203.0.113.1", text=b"t" * 1700)[0] == 507
    asked(expiring, "203.0.113.1", b"t" * 1700)
    assert [run.id for run in store.runs()][:2] == [made[0], made[2]]  # the first that ended has gone, no more
    assert refusal(expiring, address="203.0.113.9", text=b"t" * 3000)[0] == 507 and store.get(made[2])


@pytest.mark.slow
def test_what_is_over_expires_and_who_watches_sees_its_end(tmp_path):
    settings = Settings(data=tmp_path, backend="inline", keep_days=1)
    store = Store(tmp_path)
    store.open()
    made = [store.create("somebody", "", recipe(), TEXT.encode()).id for _ in range(3)]
    for id in made[:2]:
        store.move(id, ["queued"], "stopped")
    with store.database.writing() as connection:
        connection.execute("UPDATE run SET ended = ? WHERE id = ?", (time.time() - 90_000, made[0]))
        connection.execute("UPDATE run SET ended = ? WHERE id = ?", (time.time() - 80_000, made[1]))
    store.close()
    with serve(settings) as address, httpx.Client(base_url=address, timeout=60) as client:
        deadline = time.monotonic() + 30
        while client.get(f"/api/runs/{made[0]}").status_code != 404:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert client.get(f"/api/runs/{made[1]}").json()["state"] == "stopped"
        assert client.get(f"/api/runs/{made[2]}").status_code == 200
    assert made[0].encode() not in b"".join(path.read_bytes() for path in tmp_path.glob("runs.sqlite*"))


@pytest.mark.slow
def test_a_long_run_makes_room_for_another_address_and_goes_on_after_it(tmp_path):
    async def played():
        runs = Trainings(tmp_path, InlineBackend())
        runs.supervisor.limits = Limits(3600, stretch=0.3)
        runs.store.open()
        async with runs.supervisor:
            long = runs.create("long", steps=300, checkpoint_every=5, patience=10**6)
            await runs.until_step(long, 10)
            short = runs.create("short", steps=10)
            assert (await runs.over(short)).state == "finished"
            assert runs.store.get(long).state in ("queued", "running")
            assert (await runs.over(long)).state == "finished"
            states = runs.states(long)
            assert states == ["queued", "running", "queued", "running", "finished"]
            assert runs.told(long, "state")[2]["reason"] == GAVE_WAY
            assert [event["step"] for event in runs.told(long, "progress")] == list(range(2, 301, 2))
        runs.store.close()

    asyncio.run(played())


@pytest.mark.slow
def test_alone_a_long_run_keeps_its_worker(tmp_path):
    async def played():
        async with trainings(tmp_path, InlineBackend()) as runs:
            runs.supervisor.limits = Limits(3600, stretch=0.0)
            long, mine = runs.create("long", steps=40), runs.create("long", steps=4)
            await runs.over(long)
            await runs.over(mine)
            assert runs.states(long) == ["queued", "running", "finished"]

    asyncio.run(played())


@pytest.mark.slow
@pytest.mark.parametrize(("trusted", "statuses"), [("", [202, 202, 429]), ("127.0.0.1", [202, 202, 202])])
def test_only_a_proxy_that_is_named_says_who_asks(tmp_path, trusted, statuses):
    env = os.environ | {"GATESCOPE_RUNS_PER_MINUTE": "2", "GATESCOPE_TRUSTED_PROXIES": trusted}
    with a_server(["serve", "--data", str(tmp_path)], env=env) as address, httpx.Client(base_url=address) as client:
        found = [posted(client, headers={"X-Forwarded-For": f"192.0.2.{n}"}, **ENDLESS).status_code for n in range(3)]
    assert found == statuses


@pytest.mark.slow
def test_the_list_comes_in_pages(tmp_path):
    with serve(Settings(data=tmp_path, workers=1, backend="inline")) as address:
        with httpx.Client(base_url=address, timeout=60) as client:
            made = [started(client, **ENDLESS) for _ in range(5)]
            ids, more, before = [], True, {}
            while more:
                page = client.get("/api/runs", params={"limit": 2} | before).json()
                ids, more = ids + [run["id"] for run in page["runs"]], page["more"]
                before = {"before": ids[-1]}
            assert ids == [each["id"] for each in reversed(made)]
            for each in made:
                client.delete(each["links"]["self"], headers=owned(each))
            assert client.get("/api/runs").json() == {"runs": [], "more": False}
