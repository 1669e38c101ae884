"""Gated recurrent unit."""

from models.cell import Cell


class GRU(Cell):
    """Gated recurrent unit (Cho et al. 2014), the reset gate after the product as in PyTorch and cuDNN."""

    title = "GRU"
    states = ("h",)
    blocks = ("r", "z", "n")
    reference = "torch.nn.GRU"
    words = {
        "r": ("reset gate", "reset gate"),
        "z": ("update gate", "update gate"),
        "n": ("candidate", "new working memory"),
        "h": ("memory", "working memory"),
    }

    def step(self, x, h):
        """One step; z near 1 keeps the memory as it was."""
        r = self.gate("r", x, h)  # how much of the memory the candidate may see
        z = self.gate("z", x, h)  # how much of the memory to keep
        n = self.candidate("n", x, r * self.linear("n", h))
        return (1 - z) * n + z * h
