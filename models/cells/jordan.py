"""The network that reads its own output."""

from gatescope.models.graph import Cell, tanh


class Jordan(Cell):
    """The output fed back (Jordan 1986, "Serial order"): the units see the step before as its output y = V h + b."""

    title = "Jordan"
    states = ("h",)
    blocks = ("h", "y")
    words = {"y": ("output of the step before", "output"), "h": ("units", "hidden layer")}
    purposes = {
        "y": "What the network gave at the step before: all that it knows of its past.",
        "h": "What the units make of the input and of the last output.",
    }
    renamed = {"weight_Noneh": "weight_yh", "bias_Noneh": "bias_yh"}

    def step(self, x, h):
        """One step; the memory is seen only through the output made of it."""
        y = self.signal("y", self.map("y", h))
        return tanh(self.linear("h", x, y))
