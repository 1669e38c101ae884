"""How properties are searched: the same few examples each time, or as many new ones as GATESCOPE_EXAMPLES says; what
reading anything may cost.
"""

import os
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from gatescope.models.refused import SENTENCE_LENGTH

NEW = os.environ.get("GATESCOPE_EXAMPLES")
searched = settings(
    max_examples=int(NEW or 60),
    derandomize=NEW is None,
    database=None,
    deadline=None,
    suppress_health_check=[*HealthCheck],
)
# every kind of character: controls, marks of direction, ends of lines, half surrogates
CHARACTERS = st.one_of(
    st.sampled_from("ab01.,;-_ \n\r\t\0\x1b\x7f\x85\u2028\u202e\u2066\u200f\ufeff\ud800\udfffé☃😀"), st.characters()
)
TEXTS = st.text(CHARACTERS, max_size=20)
WHOLE = st.one_of(st.integers(-3, 12), st.sampled_from([2**31, 2**63, 10**40, -(2**63) - 1, 10**400]))
NUMBERS = st.one_of(WHOLE, st.floats(), st.sampled_from([1e6, 1e7, 1e300, -0.0]))
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=12,
)


@contextmanager
def bounded(size: int, factor: int = 30, constant: int = 8 * 2**20) -> Iterator[None]:
    """What is done within takes time and memory that follow from the size of what it was given, in bytes."""
    tracemalloc.start()
    began = time.process_time()
    try:
        yield
    finally:
        took, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert took < 10 + size * 1e-4, f"{took} s for {size} bytes"
    assert peak < factor * size + constant, f"{peak} bytes for {size}"


def is_sentence(said: object) -> bool:
    """Whether this is one sentence that an answer and a line of a log can hold."""
    text = str(said)
    return 0 < len(text) <= 7 * SENTENCE_LENGTH and text.isprintable() and bool(orjson.dumps(text))
