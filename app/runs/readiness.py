"""Whether this server can take a run and train it now."""

import asyncio
import time

from gatescope.app.runs.database import StoreFault
from gatescope.app.runs.keeping import in_thread
from gatescope.app.runs.store import Store
from gatescope.app.runs.supervisor import Supervisor

PATIENCE = 1.0
FRESH = 1.0  # seconds in which what was found is told again


class Readiness:
    """What stands in the way of a run, found by writing to the store: by one at a time, however many ask."""

    def __init__(self, store: Store, supervisor: Supervisor[object]):
        self.store, self.supervisor = store, supervisor
        self._looking: asyncio.Task[str | None] | None = None
        self._looked = 0.0

    async def trouble(self) -> str | None:
        """Why no run can be taken now, in words, or None; known within a second or two."""
        if self._looking is None or (self._looking.done() and time.monotonic() - self._looked > FRESH):
            self._looking = asyncio.create_task(self._look())
        try:
            found = await asyncio.wait_for(asyncio.shield(self._looking), PATIENCE)
        except TimeoutError:
            found = "the store of the runs does not answer now"
        return found or self.supervisor.trouble

    async def _look(self) -> str | None:
        try:
            await in_thread(self.store.database.probe)
        except StoreFault as fault:
            return str(fault)
        finally:
            self._looked = time.monotonic()
        return None
