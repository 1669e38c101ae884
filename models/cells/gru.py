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

    def step(self, x, h):
        """One step; z near 1 keeps the memory as it was."""
        r = self.gate("r", x, h)  # how much of the memory the candidate may see
        z = self.gate("z", x, h)  # how much of the memory to keep
        if self.option("reset") == "before":
            n = self.candidate("n", x, self.signal("s", r * h))
        else:
            n = self.candidate("n", x, r * self.linear("n", h))
        return (1 - z) * n + z * h
