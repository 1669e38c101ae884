"""The one way from the supervisor to the store and the checkpoints: what fails is tried again until it is done."""

import asyncio
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from gatescope.app.runs.database import StoreFault

RETRY_SECONDS = 1.0
log = logging.getLogger(__name__)
Value = TypeVar("Value")
Values = ParamSpec("Values")


class Keeping:
    """Calls functions of the store, in threads, until the disk and the database do their part.

    leaving: that the server leaves; then nothing is tried again.
    """

    def __init__(self) -> None:
        self.leaving = False
        self._troubles: dict[object, str] = {}

    @property
    def trouble(self) -> str | None:
        """What stands in the way of one of the calls now, in words; None where nothing does."""
        return next(iter(self._troubles.values()), None)

    async def kept(self, keep: Callable[Values, Value], *values: Values.args, **more: Values.kwargs) -> Value:
        """The result of a function, as soon as it has one; a StoreFault only where the server leaves.

        A worker whose event waits here is not read any further and waits too: a full disk holds a run up and loses
        nothing of it.
        """
        call = object()
        try:
            while True:
                try:
                    return await in_thread(keep, *values, **more)
                except StoreFault as fault:
                    if self.leaving:
                        raise
                    if self._troubles.get(call) != str(fault):
                        log.error("the runs wait: %s", fault)
                    self._troubles[call] = str(fault)
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            self._troubles.pop(call, None)


async def in_thread(function: Callable[Values, Value], *values: Values.args, **more: Values.kwargs) -> Value:
    """The result of a function in a thread; whoever is cancelled meanwhile goes on when it has ended, not before."""
    call = asyncio.ensure_future(asyncio.to_thread(function, *values, **more))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        await asyncio.wait({call})
        raise
