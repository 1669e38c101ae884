"""The gated unit that reads no memory to decide."""

from gatescope.models.graph import Cell


class MinGRU(Cell):
    """The minimal GRU (Feng et al. 2024, "Were RNNs all we needed?", section 3.1): gate and candidate see the input
    alone, so that all steps could be computed at once.
    """

    title = "minGRU"
    states = ("h",)
    blocks = ("z", "n")
    words = {"z": ("update gate", "update gate"), "n": ("candidate", "new memory"), "h": ("memory", "memory")}
    purposes = {
        "z": "How much of its memory each unit replaces: at 0 it stays as it was, at 1 the new takes its place.",
        "n": "What is new, made of the input alone: what each unit would remember instead.",
        "h": "What the cell remembers and shows: a mixture of what it was and of what is new.",
    }

    def step(self, x, h):
        """One step; z near 1 writes the memory anew, with nothing squashed."""
        z = self.gate("z", x)
        n = self.signal("n", self.linear("n", x))
        return (1 - z) * h + z * n
