"""Networks as other people make them: torch modules of their own, and the bytes their training scripts would save."""

import json

import torch
from safetensors.torch import save

CHARACTERS = [*"abcdefg \n", "<pad>", "é"]
KINDS = ("tanh", "relu", "gru", "lstm")
HIDDEN = 6


class Theirs(torch.nn.Module):
    """A model with its own names: `net.encoder` (nn.Embedding), one-hot or real input, `net.memory.rnn`, `net.fc`.

    channels: numbers a step, 0 where it reads tokens. outputs: rows of the readout, None for as many as inputs.
    """

    def __init__(
        self,
        kind: str,
        layers: int = 1,
        bias: bool = True,
        embedding: bool = True,
        readout: bool = True,
        seed: int = 0,
        both_ways: bool = False,
        projection: int = 0,
        channels: int = 0,
        outputs: int | None = None,
    ):
        super().__init__()
        torch.manual_seed(seed)
        self.kind, self.channels = kind, channels
        self.count = channels or len(CHARACTERS)
        inputs = 5 if embedding and not channels else self.count
        make = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}.get(kind, torch.nn.RNN)
        chosen = {} if kind in ("gru", "lstm") else {"nonlinearity": kind}
        chosen |= {"proj_size": projection} if projection else {}
        self.net = torch.nn.ModuleDict({"memory": torch.nn.ModuleDict()})
        if inputs != self.count:
            self.net["encoder"] = torch.nn.Embedding(self.count, inputs)
        self.net["memory"]["rnn"] = make(inputs, HIDDEN, layers, bias=bias, bidirectional=both_ways, **chosen)
        if readout:
            width = (projection or HIDDEN) * (2 if both_ways else 1)
            self.net["fc"] = torch.nn.Linear(width, self.count if outputs is None else outputs, bias=bias)
        self.double()

    def given(self, inputs: torch.Tensor) -> torch.Tensor:
        """What the recurrent module is given: numbers as they are, tokens embedded or one-hot."""
        if self.channels:
            return inputs
        one_hot = torch.eye(self.count, dtype=torch.float64)
        return self.net["encoder"](inputs) if "encoder" in self.net else one_hot[inputs]

    def forward(self, inputs: torch.Tensor, steps: int = 0) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The upper layer's output (N, H) and the logits (N, V); steps: how many more follow, with nothing given."""
        given = torch.nn.functional.pad(self.given(inputs), (0, 0, 0, steps))
        output, _ = self.net["memory"]["rnn"](given)
        return output, self.net["fc"](output) if "fc" in self.net else None

    def facts(self) -> dict[str, str]:
        """The metadata that a person adds."""
        relu = {"nonlinearity": "relu"} if self.kind == "relu" else {}
        known = {} if self.channels else {"vocabulary": json.dumps(CHARACTERS)}
        return known | {"title": "Theirs"} | relu

    def saved(self, **facts: str) -> bytes:
        """The state_dict as a safetensors file."""
        return save(self.state_dict(), self.facts() | facts)
