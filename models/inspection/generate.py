"""Writing with a network: one character at a time, each drawn from what the network expects next, with the gates that
wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gatescope.models.compiler.denormals import flushed
from gatescope.models.inspection.interventions import Intervention, intervention_records
from gatescope.models.inspection.trace import FRAME, Event, begin_event, top_guesses
from gatescope.models.network.bptt import NetworkPass, time_chunks
from gatescope.models.network.losses import softmax
from gatescope.models.network.network import Network
from gatescope.models.refused import Refused

LONGEST = 2000


def generate(
    network: Network,
    prompt: Sequence[int],
    length: int = 200,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int | tuple[int, ...] = 0,
    interventions: Sequence[Intervention] = (),
) -> Iterator[Event]:
    """Read a prompt, then write `length` characters: events `begin`, `forward` (the prompt), `character` …, `end`.

    temperature divides the logits: towards 0 the likeliest character is always taken; top_k leaves only the k
    likeliest. The same seed gives the same text. interventions: as in a trace, t counted from the prompt's first
    character. Raises Refused before the first event.
    """
    characters = network.vocabulary_size
    if network.task.gives != "next" or not network.predicts or not network.vocabulary:
        raise Refused(
            "model", "must have a readout that predicts the next character or word, and a vocabulary, to write a text"
        )
    if any(spec.reverse for spec in network.layer_specs):
        raise Refused("model", "must not read from the end, which is not written yet")
    if not len(prompt):
        raise Refused("prompt", "at least one character is needed")
    if not 1 <= length <= LONGEST:
        raise Refused("length", f"must be between 1 and {LONGEST}")
    if not 0 <= temperature <= 100:
        raise Refused("temperature", "must be between 0 and 100")
    if top_k is not None and not 1 <= top_k <= characters:
        raise Refused("top_k", f"must be between 1 and {characters}, the number of characters the network knows")
    steps = len(prompt) + length
    work = NetworkPass(
        network.weights(),
        steps,
        backward=False,
        interventions=intervention_records(network, steps, interventions, "float32"),
    )
    return _events(network, work, list(prompt), length, temperature, top_k, np.random.default_rng(seed))


def _events(
    network: Network,
    work: NetworkPass,
    prompt: list[int],
    length: int,
    temperature: float,
    top_k: int | None,
    random: np.random.Generator,
) -> Iterator[Event]:
    def read(tokens: list[int], first: int) -> list[dict[str, np.ndarray]]:
        with flushed():
            work.forward(np.array(tokens, np.intp)[:, None], first)
        return [
            {signal: layer.signal(signal)[first : first + len(tokens), 0] for signal in layer.cell.graph().signals}
            for layer in work.layers
        ]

    yield begin_event(network, np.array(prompt)[:, None], work.steps)
    for first, last in time_chunks(len(prompt), FRAME):
        frame = {"t": first, "n": last - first, "layers": read(prompt[first:last], first)}
        yield "forward", frame | {"top": top_guesses(softmax(work.logits[first:last, 0]))}
    written = []
    for t in range(len(prompt), len(prompt) + length):
        expected = work.logits[t - 1, 0].astype(np.float64)
        token = _draw(expected, temperature, top_k, random)
        written.append(token)
        character = {"t": t, "token": token, "probability": float(softmax(expected)[token])}
        yield "character", character | {"layers": read([token], t), "top": top_guesses(softmax(work.logits[t]))[0]}
    yield "end", {"text": network.text(written)}


def _draw(logits: np.ndarray, temperature: float, top_k: int | None, random: np.random.Generator) -> int:
    """One token; a draw is spent whatever the temperature, so that a seed's later draws do not depend on it."""
    chance = random.random()
    if temperature < 1e-6:
        return int(logits.argmax())
    if top_k is not None:
        logits = np.where(logits >= np.sort(logits)[-top_k], logits, -np.inf)
    return min(int(np.searchsorted(np.cumsum(softmax(logits / temperature)), chance, side="right")), len(logits) - 1)
