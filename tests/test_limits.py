"""What is accepted can be kept: the estimates against what was measured, checkpoints against frames, a log's length."""

import json
import sys
from pathlib import Path

import pytest

from gatescope.app.workers.job import Job
from gatescope.app.workers.limits import EMPTY_WORKER, training_memory
from gatescope.app.workers.local import LocalBackend
from gatescope.app.workers.protocol import LONGEST_CONTENT, Frame
from gatescope.models.refused import Refused
from gatescope.models.training.job import MemoryHost, Spec, run_job
from gatescope.models.training.plan import plan
from gatescope.models.training.recipe import (
    LARGEST_NETWORK,
    MOST_CHECKPOINTS,
    MOST_REPORTS,
    MOST_SAMPLES,
    Recipe,
    cost,
    longest_checkpoint,
)
from tests.jobs import recipe_for
from tests.runs import TEXT, played, recipe

GIBIBYTE = 2**30
FIGURES = "".join(f"{n} green bottles hanging on the wall; " for n in range(3000))
# The peak of a worker (VmHWM in /proc, torch 2.13 on Linux) that made four steps, three checkpoints, a sample and a
# validation with one thread; before its job it held 254 MB.
MEASURED = [
    ({"hidden": 64}, 1, 351),
    ({"hidden": 1024, "batch_size": 4, "sequence_length": 8}, 1, 709),
    ({"hidden": 2048, "batch_size": 2, "sequence_length": 4}, 1, 1919),
    ({"hidden": 3000, "batch_size": 2, "sequence_length": 4}, 1, 3480),
    ({"hidden": 64, "batch_size": 512, "sequence_length": 64}, 1, 459),
    ({"hidden": 128, "layers": 4, "batch_size": 256, "sequence_length": 64, "cell": "gru"}, 1, 705),
    ({"hidden": 64, "batch_size": 64, "sequence_length": 1000}, 1, 562),
    ({"hidden": 64}, 120, 825),
]


@pytest.mark.parametrize(("chosen", "times", "megabytes"), MEASURED)
def test_the_estimate_of_memory_is_what_was_measured(chosen, times, megabytes):
    length, tokens = len(FIGURES) * times, len(set(FIGURES))
    found = cost(Recipe.for_text(length, tokens, steps=4, **chosen), length, tokens)
    assert 0.98 * megabytes <= (EMPTY_WORKER + found.memory) / 1e6 <= 1.6 * megabytes


