"""Gated recurrent unit."""

from gatescope.models.graph import Cell


class GRU(Cell):
    """Gated recurrent unit (Cho et al. 2014), the reset gate after the product as in PyTorch and cuDNN, or before it as
    in the paper.
    """

    title = "GRU"
    states = ("h",)
    blocks = ("r", "z", "n")
    reference = "torch.nn.GRU"
    options = {"reset": ("after", "before")}
    words = {
        "r": ("reset gate", "reset gate"),
        "z": ("update gate", "update gate"),
        "s": ("memory that the candidate sees", "memory that passes the reset gate"),
        "n": ("candidate", "new working memory"),
        "h": ("memory", "working memory"),
    }
    purposes = {
        "r": "How much of the memory each unit looks at when it thinks of something new: at 0 only the input counts.",
        "z": "How much of its memory each unit keeps: at 1 it stays as it was, at 0 the new takes its place.",
        "s": "The memory as the reset gate leaves it, which the candidate reads.",
        "n": "What is new: what each unit would remember instead, if the update gate let it.",
        "h": "What the cell remembers and shows: a mixture of what it was and of what is new.",
    }

    def step(self, x, h):
        """One step; z near 1 keeps the memory as it was."""
        r = self.gate("r", x, h)  # how much of the memory the candidate may see
        z = self.gate("z", x, h)  # how much of the memory to keep
        if self.option("reset") == "before":
            n = self.candidate("n", x, self.signal("s", r * h))
        else:
            n = self.candidate("n", x, r * self.linear("n", h))
        return (1 - z) * n + z * h
