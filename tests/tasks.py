"""Small networks of every form beyond characters in and the next one out."""

import math

from gatescope.models.cells import cells
from gatescope.models.network.network import Network, untrained
from gatescope.models.network.task import Task

LETTERS = sorted(set(" ,.:Tabcdefghijklmnopqrstuvwxyz"))
WORDS = "the a wolf dog sleeps runs in wood and under old oak extraordinarily . <end>".split()
WAVE = tuple((round(math.sin(step / 3), 3),) for step in range(24))
PAIRS = tuple((round(math.sin(step / 2), 3), round(step % 5 / 5, 3)) for step in range(16))
KINDS = ("calm", "a wave", "a spike that goes up")


def networks() -> dict[str, Network]:
    """The networks by id: `small-both-ways`, `small-words`, `small-values`, `small-classes`, `small-one-to-many`,
    `small-projected`.
    """
    lstm, gru, elman = (cells()[id] for id in ("lstm", "gru", "elman"))
    projected = lstm.with_options(("projection", 3))
    classes = Task("values", "classes", "many-to-one", labels=KINDS, example=PAIRS)
    tune = Task("characters", "values", "one-to-many", labels=("pitch", "loudness"), steps=12, example="a")
    return {
        "small-both-ways": untrained(lstm, 2, 8, LETTERS, 5, directions=2, title="Both ways"),
        "small-words": untrained(gru, 1, 8, WORDS, 6, title="Words", task=Task("words", example=" ".join(WORDS[:12]))),
        "small-values": untrained(
            lstm, 1, 8, [], title="A wave", task=Task("values", "next", example=WAVE), channels=1, outputs=1
        ),
        "small-classes": untrained(
            gru, 1, 8, [], title="Three kinds", task=classes, channels=2, outputs=3, convolution=(5, 3)
        ),
        "small-one-to-many": untrained(elman, 1, 8, LETTERS, title="A tune", task=tune, outputs=2),
        "small-projected": untrained(projected, 2, 8, LETTERS, 5, title="Projected"),
    }
