"""Who may start a run: how often, how many at once, and that one asked for twice is made once."""

import random
import threading
import time
from collections import OrderedDict, defaultdict, deque
from hashlib import sha256

from starlette.status import HTTP_429_TOO_MANY_REQUESTS, HTTP_503_SERVICE_UNAVAILABLE

from gatescope.app.http.owners import new_token, token_hash
from gatescope.app.http.problems import Problem
from gatescope.app.runs.run import Run
from gatescope.app.runs.store import Store
from gatescope.app.settings import Settings

MINUTE = 60.0
REMEMBERED = 10_000  # addresses, and deleted runs
ACTIVE = ("queued", "running", "paused")


class Rate:
    """At most so many times within any minute, for each who asks.

    Not by the library `limits`: it would be three packages more, 40 ms of the server's start, and a wall clock.
    """

    def __init__(self, most: int):
        self.most = most
        self._times: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=most))

    def wait(self, who: str) -> int:
        """Seconds to wait; 0 when it may be now, which is then counted."""
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
    """Lets runs in, one at a time, so that no limit is passed between looking and writing."""

    def __init__(self, store: Store, settings: Settings):
        self.store, self.settings = store, settings
        self.rate = Rate(settings.runs_per_minute)
        self.deleted: OrderedDict[str, str] = OrderedDict()
        self._turn = threading.Lock()

    def create(
        self, title: str, recipe: str, text: bytes, token: str | None, key: str | None, address: str
    ) -> tuple[Run, str]:
        """A new run and its owner's token; for an idempotency key that was used before, the run that there is.

        token: the owner's, where the run is not their first; key: good for one owner, or for one address where no
        token is given. Raises Problem.
        """
        if key is not None:
            key = sha256(f"{token or address}\n{key}".encode()).hexdigest()
        token = token or new_token(self.store.secret, key)
        owner = token_hash(token)
        with self._turn:
            runs = self.store.runs()
            known = next((run for run in runs if key is not None and run.idempotency_key == key), None)
            if known is None:
                self._check(runs, owner, address)
                return self.store.create(owner, title, recipe, text, key), token
        if (known.title, known.recipe, self.store.text(known.id)) != (title, recipe, text):
            raise Problem(("idempotency-key", "was used for another text or other parameters; choose a new one"))
        return known, token

    def remember(self, deleted: Run) -> None:
        """Keep for a while whose a deleted run was, so that its owner may say it twice."""
        self.deleted[deleted.id] = deleted.owner
        while len(self.deleted) > REMEMBERED:
            self.deleted.popitem(last=False)

    def _check(self, runs: list[Run], owner: str, address: str) -> None:
        active = sum(run.owner == owner and run.state in ACTIVE for run in runs)
        if active >= self.settings.runs_per_owner:
            detail = f"at most {self.settings.runs_per_owner:,} of one owner's may wait, train or pause at once"
            raise Problem(("runs", detail), status=HTTP_429_TOO_MANY_REQUESTS, headers={"Retry-After": "30"})
        queued = sum(run.state == "queued" for run in runs)
        if queued >= self.settings.queue_limit:
            headers = {"Retry-After": str(random.randint(20, 60))}
            detail = f"{queued:,} are waiting already; nothing was stored, come back in a while"
            raise Problem(("queue", detail), status=HTTP_503_SERVICE_UNAVAILABLE, headers=headers)
        if wait := self.rate.wait(address):
            detail = f"at most {self.settings.runs_per_minute:,} a minute may be started from one address"
            raise Problem(("runs", detail), status=HTTP_429_TOO_MANY_REQUESTS, headers={"Retry-After": str(wait)})
