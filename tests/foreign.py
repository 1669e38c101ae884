"""Networks as other people make them: torch modules of their own, and the bytes their training scripts would save."""

import json

import torch
from safetensors.torch import save

CHARACTERS = [*"abcdefg \n", "<pad>", "é"]
KINDS = ("tanh", "relu", "gru", "lstm")


class Theirs(torch.nn.Module):
    """A character model with its own names: `net.encoder` (nn.Embedding) or one-hot, `net.memory.rnn`, `net.fc`."""

    def __init__(
        self, kind: str, layers: int = 1, bias: bool = True, embedding: bool = True, readout: bool = True, seed: int = 0
    ):
        super().__init__()
        torch.manual_seed(seed)
        self.kind, count, inputs, hidden = kind, len(CHARACTERS), 5 if embedding else len(CHARACTERS), 6
        make = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}.get(kind, torch.nn.RNN)
        chosen = {} if kind in ("gru", "lstm") else {"nonlinearity": kind}
        self.net = torch.nn.ModuleDict({"memory": torch.nn.ModuleDict()})
        if embedding:
            self.net["encoder"] = torch.nn.Embedding(count, inputs)
        self.net["memory"]["rnn"] = make(inputs, hidden, layers, bias=bias, **chosen)
        if readout:
            self.net["fc"] = torch.nn.Linear(hidden, count, bias=bias)
        self.double()

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The upper layer's output (N, H) and the logits (N, V)."""
        one_hot = torch.eye(len(CHARACTERS), dtype=torch.float64)
        inputs = self.net["encoder"](tokens) if "encoder" in self.net else one_hot[tokens]
        output, _ = self.net["memory"]["rnn"](inputs)
        return output, self.net["fc"](output) if "fc" in self.net else None

    def facts(self) -> dict[str, str]:
        """The metadata that a person adds."""
        relu = {"nonlinearity": "relu"} if self.kind == "relu" else {}
        return {"vocabulary": json.dumps(CHARACTERS), "title": "Theirs"} | relu

    def saved(self, **facts: str) -> bytes:
        """The state_dict as a safetensors file."""
        return save(self.state_dict(), self.facts() | facts)
