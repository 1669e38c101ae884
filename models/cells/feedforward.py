"""The network without a memory."""

from gatescope.models.graph import Cell, tanh


class FeedForward(Cell):
    """One layer of a feed-forward network: each step sees its own input and nothing else."""

    title = "Feed-forward"
    states = ("h",)
    blocks = ("h",)
    words = {"h": ("units", "hidden layer")}
    purposes = {"h": "What the units make of this one input: nothing that was before is read."}

    def step(self, x, h):
        """One step; what was before is not read."""
        return tanh(self.linear("h", x))
