"""The network that reads its own output."""

from gatescope.models.graph.cell import Cell
from gatescope.models.graph.graph import tanh


class Jordan(Cell):
    """The output fed back (Jordan 1986, "Serial order"): the units see the step before as its output y = V h + b."""

    title = "Jordan"
    states = ("h",)
    blocks = ("h", "y")
    words = {"h": ("units", "hidden layer")}

    def step(self, x, h):
        """One step; the memory is seen only through the output made of it."""
        y = self.map("y", h)
        return tanh(self.linear("h", x, self.map("h", y)))
