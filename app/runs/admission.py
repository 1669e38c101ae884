"""Who may start a run: how often, how many at once, how much of the disk, and that one asked for twice is made once."""

import logging
import random
import threading
import time
from collections import OrderedDict, defaultdict, deque
from hashlib import sha256

from starlette.status import (
    HTTP_429_TOO_MANY_REQUESTS,
    HTTP_503_SERVICE_UNAVAILABLE,
    HTTP_507_INSUFFICIENT_STORAGE,
)

from gatescope.app.http.owners import address_hash, new_token, token_hash
from gatescope.app.http.problems import Problem
from gatescope.app.runs.checkpoints import Checkpoints
from gatescope.app.runs.load import Load
from gatescope.app.runs.run import Run
from gatescope.app.runs.schema import digest_of
from gatescope.app.runs.store import Store
from gatescope.app.settings import Settings
from gatescope.app.workers.limits import training_memory

MINUTE = 60.0
REMEMBERED = 10_000  # addresses, and deleted runs
UNGUESSED = 16  # characters of an idempotency key that two people do not choose alike
log = logging.getLogger(__name__)


class Rate:
    """At most so many times within any minute, for each who asks; from any thread.

    Not by the library `limits`: it would be three packages more, 40 ms of the server's start, and a wall clock.
    """

    def __init__(self, most: int):
        self.most = most
        self._times: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=most))
        self._turn = threading.Lock()

    def wait(self, who: str) -> int:
        """Seconds to wait; 0 when it may be now, which is then counted."""
        with self._turn:
            now = time.monotonic()
            if len(self._times) > REMEMBERED:
                for old in [each for each, times in self._times.items() if times[-1] < now - MINUTE]:
                    del self._times[old]
            times = self._times[who]
            if len(times) == self.most and times[0] > now - MINUTE:
                return int(times[0] + MINUTE - now) + 1
            times.append(now)
            return 0


class Admission:
    """Lets runs in; the store looks at the limits and writes in one, so that none is passed in between."""

    def __init__(self, store: Store, checkpoints: Checkpoints, settings: Settings):
        self.store, self.checkpoints, self.settings = store, checkpoints, settings
        self.rate = Rate(settings.runs_per_minute)
        self.deleted: OrderedDict[str, str] = OrderedDict()

    def create(
        self, title: str, recipe: str, text: bytes, token: str | None, key: str | None, address: str
    ) -> tuple[Run, str | None]:
        """A new run and its owner's token; for an idempotency key that was used before, the run that there is.

        token: the owner's, where the run is not their first; key: good for one owner, or for one address where no
        token is given. Then the token follows from key, text and parameters, and is told again for a key that two
        people behind one address do not choose alike; None for a shorter one. Raises Problem.
        """
        place, digest = address_hash(self.store.secret, address), digest_of(title, recipe, text)
        kept_key = None if key is None else sha256(f"{token or address}\n{key}".encode()).hexdigest()
        is_guessed = token is None and key is not None and len(key) < UNGUESSED
        told = token or new_token(self.store.secret, f"{kept_key}\n{digest}" if key and not is_guessed else None)
        owner = token_hash(told)
        self._make_room(len(text))

        def admit(load: Load) -> None:
            self._check(load, len(text))
            if wait := self.rate.wait(place):
                detail = f"at most {self.settings.runs_per_minute:,} a minute may be started from one address"
                raise Problem(("runs", detail), status=HTTP_429_TOO_MANY_REQUESTS, headers={"Retry-After": str(wait)})

        run = self.store.create(owner, title, recipe, text, kept_key, place, admit)
        if run.digest != digest:
            raise Problem(("idempotency-key", "was used for another text or other parameters; choose a new one"))
        return run, told if run.owner == owner else None

    @property
    def training_memory(self) -> int:
        """The bytes that a training may hold: more is refused before it is asked for."""
        return training_memory(self.settings.worker_memory)

    def remember(self, deleted: Run) -> None:
        """Keep for a while whose a deleted run was, so that its owner may say it twice."""
        self.deleted[deleted.id] = deleted.owner
        while len(self.deleted) > REMEMBERED:
            self.deleted.popitem(last=False)

    def _check(self, load: Load, size: int) -> None:
        settings = self.settings
        if load.of_owner >= settings.runs_per_owner:
            detail = f"at most {settings.runs_per_owner:,} of one owner's may wait, train or pause at once"
            raise Problem(("runs", detail), status=HTTP_429_TOO_MANY_REQUESTS, headers={"Retry-After": "30"})
        later = {"Retry-After": str(random.randint(20, 60))}
        if load.queued >= settings.queue_limit:
            detail = f"{load.queued:,} are waiting already; nothing was stored, come back in a while"
            raise Problem(("queue", detail), status=HTTP_503_SERVICE_UNAVAILABLE, headers=later)
        most = max(1, int(settings.queue_limit * settings.address_share))
        if load.of_address >= most:
            detail = f"at most {most:,} from one address may wait or pause at once"
            raise Problem(("runs", detail), status=HTTP_429_TOO_MANY_REQUESTS, headers=later)
        if load.size + size > settings.run_space:
            raise no_room(f"the runs kept here take {load.size:,} of {settings.run_space:,} bytes; nothing was stored")
        if load.size_of_address + size > settings.run_space * settings.address_share:
            raise no_room("the runs from your address take all the space that one address may; delete some of them")

    def _make_room(self, size: int) -> None:
        """Where runs that are over do not stay for ever, let the oldest go for one that would find no room."""
        while self.settings.keep_days > 0 and self.store.size() + size > self.settings.run_space:
            oldest = self.store.oldest_over(time.time(), 1)
            if not oldest:
                return
            log.info("a run that is over is deleted for want of space")
            self.store.want_deleted(oldest[0])
            self.checkpoints.delete(oldest[0])


def no_room(detail: str) -> Problem:
    """The problem of a run for which there is no room."""
    return Problem(("body", detail), status=HTTP_507_INSUFFICIENT_STORAGE, headers={"Retry-After": "3600"})
