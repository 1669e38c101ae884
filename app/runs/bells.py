"""Who waits for the log to grow is woken, in whichever loop it waits."""

import asyncio
import threading


class Bells:
    """The height of a log, and those who wait for it to rise; from any thread."""

    def __init__(self) -> None:
        self.last = 0
        self._bells: dict[asyncio.AbstractEventLoop, asyncio.Future[None]] = {}
        self._turn = threading.Lock()

    async def wait(self, after: int, seconds: float) -> bool:
        """Wait until the log is above `after` or `ring` is called; False when the seconds pass before."""
        with self._turn:
            if self.last > after:
                return True
            loop = asyncio.get_running_loop()
            bell = self._bells.setdefault(loop, loop.create_future())
        done, _ = await asyncio.wait({bell}, timeout=seconds)
        return bool(done)

    def ring(self, last: int) -> None:
        """Say how high the log is and wake all who wait: one bell a loop, however many wait for it."""
        with self._turn:
            self.last = max(self.last, last)
            bells, self._bells = self._bells, {}
        for loop, bell in bells.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(bell.set_result, None)
