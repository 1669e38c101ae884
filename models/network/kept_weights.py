"""Weights laid out for the programs that stay in memory for the next reading, as long as their network does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from weakref import WeakKeyDictionary

from gatescope.models.network.bptt import NetworkWeights


class KeptWeights:
    """What was laid out last, of at most so many bytes together: by network, which is not kept alive by it, and by
    precision. By size: several networks are read in turn, side by side on one page, and one of them may be large.
    """

    def __init__(self, most: int):
        self.most = most
        self._of: WeakKeyDictionary[object, dict[str, NetworkWeights]] = WeakKeyDictionary()
        self._turns: WeakKeyDictionary[object, threading.Lock] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def get(self, network: object, precision: str, make: Callable[[], NetworkWeights]) -> NetworkWeights:
        """The weights of a network in this precision, made where they are not there; whoever asks meanwhile waits for
        the same ones.
        """
        with self._lock:
            self._of[network] = mine = self._of.pop(network, {})  # the latest used goes last
            turn = self._turns.setdefault(network, threading.Lock())
        with turn:
            found = mine.get(precision)
            if found is None:
                found = mine[precision] = make()
                self._let_go()
            return found

    def _let_go(self) -> None:
        """Drop what was used longest ago, until the rest is no more than may be."""
        with self._lock:
            every = [*self._of.values()]
            total = sum(weights.nbytes for of_one in every for weights in of_one.copy().values())
            for of_one in every:
                if total <= self.most:
                    return
                total -= sum(weights.nbytes for weights in of_one.copy().values())
                of_one.clear()
