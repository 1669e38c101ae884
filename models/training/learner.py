"""A training between two steps: the network, its optimiser, its batches, and how far it has come."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from gatescope.models.cells import cells
from gatescope.models.inspection.generate import generate
from gatescope.models.network.bptt import NetworkWeights
from gatescope.models.network.matmul import TorchMatmul
from gatescope.models.network.network import Network, untrained
from gatescope.models.training.batches import MakeBatches
from gatescope.models.training.checkpoint import Progress, resumed, to_bytes
from gatescope.models.training.corpus import Corpus
from gatescope.models.training.cpu_batches import CpuBatches
from gatescope.models.training.dataset import ExampleDataset
from gatescope.models.training.examples import is_dataset
from gatescope.models.training.optimiser import Optimiser
from gatescope.models.training.spec import Spec
from gatescope.models.training.statistics import gate_statistics, signal_gradient_norms

SAMPLE_LENGTH, SAMPLE_TEMPERATURE = 200, 0.8
# No guess among characters costs as much: a loss beyond it only grows.
HIGHEST_LOSS = 1e5


class Diverged(ArithmeticError):
    """The loss or a gradient stopped being finite; `step` says when."""

    def __init__(self, step: int):
        self.step = step
        super().__init__(f"diverged at step {step}")


class Learner:
    """Takes one step after another; what it tells of itself are the data of events.

    batches: what makes the gradients, by the cells' programs or on a GPU; a checkpoint does not know which it was.
    """

    def __init__(
        self,
        spec: Spec,
        resume: bytes | None = None,
        batches: MakeBatches = CpuBatches,
    ):
        self.spec, self.recipe, recipe = spec, spec.recipe, spec.recipe
        self.corpus = corpus = (ExampleDataset if is_dataset(spec.text) else Corpus)(spec.text, recipe)
        self.cell = cells()[recipe.cell].with_options(*recipe.options)
        parameters = untrained(
            self.cell,
            recipe.layers,
            recipe.hidden,
            corpus.vocabulary,
            recipe.embedding,
            recipe.seed,
            task=corpus.task,
            channels=corpus.channels,
            outputs=corpus.outputs,
            convolution=recipe.convolution,
        ).parameters
        self.progress = Progress(spec.digest)
        tensors: dict[str, np.ndarray] = {}
        if resume is not None:
            network, self.progress, tensors = resumed(resume, spec.digest)
            parameters = {name: network.parameters[name] for name in parameters}  # a file has an order of its own
        self.optimiser = Optimiser(parameters, recipe)
        self.best = tensors.get("best", self.optimiser.flat).copy()
        self.batches = batches(self._weights(), recipe)
        for name, vector in self._vectors().items():
            vector[...] = tensors.get(name, vector)
        self.batches.restore(
            {name: tensors.get(f"state.{name}", state) for name, state in self.batches.states().items()}
        )
        self._measured: tuple[int, float | None] = (0, None)
        self.right: float | None = None
        self._began = self._reported = time.monotonic()
        self._reported_step = self.progress.step

    def _vectors(self) -> dict[str, np.ndarray]:
        optimiser = self.optimiser
        return {name: part.numpy() for name, part in optimiser.memory.items()} | {"gradient": optimiser.gradient}

    def _weights(self) -> NetworkWeights:
        recipe, parameters = self.recipe, self.optimiser.parameters
        return NetworkWeights(
            self.cell,
            recipe.layers,
            recipe.hidden,
            parameters,
            np.dtype(np.float32),
            self.corpus.channels,
            TorchMatmul(),
        )

    def step(self) -> int:
        """Read one batch, move the weights if it is time; gives the number of the step. Raises Diverged."""
        recipe, progress, step = self.recipe, self.progress, self.progress.step + 1
        loss = self.batches.step(self.corpus.batch(step), step, self.optimiser.gradients)
        if not abs(loss) < HIGHEST_LOSS:
            raise Diverged(step)
        gathered = (step - 1) % recipe.update_every + 1
        if gathered == recipe.update_every or step == recipe.steps:
            update = self.optimiser.update(recipe.rate(step), gathered)
            if not math.isfinite(update.norm):
                raise Diverged(step)
            progress.last = {
                "gradient_norm": update.norm,
                "clipped": update.scale < 1,
                "clip_scale": update.scale,
                "gradient_norms": update.norms,
            }
            self.batches.refresh()
        progress.step, progress.loss_sum, progress.loss_count = step, progress.loss_sum + loss, progress.loss_count + 1
        if step == recipe.steps:
            progress.finished, progress.reason = True, "all steps are done"
        return step

    def measure(self) -> float:
        """The loss of the present weights on the held-out text; it changes nothing. Raises Diverged."""
        loss, self.right = self.corpus.evaluate(self.batches.weights)
        if not loss < HIGHEST_LOSS:
            raise Diverged(self.progress.step)
        self._measured = self.progress.step, loss
        return loss

    def validate(self) -> None:
        """Measure the loss on the held-out text, remember the best weights, end when patience has run out."""
        progress, loss = self.progress, self.measure()
        point = {"step": progress.step, "epoch": self.corpus.epoch_of(progress.step), "validation_loss": loss}
        progress.curve.append(point if self.right is None else point | {"right": self.right})
        if loss < progress.best:
            progress.best, progress.best_at = loss, len(progress.curve)
            self.best[...] = self.optimiser.flat
        if len(progress.curve) - progress.best_at >= self.recipe.patience and not progress.finished:
            progress.finished = True
            progress.reason = f"the held-out loss has not fallen for {self.recipe.patience} validations"

    def report(self) -> dict[str, Any]:
        """A `progress` event; loss is the mean since the last one."""
        recipe, progress, now = self.recipe, self.progress, time.monotonic()
        loss = progress.loss_sum / progress.loss_count
        pace = (progress.step - self._reported_step) / max(now - self._reported, 1e-9)
        progress.loss_sum, progress.loss_count = 0.0, 0
        self._reported, self._reported_step = now, progress.step
        return {
            "step": progress.step,
            "steps": recipe.steps,
            "epoch": self.corpus.epoch_of(progress.step),
            "loss": loss,
            "validation_loss": progress.curve[-1]["validation_loss"] if progress.curve else None,
            "bits_per_character": None if self.corpus.task.is_regression else loss / math.log(2),
            **({} if self.right is None else {"right": self.right}),
            **progress.last,
            "signal_gradient_norms": signal_gradient_norms(self.batches.shares),
            "learning_rate": recipe.rate(progress.step),
            "device": self.batches.device,
            "characters_per_second": pace * recipe.batch_size * recipe.sequence_length,
            "eta_s": (recipe.steps - progress.step) / pace,
        }

    def gates(self) -> dict[str, Any]:
        """A `gates` event."""
        return {"step": self.progress.step, "layers": gate_statistics(self.batches.shares)}

    @property
    def writes(self) -> bool:
        """Whether what is learnt is to write on."""
        return self.corpus.task.gives == "next" and not self.corpus.channels

    def sample(self) -> dict[str, Any]:
        """A `sample` event: what the network writes now, after the text's first character."""
        network = self.network()
        seed = (self.recipe.seed, self.progress.step)
        start = [int(self.corpus.start)]
        *_, (_, end) = generate(network, start, SAMPLE_LENGTH, SAMPLE_TEMPERATURE, seed=seed)
        return {"step": self.progress.step, "text": network.task.join([network.text(start), end["text"]])}

    def take_best(self) -> None:
        """End with the weights that predicted the held-out text best."""
        self.optimiser.flat[...] = self.best
        self.batches.refresh()

    def network(self) -> Network:
        """The network as it is now, with a card that says how it came to be."""
        recipe, corpus, progress = self.recipe, self.corpus, self.progress
        step, measured = self._measured
        loss = progress.best if progress.finished else measured if step == progress.step else None
        card = {
            "recipe": recipe.to_json(),
            "validation_loss": loss,
            "curve": progress.curve,
            **({"right": best["right"]} if "right" in (best := min(progress.curve, key=_loss, default={})) else {}),
            "data": {
                "lessons" if is_dataset(self.spec.text) else "characters": corpus.size,
                "trained_on": corpus.trained_on,
                "held_out": corpus.held_out,
            },
            "steps": progress.step,
            "minutes": round((progress.seconds + time.monotonic() - self._began) / 60, 1),
        }
        title = self.spec.title or f"{recipe.cell} {recipe.layers}×{recipe.hidden}"
        return Network(
            "trained",
            title,
            self.cell,
            recipe.layers,
            recipe.hidden,
            corpus.vocabulary,
            self.optimiser.parameters,
            recipe.embedding,
            card,
            origin="run",
            task=corpus.task,
        )

    def checkpoint(self) -> bytes:
        """All that goes on from here to the same bit."""
        progress, now = self.progress, time.monotonic()
        network = self.network()
        progress.seconds, self._began = progress.seconds + now - self._began, now
        tensors = {} if progress.finished else self._vectors() | {"best": self.best}
        if not progress.finished:
            tensors |= {f"state.{name}": state for name, state in self.batches.states().items()}
        return to_bytes(network, progress, tensors)


def _loss(point: dict[str, Any]) -> float:
    return float(point["validation_loss"])
