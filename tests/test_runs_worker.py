"""A worker on this machine: its lifeline, its limits, and what becomes of one that dies, hangs or talks nonsense."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gatescope.app.workers.job import Job
from gatescope.app.workers.local import LocalBackend
from gatescope.app.workers.protocol import BadFrame, Frame, from_worker
from tests.runs import TEXT, played, recipe

pytestmark = pytest.mark.slow

GIBIBYTE = 2**30


def a_job(text: str = TEXT, **chosen) -> Job:
    return Job(json.dumps({"text": text, "recipe": json.loads(recipe(**chosen)), "title": ""}).encode())


def frames_of(backend: LocalBackend, job: Job, meanwhile=None) -> list[Frame]:
    """The frames of a job, whose worker then is no more."""

    async def over(child):
        assert child.process.returncode is not None

    return played(backend, job, meanwhile, over)


def worker_that(program: str, **limits) -> LocalBackend:
    return LocalBackend(GIBIBYTE, [sys.executable, "-c", textwrap.dedent(program)], **limits)


def exit_of(frames: list[Frame]) -> tuple[str, str]:
    assert [frame.name for frame in frames].count("exit") == 1
    return frames[-1].data["how"], frames[-1].data["reason"]


def test_a_job_is_done_politely_by_a_process_of_its_own():
    seen = {}

    async def look(child, frame):
        if frame.name == "sample" and not seen:
            status = Path(f"/proc/{child.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            seen.update(group=int(status[2]), session=int(status[3]), nice=int(status[16]), threads=int(status[17]))
            seen.update(pid=child.process.pid)

    frames = frames_of(LocalBackend(4 * GIBIBYTE), a_job(), look)
    assert exit_of(frames) == ("finished", "all steps are done")
    assert seen["group"] == seen["pid"] != os.getpid() and seen["nice"] == min(19, os.nice(0) + 19)
    assert seen["session"] == os.getsid(0)  # in one of its own, Linux would not compare its niceness with the server's
    assert seen["threads"] <= 3  # the training, the lifeline, the beat


def test_a_worker_goes_when_its_server_has_gone():
    command = [sys.executable, "-P", "-m", "gatescope.app.workers.worker", str(GIBIBYTE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as worker:
        job = a_job(steps=10**6)
        worker.stdin.write(Frame("job", {"spec": len(job.spec)}, job.spec).to_bytes())
        worker.stdin.flush()
        while b"progress" not in (read := worker.stdout.read1(1000)):
            assert read
        worker.stdin.close()
        rest, said = worker.stdout.read(), worker.stderr.read()  # until it has gone: its training is far from its end
        worker.wait(60)
    assert b'"exit"' not in rest and said == b""


def test_a_killed_worker_is_lost_and_so_is_one_that_is_silent():
    async def kill(child, frame):
        if frame.name == "progress":
            child.process.send_signal(signal.SIGKILL)

    assert exit_of(frames_of(LocalBackend(GIBIBYTE), a_job(steps=10**6), kill)) == (
        "lost",
        "the worker was ended by signal 9",
    )

    async def freeze(child, frame):
        if frame.name == "progress" and frame.data["step"] == 4:
            child.process.send_signal(signal.SIGSTOP)

    silent = frames_of(LocalBackend(GIBIBYTE, silence=1.5), a_job(steps=10**6), freeze)
    assert exit_of(silent) == ("lost", "the worker gave no sign of life for 2 s")


def test_a_worker_that_does_not_get_on_is_lost():
    beats = """
        import time
        from gatescope.app.workers.protocol import Frame
        while True:
            open(1, "wb", closefd=False).write(Frame("beat", {"turns": 7}).to_bytes())
            time.sleep(0.05)
    """
    frames = frames_of(worker_that(beats, standstill=0.5), a_job())
    assert exit_of(frames) == ("lost", "the training did not get on for 0 s")


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("print('hello ' * 1000)", "a frame that is too long"),
        ("import os; os.write(1, bytes([0, 0, 0, 2, 0, 0, 0, 0]) + b'{{')", "a frame that is not JSON"),
        ("import os; os.write(1, bytes([0, 0, 0, 10, 0, 0, 0, 0]) + b'[\"spy\",{}]')", "a frame of no known kind"),
    ],
)
def test_a_worker_that_talks_nonsense_fails_its_run(program, sentence):
    frames = frames_of(worker_that(program + "\nimport time; time.sleep(60)"), a_job())
    assert exit_of(frames) == ("failed", f"the worker sent {sentence}")


def test_a_worker_that_cannot_begin_is_lost_and_the_log_has_its_last_words(caplog):
    frames = frames_of(worker_that("import sys; sys.exit('no such\\nmodule')"), a_job())
    assert exit_of(frames) == ("lost", "the worker was ended by exit status 1")
    assert re.search(r"it said b'no such\\nmodule\\n'", caplog.text)


def test_too_much_memory_fails_the_run():
    frames = frames_of(LocalBackend(100 * 2**20), a_job(steps=10**6))
    assert exit_of(frames) == ("failed", "memory: the training needs more than the 0.1 GiB a worker may have")
    at_once = a_job(hidden=20_000)  # 4.8 GB for one matrix
    assert exit_of(frames_of(LocalBackend(GIBIBYTE), at_once)) == (
        "failed",
        "memory: the training needs more than a worker may have",
    )


def test_asked_to_leave_it_leaves_a_checkpoint_and_goes_on_from_there():
    backend = LocalBackend(GIBIBYTE)

    async def leave(child, frame):
        if frame.name == "progress" and frame.data["step"] == 6:
            await backend.stop(child, 30)
            await backend.stop(child, 30)

    first = frames_of(backend, a_job(), leave)
    assert exit_of(first)[0] == "left" and first[-2].name == "checkpoint" and first[-2].data["step"] < 50
    second = frames_of(LocalBackend(GIBIBYTE), Job(a_job().spec, first[-2].content))
    assert exit_of(second)[0] == "finished"
    steps = [frame.data["step"] for frame in first + second if frame.name == "progress"]
    assert steps == list(range(2, 51, 2))


@pytest.mark.parametrize(
    "frame",
    [
        Frame("progress", {"loss": 1.0}),
        Frame("progress", {"step": True}),
        Frame("progress", {"step": -1}),
        Frame("checkpoint", {"step": 1, "finished": True}),
        Frame("checkpoint", {"step": 1}, b"content"),
        Frame("exit", {"how": "gladly"}),
        Frame("end", {}),
    ],
)
def test_a_frame_is_looked_at_before_it_is_believed(frame):
    with pytest.raises(BadFrame):
        from_worker(frame.to_bytes())


def test_a_frame_travels_whole():
    frame = Frame("checkpoint", {"step": 3, "finished": False}, os.urandom(100_000))
    assert from_worker(frame.to_bytes()) == frame
    for broken in (b"", frame.to_bytes()[:-1], frame.to_bytes() + b"x"):
        with pytest.raises(BadFrame):
            from_worker(broken)
