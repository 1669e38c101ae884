"""The documented equations of torch.nn.RNN, GRU and LSTM, written out one by one over a state_dict, autograd behind.

Nothing of the product is used, and no module of PyTorch's: each step has its own copy of the weights, so that its share
of a gradient is known too.
"""

from collections.abc import Mapping

import numpy as np
import torch

RECURRENT, EMBEDDING, READOUT = "net.memory.rnn.", "net.encoder.weight", "net.fc."


class ByHand:
    """A network read from its state_dict alone. `signals` by trace name: one tensor a step."""

    def __init__(self, state: Mapping[str, torch.Tensor], kind: str, inputs: list, steps: int):
        """steps: how many there are, those after the inputs being given nothing."""
        self.weights = {name: tensor.detach().double().requires_grad_() for name, tensor in state.items()}
        self.kind, self.signals, self.copies = kind, {}, {}
        below = self.given(inputs, steps)
        for layer in range(sum(f"{RECURRENT}weight_ih_l{layer}" in state for layer in range(9))):
            ways = [self.layer(f"l{layer}", f"layer{layer}", below, range(steps))]
            if f"{RECURRENT}weight_ih_l{layer}_reverse" in state:
                backwards = range(steps - 1, -1, -1)
                ways.append(self.layer(f"l{layer}_reverse", f"layer{layer}_reverse", below, backwards))
            below = torch.cat(ways, dim=1)
        self.logits = below @ self.weights[f"{READOUT}weight"].T + self.weights.get(f"{READOUT}bias", 0)

    def given(self, inputs: list, steps: int) -> torch.Tensor:
        """The vectors that the lowest layer reads."""
        if isinstance(inputs[0], list):
            found = torch.tensor(inputs, dtype=torch.float64)
        elif EMBEDDING in self.weights:
            found = self.weights[EMBEDDING][inputs]
        else:
            size = self.weights[f"{RECURRENT}weight_ih_l0"].shape[1]
            found = torch.eye(size, dtype=torch.float64)[inputs]
        return torch.cat([found, torch.zeros(steps - len(found), found.shape[1], dtype=torch.float64)])

    def layer(self, suffix: str, name: str, given: torch.Tensor, order: range) -> torch.Tensor:
        """One direction of one layer, (N, outputs), its signals recorded in the sequence's order."""
        hidden = self.weights[f"{RECURRENT}weight_hh_{suffix}"].shape[0] // {"gru": 3, "lstm": 4}.get(self.kind, 1)
        projected = f"{RECURRENT}weight_hr_{suffix}" in self.weights
        h = torch.zeros(self.weights[f"{RECURRENT}weight_hh_{suffix}"].shape[1], dtype=torch.float64)
        c = torch.zeros(hidden, dtype=torch.float64)
        recorded: dict[int, dict[str, torch.Tensor]] = {}
        for t in order:
            bias = [self.copy(f"bias_{read}", suffix, name, t) for read in ("ih", "hh")]
            x = self.copy("weight_ih", suffix, name, t) @ given[t] + bias[0]
            a = self.copy("weight_hh", suffix, name, t) @ h + bias[1]
            now = recorded[t] = {}
            if self.kind == "gru":
                (xr, xz, xn), (ar, az, an) = x.split(hidden), a.split(hidden)
                r, z = now["r"], now["z"] = self.kept(torch.sigmoid(xr + ar)), self.kept(torch.sigmoid(xz + az))
                n = now["n"] = self.kept(torch.tanh(xn + r * an))
                h = (1 - z) * n + z * h
            elif self.kind == "lstm":
                i, f, g, o = (x + a).split(hidden)
                i, f, o = now["i"], now["f"], now["o"] = [self.kept(torch.sigmoid(gate)) for gate in (i, f, o)]
                g = now["g"] = self.kept(torch.tanh(g))
                c = now["c"] = self.kept(f * c + i * g)
                h = o * torch.tanh(c)
                if projected:
                    m = now["m"] = self.kept(h)
                    h = self.copy("weight_hr", suffix, name, t) @ m
            else:
                h = {"tanh": torch.tanh, "relu": torch.relu}[self.kind](x + a)
            h = now["h"] = self.kept(h)
        for signal in recorded[0]:
            self.signals[f"{name}.{signal}"] = [recorded[t][signal] for t in range(len(given))]
        return torch.stack(self.signals[f"{name}.h"])

    def copy(self, parameter: str, suffix: str, name: str, t: int) -> torch.Tensor | float:
        """A parameter as one step uses it; 0 for a bias that is not there."""
        whole = self.weights.get(f"{RECURRENT}{parameter}_{suffix}")
        if whole is None:
            return 0.0
        self.copies.setdefault(f"norm.{name}.{parameter}", {})[t] = copied = self.kept(whole * 1)
        return copied

    def kept(self, tensor: torch.Tensor) -> torch.Tensor:
        """The same, its gradient to be had afterwards."""
        tensor.retain_grad()
        return tensor

    def tensors(self, losses: torch.Tensor, loss: str, names: Mapping[str, str]) -> dict[str, np.ndarray]:
        """Everything a trace holds, by its names. losses: of the steps that are judged; names: the file's name of each
        parameter.
        """
        (losses.sum() if loss == "every" else losses[-1]).backward()
        found = {name: torch.stack(steps).detach() for name, steps in self.signals.items()}
        found |= {f"grad.{name}": torch.stack(list(map(gradient, steps))) for name, steps in self.signals.items()}
        found |= {f"grad.parameters.{name}": gradient(self.weights[file]) for name, file in names.items()}
        for name, copies in self.copies.items():
            found[name] = torch.stack([gradient(copies[t]).norm() for t in range(len(copies))])
        found |= {"logits": self.logits.detach(), "loss": losses.detach()}
        return {name: tensor.numpy() for name, tensor in found.items()}


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
