"""Training a character network with the same programs that draw it: truncated backpropagation through time.

`train` is a pure generator: it takes a text and a recipe and yields what happens, as plain events. Gradients come from
the derived programs; the optimiser, the schedule and the clipping are PyTorch's (imported when training starts, the one
late import).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import numpy as np

from models.cells import cells
from models.denormals import flushed
from models.network import Network, untrained
from models.losses import cross_entropy, logit_gradient
from models.passes import Pass, blocks


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training besides the text; a stored recipe trains the same network again.

    options: choices the cell offers, such as ("window", 8). learning_rate is reached after the fraction warm_up of all
    steps and then falls to zero. epochs: upper limit; patience: epochs without a better validation loss before
    stopping. embedding None means one-hot input. dropout acts on each layer's output. validation: the fraction of the
    text, at its end, that is held out. threads: sequences of a batch are shared among so many.
    """

    cell: str = "lstm"
    options: tuple[tuple[str, int | str], ...] = ()
    layers: int = 1
    hidden: int = 128
    embedding: int | None = None
    batch_size: int = 64
    sequence_length: int = 128
    learning_rate: float = 4e-3
    warm_up: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    dropout: float = 0.0
    epochs: int = 20
    patience: int = 3
    validation: float = 0.1
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        limits = {
            "layers": (1, 8),
            "hidden": (1, 2048),
            "batch_size": (1, 1024),
            "sequence_length": (2, 2048),
            "epochs": (1, 1000),
            "learning_rate": (1e-7, 1.0),
            "clip": (1e-3, 1e6),
            "dropout": (0.0, 0.9),
            "validation": (0.01, 0.5),
            "threads": (1, 64),
            "warm_up": (0.01, 0.9),
            "patience": (1, 1000),
            "weight_decay": (0.0, 1.0),
        }
        if self.cell not in cells():
            raise ValueError(f"cell must be one of {', '.join(cells())}")
        cells()[self.cell].with_options(*self.options)
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must be between {low} and {high}")
        if self.embedding is not None and not 1 <= self.embedding <= 2048:
            raise ValueError("embedding must be between 1 and 2048, or none for one-hot input")


