"""The store of the runs as a state machine: whatever is done to it in whatever order, with calls that fail, it is what
a model of a few lines says. GATESCOPE_HISTORIES says how many histories are tried.
"""

import os
import shutil
import tempfile
import time
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from gatescope.app.runs.checkpoints import Checkpoints
from gatescope.app.runs.database import StoreFault
from gatescope.app.runs.run import ACTIVE, OVER
from gatescope.app.runs.store import Store
from gatescope.app.settings import CannotServe
from tests.faults_of_a_store import failing
from tests.fire.faulty.faulty import FAULTS

HISTORIES = int(os.environ.get("GATESCOPE_HISTORIES", "25"))
STATES = st.sampled_from(ACTIVE + OVER)
TEXTS = st.sampled_from([b"a", "Grüße".encode(), b"long " * 2000])


class Known:
    """What the model knows of a run."""

    def __init__(self, owner: str, text: bytes, key: str | None):
        self.owner, self.text, self.key = owner, text, key
        self.state, self.wanted = "queued", None
        self.log: list[tuple[int, str, int | None]] = []
        self.checkpoints: list[tuple[int, bytes]] = []


class Histories(RuleBasedStateMachine):
    """A store on the disk beside a dictionary; any call may be told to fail once, and then has changed nothing."""

    runs = Bundle("runs")

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="histories-"))
        self.model: dict[str, Known] = {}
        self.turns: list[str] = []
        self.highest = 0
        self.faults = failing()
        self.fail = self.faults.__enter__()

    @initialize()
    def begin(self):
        self.open()

    def open(self):
        self.store = Store(self.folder)
        self.store.open()
        self.store.database.patience = 0.2
        self.checkpoints = Checkpoints(self.folder, self.store)

    def teardown(self):
        self.fail.clear()
        self.faults.__exit__(None, None, None)
        self.store.close()
        shutil.rmtree(self.folder)

    def call(self, function, *values, **more):
        """The result of a call, and None where it fails as it was told to; then it is made once more, and holds."""
        try:
            return function(*values, **more)
        except StoreFault:
            assert self.fail.met, "it failed by itself"
            self.fail.clear()
            self.as_the_model()
            return function(*values, **more)
        finally:
            self.fail.clear()

    @rule(name=st.sampled_from([*FAULTS]), number=st.integers(0, 12))
    def one_call_will_fail(self, name, number):
        self.fail.clear(number, name)

    @rule(target=runs, owner=st.sampled_from("abc"), text=TEXTS, key=st.sampled_from([None, None, "k1", "k2"]))
    def create(self, owner, text, key):
        run = self.call(self.store.create, owner, "A book", "{}", text, key)
        known = next((id for id, known in self.model.items() if key is not None and known.key == key), None)
        if known is not None:
            assert run.id == known
            return known
        assert run.id not in self.model and run.state == "queued"
        self.model[run.id] = made = Known(owner, text, key)
        self.logged(made, ("state", None))
        self.turns.append(run.id)
        return run.id

    def logged(self, known: Known, *entries: tuple[str, int | None]):
        """Note what was logged: the newest entries of the log, above all ids before them."""
        (id,) = [id for id, each in self.model.items() if each is known]
        new = self.store.events(self.highest, [id])
        assert [event.name for event in new] == [name for name, _ in entries]
        known.log += [(event.id, name, step) for event, (name, step) in zip(new, entries, strict=True)]
        self.highest = max(self.highest, *(event.id for event in new))

    @rule(id=runs, before=st.sets(STATES, min_size=1), state=STATES)
    def move(self, id, before, state):
        moved, known = self.call(self.store.move, id, sorted(before), state, "a reason"), self.model.get(id)
        assert moved == (known is not None and known.state in before)
        if moved:
            known.state, known.wanted = state, "deleted" if known.wanted == "deleted" else None
            self.logged(known, ("state", None), *([("end", None)] if state in OVER else []))
            if state in OVER:
                known.text = b""

    @rule(id=runs, wanted=st.sampled_from([None, "paused", "stopped"]))
    def want(self, id, wanted):
        taken, known = self.call(self.store.want, id, wanted), self.model.get(id)
        assert taken == (known is not None and known.state == "running" and known.wanted != "deleted")
        if taken:
            known.wanted = wanted

    @rule(id=runs, name=st.sampled_from(["progress", "sample"]), step=st.integers(0, 6))
    def append(self, id, name, step):
        made, known = self.call(self.store.append, id, name, {"step": step}, step), self.model.get(id)
        steps = [entry[2] for entry in known.log if entry[1] == name] if known else []
        assert (made is not None) == (known is not None and all(step > each for each in steps))
        if made is not None:
            self.logged(known, (name, step))

    @rule(id=runs, content=st.binary(min_size=1, max_size=50))
    def checkpoint(self, id, content):
        if (known := self.model.get(id)) is None:
            return
        step = 1 + max([entry[2] for entry in known.log if entry[1] == "checkpoint"], default=0)
        record = self.checkpoints.keep(id, step, content, False)
        assert self.call(self.store.append, id, "checkpoint", {"step": step}, step, record)
        self.logged(known, ("checkpoint", step))
        self.call(self.checkpoints.tidy, id)
        known.checkpoints = [*known.checkpoints, (step, content)][-2:]

    @rule(id=consumes(runs))
    def delete(self, id):
        assert self.call(self.store.want_deleted, id) == (id in self.model)
        if id in self.model:
            self.model[id].wanted = "deleted"
            assert id not in [run.id for run in self.store.listed(100)]
        self.call(self.checkpoints.delete, id)
        self.model.pop(id, None)

    @rule()
    def expire(self):
        for id in self.call(self.store.oldest_over, time.time() + 1):
            assert self.model[id].state in OVER
            self.call(self.checkpoints.delete, id)
            del self.model[id]
        assert not any(known.state in OVER and known.wanted != "deleted" for known in self.model.values())

    @rule()
    def reopen(self):
        self.store.close()
        self.fail.clear()
        self.open()

    @rule()
    def a_second_store_is_refused(self):
        with pytest.raises(CannotServe, match="another Gatescope uses"):
            Store(self.folder).open()

    @invariant()
    def all_is_as_the_model_has_it(self):
        if hasattr(self, "store"):
            waiting, self.fail.number = self.fail.number, None
            self.as_the_model()
            self.fail.number = waiting

    def as_the_model(self):
        found = {run.id: run for run in self.store.runs()}
        assert {id: (run.owner, run.state, run.wanted) for id, run in found.items()} == {
            id: (known.owner, known.state, known.wanted) for id, known in self.model.items()
        }
        for id, known in self.model.items():
            assert self.store.text(id) == known.text
            events = self.store.events(0, [id])
            assert [(event.id, event.name) for event in events] == [entry[:2] for entry in known.log]
            assert [orjson.loads(event.body).get("step") for event in events] == [entry[2] for entry in known.log]
            size = len(known.text) + sum(len(event.body) for event in events)
            assert found[id].size == size + sum(kept.size for kept in self.store.checkpoints(id))
            assert (found[id].ended is not None) == (known.state in OVER)
            good, content, damaged = self.checkpoints.latest(id)
            assert damaged == [] and (good and (good.step, content)) == (known.checkpoints or [None])[-1]
        every = sorted(entry[0] for known in self.model.values() for entry in known.log)
        assert len(every) == len(set(every)) and self.store.last_id() >= self.highest
        assert [event.id for event in self.store.events(0, self.model)] == every
        queued = {id for id, known in self.model.items() if known.state == "queued" and known.wanted != "deleted"}
        assert {run.id for run in self.store.queue()} == queued
        assert self.store.size() == sum(run.size for run in found.values())
        assert sum(self.store.count().values()) == len(self.model)


@pytest.mark.slow
def test_every_history_is_as_the_model_has_it():
    few = settings(
        max_examples=HISTORIES,
        stateful_step_count=25,
        deadline=None,
        derandomize="GATESCOPE_HISTORIES" not in os.environ,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Histories, settings=few)
