"""What whoever runs Gatescope does with the runs of a data directory, beside the server that keeps them or without."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from gatescope.app.runs.checkpoints import Checkpoints
from gatescope.app.runs.run import ACTIVE, Run
from gatescope.app.runs.store import Store


class Operator:
    """The runs of a data directory.

    Where a server keeps them it is asked for what is wanted, and does it within a few seconds; else it is done at once.
    """

    def __init__(self, store: Store, checkpoints: Checkpoints, is_served: bool):
        self.store, self.checkpoints, self.is_served = store, checkpoints, is_served

    @classmethod
    @contextmanager
    def at(cls, folder: Path) -> Iterator[Self]:
        """The operator of a data directory, for the length of a `with` block; raises CannotServe."""
        store = Store(folder)
        is_served = store.database.join()
        if not is_served:
            store.open()
        try:
            yield cls(store, Checkpoints(folder, store), is_served)
        finally:
            store.close()

    def runs(self) -> list[Run]:
        """Every run that nobody deleted, oldest first."""
        return [run for run in self.store.runs() if run.wanted != "deleted"]

    def stop(self, id: str) -> bool:
        """End a run, its latest checkpoint kept; False where it is over or not there."""
        if self.is_served:
            return self.store.want_stopped(id)
        return self.store.move(id, ACTIVE, "stopped")

    def delete(self, id: str) -> bool:
        """Delete a run with all that belongs to it; False where there is none."""
        if not self.store.want_deleted(id):
            return False
        if not self.is_served:
            self.checkpoints.delete(id)
        return True
