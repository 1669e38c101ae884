"""Long short-term memory as it began."""

from gatescope.models.cells.lstm import LSTM
from gatescope.models.graph import Cell, tanh


class LSTM1997(Cell):
    """Long short-term memory without a forget gate (Hochreiter & Schmidhuber 1997): what is in the memory stays."""

    title = "LSTM of 1997"
    states = ("h", "c")
    blocks = ("i", "g", "o")
    words = {
        "i": ("input gate", "learn gate (ignore)"),
        "g": ("candidate", "learn gate (combine)"),
        "o": ("output gate", "use gate"),
        "c": ("long-term memory", "long-term memory"),
        "h": ("short-term memory", "short-term memory"),
    }
    purposes = LSTM.purposes | {
        "c": "What is remembered for long: it is only ever added to, and nothing of it is forgotten."
    }

    def step(self, x, h, c):
        """One step; the memory only grows by what is let in."""
        i = self.gate("i", x, h)
        g = self.candidate("g", x, h)
        o = self.gate("o", x, h)
        c = c + i * g
        return o * tanh(c), c
