"""The simple recurrent network."""

from gatescope.models.graph import Cell, relu, tanh


class Elman(Cell):
    """The simple recurrent network (Elman 1990, "Finding structure in time")."""

    title = "Elman"
    states = ("h",)
    blocks = ("h",)
    reference = "torch.nn.RNN"
    options = {"nonlinearity": ("tanh", "relu")}
    words = {"h": ("memory", "state")}
    purposes = {"h": "All that the cell remembers and shows, mixed with the input and squashed anew at every step."}

    def step(self, x, h):
        """One step; the whole memory is written anew."""
        squash = {"tanh": tanh, "relu": relu}[self.option("nonlinearity")]
        return squash(self.linear("h", x, h))
