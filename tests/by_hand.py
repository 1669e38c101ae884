"""A network made of the equations in `tests.equations` and of its weights alone, autograd behind.

Nothing of the product is used, and no module of PyTorch's: each step has its own copy of the weights, so that its share
of a gradient is known too.
"""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import torch

from tests.equations import EQUATIONS

WIDEST = 32  # steps that a delay line holds


class Weights(dict):
    """The weights of one layer as one step uses them. A bias that is not there is 0."""

    def __missing__(self, name: str) -> float:
        if not name.startswith("bias"):
            raise KeyError(name)
        return 0.0


class ByHand:
    """A network read from its weights alone. `signals` by trace name: one tensor a step.

    weights: by the names of the product's files; inputs: token numbers, or rows of numbers; steps: how many there are,
    those after the inputs being given nothing; chosen: the cell's options.
    """

    def __init__(
        self,
        weights: Mapping[str, torch.Tensor | np.ndarray],
        cell: str,
        hidden: int,
        inputs: list,
        steps: int | None = None,
        **chosen: int | str,
    ):
        self.weights = {
            name: torch.as_tensor(array).detach().double().clone().requires_grad_() for name, array in weights.items()
        }
        self.step, self.hidden, self.chosen = EQUATIONS[cell], hidden, chosen
        self.signals, self.copies = {}, {}
        below = self.given(inputs, steps or len(inputs))
        for layer in range(sum(f"rnn.weight_ih_l{layer}" in weights for layer in range(9))):
            order = range(len(below))
            ways = [self.layer(f"l{layer}", f"layer{layer}", below, order)]
            if f"rnn.weight_ih_l{layer}_reverse" in weights:
                ways.append(self.layer(f"l{layer}_reverse", f"layer{layer}_reverse", below, order[::-1]))
            below = torch.cat(ways, dim=1)
        self.logits = below @ self.weights["readout.weight"].T + self.weights.get("readout.bias", 0)

    def given(self, inputs: list, steps: int) -> torch.Tensor:
        """The vectors that the lowest layer reads."""
        if isinstance(inputs[0], list):
            found = torch.tensor(inputs, dtype=torch.float64)
        elif "embedding.weight" in self.weights:
            found = self.weights["embedding.weight"][inputs]
        else:
            found = torch.eye(self.weights["rnn.weight_ih_l0"].shape[1], dtype=torch.float64)[inputs]
        return torch.cat([found, torch.zeros(steps - len(found), found.shape[1], dtype=torch.float64)])

    def layer(self, suffix: str, name: str, given: torch.Tensor, order: range) -> torch.Tensor:
        """One direction of one layer, (N, outputs), its signals recorded in the sequence's order."""
        names = [parameter for parameter in self.weights if parameter.endswith(f"_{suffix}")]
        before = defaultdict(lambda: torch.zeros(self.hidden, dtype=torch.float64))
        before["h"] = torch.zeros(self.chosen.get("projection") or self.hidden, dtype=torch.float64)
        earlier = [torch.zeros_like(given[0])] * WIDEST
        recorded: dict[int, dict[str, torch.Tensor]] = {}
        for t in order:
            weights = Weights()
            for parameter in names:
                short = parameter.removeprefix("rnn.").removesuffix(f"_{suffix}")
                weights[short] = copied = kept(self.weights[parameter] * 1)
                self.copies.setdefault(f"norm.{name}.{short}", {})[t] = copied
            before["inputs"] = earlier
            recorded[t] = {
                signal: kept(value) for signal, value in self.step(weights, given[t], before, **self.chosen).items()
            }
            before, earlier = dict(recorded[t]), [given[t], *earlier]
        for signal in recorded[0]:
            self.signals[f"{name}.{signal}"] = [recorded[t][signal] for t in range(len(given))]
        return torch.stack(self.signals[f"{name}.h"])

    def tensors(self, losses: torch.Tensor, loss: str) -> dict[str, np.ndarray]:
        """Everything a trace holds, by its names. losses: of the steps that are judged."""
        (losses.sum() if loss == "every" else losses[-1]).backward()
        found = {name: torch.stack(steps).detach() for name, steps in self.signals.items()}
        found |= {f"grad.{name}": torch.stack(list(map(gradient, steps))) for name, steps in self.signals.items()}
        found |= {f"grad.parameters.{name}": gradient(weight) for name, weight in self.weights.items()}
        for name, copies in self.copies.items():
            found[name] = torch.stack([gradient(copies[t]).norm() for t in range(len(copies))])
        found |= {"logits": self.logits.detach(), "loss": losses.detach()}
        return {name: tensor.numpy() for name, tensor in found.items()}


def kept(tensor: torch.Tensor) -> torch.Tensor:
    """The same, its gradient to be had afterwards."""
    tensor.retain_grad()
    return tensor


def gradient(tensor: torch.Tensor) -> torch.Tensor:
    """∂L/∂tensor, zeros where L does not depend on it."""
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def losses_of(given: torch.Tensor, targets: list) -> torch.Tensor:
    """The loss of the last steps, one for each target: −ln p of a class, or half the squared distance."""
    judged = given[-len(targets) :]
    if isinstance(targets[0], list):
        return 0.5 * ((judged - torch.tensor(targets, dtype=torch.float64)) ** 2).sum(dim=1)
    logarithms = judged - judged.logsumexp(dim=1, keepdim=True)
    return -logarithms[torch.arange(len(targets)), targets]


def close(ours: np.ndarray, theirs: np.ndarray, near: float = 1e-9) -> bool:
    """Whether two arrays are of one shape and differ by no more than this part of the largest value (or of 1e-3)."""
    return ours.shape == theirs.shape and np.abs(ours - theirs).max() <= near * max(np.abs(theirs).max(), 1e-3)