@pytest.mark.slow
def test_the_estimate_holds_for_a_worker_here():
    chosen = {"hidden": 900, "batch_size": 4, "sequence_length": 8, "steps": 2, "checkpoint_every": 1, "threads": 1}
    plan_of, found = plan(TEXT, **chosen)
    spec = json.dumps({"text": TEXT, "recipe": plan_of.to_json(), "title": ""}).encode()
    peaks = []

    async def look(child, frame: Frame):
        if frame.name == "checkpoint":
            status = Path(f"/proc/{child.process.pid}/status").read_text()
            peaks.extend(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
            assert len(frame.content) <= longest_checkpoint(found.parameters)

    async def over(child):
        pass

    assert played(LocalBackend(4 * GIBIBYTE), Job(spec), look, over)[-1].data["how"] == "finished"
    assert 0.3 * (EMPTY_WORKER + found.memory) < max(peaks) <= 1.1 * (EMPTY_WORKER + found.memory)


@pytest.mark.parametrize("chosen", [{"hidden": 8}, {"hidden": 200, "layers": 2}, {"hidden": 64, "embedding": 32}])
def test_every_checkpoint_has_room_in_a_frame(chosen):
    host = MemoryHost()
    spec = Spec(TEXT, recipe_for(TEXT, steps=2, checkpoint_every=1, validate_every=1, **chosen))
    for name, _ in run_job(spec, None, host):
        if name == "checkpoint":
            parameters = cost(spec.recipe, len(TEXT), len(set(TEXT))).parameters
            assert len(host.content) <= longest_checkpoint(parameters)
    assert longest_checkpoint() == LONGEST_CONTENT == longest_checkpoint(LARGEST_NETWORK) < 2**32


def test_what_a_worker_may_not_hold_is_refused_before_it_is_asked_for():
    memory = training_memory(4 * GIBIBYTE)
    assert memory <= 4 * GIBIBYTE - EMPTY_WORKER
    for chosen, field in (
        ({"hidden": 3500, "batch_size": 2}, "hidden"),
        ({"hidden": 512, "batch_size": 4096, "sequence_length": 64, "layers": 2}, "batch_size"),
    ):
        with pytest.raises(Refused, match=r"would need \d+\.\d GiB of memory, and at most 3\.6 are given") as refused:
            plan(TEXT * 100, memory=memory, **chosen)
        assert refused.value.field == field
    largest = next(hidden for hidden in range(3500, 8, -10) if accepted(hidden, memory))
    assert (
        largest > 3000 and longest_checkpoint(plan(TEXT, hidden=largest, batch_size=2)[1].parameters) < LONGEST_CONTENT
    )
    with pytest.raises(Refused, match="at most 0.0 are given"):
        plan(TEXT, memory=training_memory(2**20))


def accepted(hidden: int, memory: int) -> bool:
    try:
        return bool(plan(TEXT, memory=memory, hidden=hidden, batch_size=2, sequence_length=8, steps=10))
    except Refused:
        return False


@pytest.mark.parametrize("steps", [10, 1000, 20_000, 10**6, 10**8])
@pytest.mark.parametrize("chosen", [{"hidden": 8}, {"hidden": 512, "layers": 2}, {"update_every": 7}])
def test_a_log_is_short_however_long_a_run_is(steps, chosen):
    found = recipe_for(TEXT, steps=steps, **chosen)
    told = {"report_every": MOST_REPORTS, "sample_every": MOST_SAMPLES, "checkpoint_every": MOST_CHECKPOINTS}
    for pace, most in told.items():
        assert steps // getattr(found, pace) <= most
    own = recipe_for(TEXT, steps=steps, report_every=7, sample_every=7, checkpoint_every=7)
    assert (own.report_every, own.sample_every, own.checkpoint_every) == (7, 7, 7)


@pytest.mark.parametrize(("layers", "megabytes"), [(1, 16), (8, 110)])
def test_the_log_of_a_day_is_a_few_megabytes(layers, megabytes):
    """What a report takes, as it is told, times how often it is told in a run of any length."""
    spec = Spec(TEXT, recipe_for(TEXT, steps=4, report_every=2, hidden=64, layers=layers, sequence_length=16))
    bytes_of: dict[str, int] = {}
    for name, data in run_job(spec, None, MemoryHost()):
        bytes_of[name] = max(bytes_of.get(name, 0), len(json.dumps(data)))
    whole = MOST_REPORTS * (bytes_of["progress"] + bytes_of["gates"])
    whole += MOST_SAMPLES * bytes_of["sample"] + MOST_CHECKPOINTS * bytes_of["checkpoint"]
    assert megabytes / 8 < whole / 1e6 < megabytes


def worker_under(limits: str) -> LocalBackend:
    begin = f'{limits}; exec "{sys.executable}" -P -m gatescope.app.workers.worker "$0"'
    return LocalBackend(2 * GIBIBYTE, ["sh", "-c", begin])


def exit_under(limits: str) -> tuple[str, str]:
    job = Job(json.dumps({"text": TEXT, "recipe": json.loads(recipe(steps=4)), "title": ""}).encode())

    async def over(child):
        assert child.process.returncode is not None

    data = played(worker_under(limits), job, None, over)[-1].data
    return data["how"], data["reason"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limits", "how", "reason"),
    [
        ("ulimit -d 2500000; ulimit -n 128; ulimit -f 1000", "finished", "all steps are done"),
        ("ulimit -d 300000", "failed", "this system gives a worker 293 MiB of memory (ulimit -d)"),
        ("ulimit -n 20", "failed", "this system gives a worker 20 open files (ulimit -n), and it needs 32"),
        ("ulimit -v 700000", "failed", "memory: "),
    ],
)
def test_a_system_that_gives_little_is_lived_with_or_said(limits, how, reason):
    found = exit_under(limits)
    assert found[0] == how and found[1].startswith(reason)
