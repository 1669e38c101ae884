"""Networks that stay in memory between requests: bounded in bytes, each made once however many ask for it at the same
time, and let go when what they were made of is gone.
"""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from weakref import WeakValueDictionary

from cachetools import LRUCache

from gatescope.models.compiler.aligned import give_back
from gatescope.models.network.network import Network

LARGE = 4 << 20  # bytes that are given back at once where they are let go
OVERHEAD = 20_000  # bytes of a network beside its numbers and its tokens


def bytes_of(network: Network) -> int:
    """About how many bytes a network takes."""
    arrays = sum(array.nbytes for array in network.parameters.values())
    return OVERHEAD + arrays + 150 * (len(network.vocabulary) + len(network.task.labels))


class NetworkMemory:
    """The latest networks by what they were made of, of at most so many bytes together; what a request still uses is
    found as well.
    """

    def __init__(self, most: int):
        self._kept: LRUCache[Hashable, Network] = LRUCache(max(most, 1), getsizeof=bytes_of)
        self._used: WeakValueDictionary[Hashable, Network] = WeakValueDictionary()
        self._made: dict[Hashable, Future[Network | None]] = {}
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """How many bytes are kept, about."""
        return int(self._kept.currsize)

    def get(self, key: Hashable, make: Callable[[], Network | None], may_displace: bool = True) -> Network | None:
        """The network with this key, made where there is none; whoever asks meanwhile waits for the same one. What
        `make` raises, all of them get. may_displace: whether others may leave for it.
        """
        with self._lock:
            found = self._kept.get(key) or self._used.get(key)
            if found is not None:
                return found
            future = self._made.get(key)
            if future is None:
                mine = self._made[key] = Future()
        if future is not None:
            return future.result()
        try:
            network = make()
        except BaseException as error:
            self._answer(key)
            mine.set_exception(error)
            raise
        self._answer(key, network, may_displace)
        mine.set_result(network)
        return network

    def _answer(self, key: Hashable, network: Network | None = None, may_displace: bool = True) -> None:
        """From now on this network is found, or made anew."""
        with self._lock:
            del self._made[key]
            if network is not None:
                self._used[key] = network
                room = self._kept.maxsize - (0 if may_displace else self._kept.currsize)
                if bytes_of(network) <= room:
                    self._kept[key] = network

    def forget(self, is_gone: Callable[[Hashable], bool]) -> None:
        """Let go of the networks whose keys are of what is gone."""
        with self._lock:
            before = self._kept.currsize
            for key in [key for key in self._kept if is_gone(key)]:
                del self._kept[key]
            for key in [key for key in self._used if is_gone(key)]:
                self._used.pop(key, None)
            gone = before - self._kept.currsize
        if gone >= LARGE:
            give_back()
