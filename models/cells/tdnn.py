"""The time-delay network."""

from gatescope.models.graph import Cell, relu, tanh


class TDNN(Cell):
    """A time-delay network: a window of the last few inputs (Waibel et al. 1989); beyond the window it sees nothing."""

    title = "Time-delay"
    options = {"window": range(2, 33), "nonlinearity": ("tanh", "relu")}
    usual = {"window": 4}
    states = ("h", "x1", "x2", "x3")
    blocks = ("h",)
    words = {"h": ("units", "hidden layer")}
    purposes = {"h": "What the units make of this input and of the few before it, side by side."}

    @classmethod
    def shaped(cls, window=4, **_):
        """One state for each earlier input in the window."""
        return {"states": ("h", *(f"x{lag}" for lag in range(1, window)))}

    def step(self, x, h, *earlier):
        """One step; the delay line moves on by one."""
        squash = {"tanh": tanh, "relu": relu}[self.option("nonlinearity")]
        return squash(self.linear("h", x, *earlier)), x, *earlier[:-1]