def train(text: str, recipe: Recipe, title: str = "") -> Iterator[dict]:
    """Train on a text; yields `progress` events, a `validation` event an epoch and an `end` event with the best
    network.

    Losses are in nats a character. The tail of the text is never trained on. Raises ValueError for a text too short to
    train on.
    """
    import torch

    torch.set_num_threads(1)
    vocabulary = sorted(set(text))
    number = {character: index for index, character in enumerate(vocabulary)}
    data = np.array([number[character] for character in text], np.intp)
    cut = int(len(data) * (1 - recipe.validation))
    columns = _columns(data[:cut], recipe.batch_size)
    if len(vocabulary) < 2 or len(columns) < recipe.sequence_length + 1 or len(data) - cut < 2:
        raise ValueError(
            f"the text is too short or too plain: {len(text)} characters, {len(vocabulary)} different, for "
            f"{recipe.batch_size} sequences of {recipe.sequence_length}"
        )
    network = untrained(
        cells()[recipe.cell].with_options(*recipe.options),
        recipe.layers,
        recipe.hidden,
        vocabulary,
        recipe.embedding,
        recipe.seed,
        title=title,
    )
    tensors = {name: torch.from_numpy(array) for name, array in network.parameters.items()}
    optimiser = torch.optim.AdamW(
        tensors.values(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    starts = list(range(0, len(columns) - recipe.sequence_length, recipe.sequence_length))
    total = len(starts) * recipe.epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=total, pct_start=recipe.warm_up
    )
    best, curve, began = (math.inf, {}), [], time.monotonic()
    with Batches(network, recipe) as batches:
        for epoch in range(1, recipe.epochs + 1):
            batches.restart()
            seen, summed = 0, 0.0
            for start in starts:
                loss, gradients = batches.step(columns[start : start + recipe.sequence_length + 1])
                for name, tensor in tensors.items():
                    tensor.grad = torch.from_numpy(gradients[name])
                norm = float(torch.nn.utils.clip_grad_norm_(tensors.values(), recipe.clip))
                optimiser.step()
                schedule.step()
                network.weights.cache_clear()
                seen, summed = seen + 1, summed + loss
                step = (epoch - 1) * len(starts) + seen
                yield {
                    "event": "progress",
                    "step": step,
                    "steps": total,
                    "epoch": epoch,
                    "loss": loss,
                    "gradient_norm": norm,
                    "characters_per_second": step
                    * recipe.batch_size
                    * recipe.sequence_length
                    / (time.monotonic() - began),
                }
            validation = evaluate(network, data[cut:])
            curve.append({"epoch": epoch, "loss": round(summed / seen, 4), "validation_loss": round(validation, 4)})
            if validation < best[0]:
                best = validation, {name: array.copy() for name, array in network.parameters.items()}
            yield {"event": "validation", **curve[-1], "best": best[0]}
            if len(curve) - min(curve, key=lambda point: point["validation_loss"])["epoch"] >= recipe.patience:
                break
    card = {
        "recipe": asdict(recipe),
        "validation_loss": round(best[0], 4),
        "curve": curve,
        "data": {"characters": len(text), "trained_on": cut, "held_out": len(text) - cut},
        "minutes": round((time.monotonic() - began) / 60, 1),
    }
    yield {
        "event": "end",
        "network": Network(
            "trained",
            title or f"{recipe.cell} {recipe.layers}×{recipe.hidden}",
            network.cell,
            network.layers,
            network.hidden,
            vocabulary,
            best[1],
            network.embedding,
            card,
        ),
    }


class Batches:
    """The gradient of one batch after another, the sequences of a batch shared among threads, states carried from batch
    to batch.
    """

    def __init__(self, network: Network, recipe: Recipe):
        self.network, self.recipe = network, recipe
        self.random = np.random.default_rng(recipe.seed + 1)
        edges = np.linspace(0, recipe.batch_size, recipe.threads + 1).astype(int)
        self.shares = [slice(first, last) for first, last in zip(edges[:-1], edges[1:], strict=True) if last > first]
        weights = network.weights()
        self.passes = [Pass(weights, recipe.sequence_length, share.stop - share.start) for share in self.shares]
        self.pool = ThreadPoolExecutor(len(self.shares))
        self.restart()

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *error: object) -> None:
        self.pool.shutdown()

    def restart(self) -> None:
        """Begin the text again: all states zero."""
        for part in self.passes:
            for layer in part.layers:
                layer.forget()

    def step(self, characters: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
        """Mean loss a character and its gradient over (sequence_length + 1, batch) characters, beginning where the last
        batch ended.
        """
        keep = 1 - self.recipe.dropout
        shape = (len(self.passes[0].layers), len(characters) - 1, characters.shape[1], self.network.hidden)
        masks = None
        if keep < 1:
            masks = (self.random.random(shape, np.float32) < keep).astype(np.float32) / np.float32(keep)
        weights = self.network.weights()
        parts = list(
            self.pool.map(
                lambda part, share: self._part(part, weights, characters[:, share], masks, share, characters.size),
                self.passes,
                self.shares,
            )
        )
        total = {name: sum((gradients[name] for _, gradients in parts[1:]), parts[0][1][name]) for name in parts[0][1]}
        return sum(loss for loss, _ in parts), total

    def _part(
        self, part: Pass, weights, characters: np.ndarray, masks, share: slice, size: int
    ) -> tuple[float, dict[str, np.ndarray]]:
        steps, part.gradients = len(characters) - 1, {}
        part.use(weights)
        scale = np.float32(1 / (steps * self.recipe.batch_size))
        part.drop(None if masks is None else masks[:, :, share])
        length = max(4, 512 // characters.shape[1])
        with flushed():
            for layer in part.layers:
                layer.carry()
            for first, last in blocks(steps, length):
                part.forward(characters[first:last], first)
            losses, probabilities = cross_entropy(part.logits, characters[1:])
            gradient = logit_gradient(probabilities, characters[1:])
            gradient *= scale
            for first, last in reversed(blocks(steps, length)):
                part.backward(gradient[first:last], first, last)
        return float(losses.sum() * scale), part.gradients


def evaluate(network: Network, data: np.ndarray) -> float:
    """Mean loss in nats a character over a text read once from its beginning, state carried all along; no dropout."""
    weights, length = network.weights(), 256
    read, total = Pass(weights, length, backward=False), 0.0
    with flushed():
        for first in range(0, len(data) - 1, length):
            given = data[first : first + length + 1, None]
            for layer in read.layers:
                if first:
                    layer.carry()
            read.forward(given[:-1])
            losses, _ = cross_entropy(read.logits[: len(given) - 1], given[1:])
            total += float(losses.sum(dtype=np.float64))
    return total / (len(data) - 1)


def _columns(data: np.ndarray, batch: int) -> np.ndarray:
    """The text as `batch` equal columns read side by side, (steps, batch)."""
    steps = len(data) // batch
    return data[: steps * batch].reshape(batch, steps).T
