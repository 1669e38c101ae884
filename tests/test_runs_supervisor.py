"""The supervisor, with trainings in threads: turns, states, what owners ask for, and what it makes of checkpoints."""

import asyncio
from pathlib import Path

import pytest

from gatescope.app.runs.supervisor import NotNow
from gatescope.app.workers.inline import InlineBackend
from tests.runs import Trainings, trainings

pytestmark = pytest.mark.slow


def scenario(tmp_path: Path, play, **more):
    """Play a scenario with a supervisor of its own; gives its result."""

    async def played():
        async with trainings(tmp_path, InlineBackend(), **more) as runs:
            return await play(runs)

    return asyncio.run(played())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[list, dict]:
    """The log and the weights of the small training when nothing comes in between."""

    async def play(runs: Trainings):
        id = runs.create()
        run = await runs.over(id)
        assert (run.state, run.reason) == ("finished", "all steps are done")
        assert runs.states(id) == ["queued", "running", "finished"] and run.seconds > 0
        return runs.log(id), runs.weights(id)

    return scenario(tmp_path_factory.mktemp("undisturbed"), play)


def test_a_run_tells_every_step_and_keeps_two_checkpoints(tmp_path, undisturbed):
    log, _ = undisturbed
    for name in ("progress", "gates"):
        assert [int(entry[1]) for entry in log if entry[0] == name] == list(range(2, 51, 2))
    assert [int(entry[1]) for entry in log if entry[0] == "sample"] == [0, 10, 20, 30, 40, 50]

    async def play(runs: Trainings):
        id = runs.create()
        await runs.over(id)
        assert [checkpoint.step for checkpoint in runs.store.checkpoints(id)] == [50, 40]
        assert len(list((tmp_path / "runs" / id).iterdir())) == 2
        assert [event["step"] for event in runs.told(id, "checkpoint")] == [0, 10, 20, 30, 40, 50]

    scenario(tmp_path, play)


def test_paused_and_resumed_it_comes_to_the_same(tmp_path, undisturbed):
    async def play(runs: Trainings):
        id = runs.create()
        for step in (6, 26):
            await runs.until_step(id, step)
            await runs.supervisor.pause(id)
            await runs.supervisor.pause(id)
            await runs.until(id, lambda run: run.state == "paused")
            await runs.supervisor.resume(id)
        await runs.over(id)
        assert runs.states(id) == ["queued", "running", "paused"] + ["queued", "running", "paused"] + [
            "queued",
            "running",
            "finished",
        ]
        assert runs.told(id, "state")[4]["reason"].startswith("from step ")
        return runs.log(id), runs.weights(id)

    assert scenario(tmp_path, play) == undisturbed


def test_a_server_that_ends_leaves_its_runs_to_the_next(tmp_path, undisturbed):
    async def first(runs: Trainings):
        id = runs.create()
        await runs.until_step(id, 14)
        return id

    async def second(runs: Trainings):
        await runs.over(id)
        assert runs.states(id) == ["queued", "running", "queued", "running", "finished"]
        assert runs.told(id, "state")[2]["reason"] == "the server was ended while the run was training"
        return runs.log(id), runs.weights(id)

    id = scenario(tmp_path, first)
    assert scenario(tmp_path, second) == undisturbed


def test_damaged_checkpoints_are_passed_over_and_said(tmp_path, undisturbed):
    async def first(runs: Trainings):
        id = runs.create()
        await runs.until_step(id, 34)
        await runs.supervisor.pause(id)
        await runs.until(id, lambda run: run.state == "paused")
        newest, before = runs.store.checkpoints(id)
        path = tmp_path / "runs" / id / newest.file
        path.write_bytes(path.read_bytes()[:-100])
        await runs.supervisor.resume(id)
        await runs.over(id)
        reason = f"from step {before.step}; the checkpoint of step {newest.step} is damaged"
        assert runs.told(id, "state")[4]["reason"] == reason
        return runs.log(id), runs.weights(id)

    assert scenario(tmp_path, first) == undisturbed


def test_stopped_is_stopped(tmp_path):
    async def play(runs: Trainings):
        running, waiting, paused = (runs.create(steps=10**6) for _ in range(3))
        await runs.until_step(running, 4)
        await runs.supervisor.pause(paused)
        for id in (waiting, paused, running):
            await runs.supervisor.stop(id)
            assert (await runs.over(id)).state == "stopped"
            await runs.supervisor.stop(id)
            for ask in (runs.supervisor.pause, runs.supervisor.resume):
                with pytest.raises(NotNow, match="a run that is stopped cannot be (paus|resum)ed"):
                    await ask(id)
        assert runs.checkpoints.latest(running)[0].step >= 4
        assert runs.states(waiting) == ["queued", "stopped"]

    scenario(tmp_path, play)


def test_deleted_leaves_nothing(tmp_path):
    async def play(runs: Trainings):
        running, waiting = runs.create(steps=10**6), runs.create()
        await runs.until_step(running, 4)
        for id in (running, waiting, running, "0" * 32):
            await runs.supervisor.delete(id)
        assert runs.store.runs() == [] and runs.store.events(0, [running, waiting]) == []
        assert list((tmp_path / "runs").iterdir()) == []
        return running

    id = scenario(tmp_path, play)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"green bottles" not in kept and id.encode() not in kept


def test_owners_take_turns_and_no_more_train_than_there_are_workers(tmp_path):
    async def play(runs: Trainings):
        ids = [runs.create("many", steps=10) for _ in range(3)] + [runs.create("few", steps=10)]
        for id in ids:
            await runs.over(id)
        events = [event for event in runs.store.events(0, ids, 10**6) if event.name == "state"]
        running, most, begun = set(), 0, []
        for event in events:
            if b'"running"' in event.body:
                running.add(event.run)
                begun.append(ids.index(event.run))
            elif b'"finished"' in event.body:
                running.remove(event.run)
            most = max(most, len(running))
        assert most == 2
        return begun

    begun = scenario(tmp_path, play, workers=2)
    assert (sorted(begun[:2]), begun[2:]) == ([0, 3], [1, 2])


def test_what_does_not_get_better_by_trying_again_fails_with_its_reason(tmp_path):
    async def play(runs: Trainings):
        diverging, too_long = runs.create(learning_rate=1e30, clip=1e9), runs.create(batch_size=4096)
        run = await runs.over(diverging)
        assert run.state == "failed" and run.reason.startswith("diverged at step ")
        assert runs.told(diverging, "sample")[0]["step"] == 0
        run = await runs.over(too_long)
        assert run.state == "failed" and run.reason.startswith("text: ")

    scenario(tmp_path, play)


def test_a_run_trains_no_longer_than_it_may(tmp_path):
    async def play(runs: Trainings):
        run = await runs.over(runs.create(steps=10**6))
        assert run.state == "stopped" and run.reason == "it trained for the 0.000139 hours that a run may"
        assert runs.checkpoints.latest(run.id)[0].step > 0

    scenario(tmp_path, play, seconds=0.5)
