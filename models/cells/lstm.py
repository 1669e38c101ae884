"""Long short-term memory."""

from models.cell import Cell
from models.graph import tanh


class LSTM(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000)."""

    title = "LSTM"
    states = ("h", "c")
    blocks = ("i", "f", "g", "o")
    reference = "torch.nn.LSTM"
    words = {
        "f": ("forget gate", "forget gate"),
        "i": ("input gate", "learn gate (ignore)"),
        "g": ("candidate", "learn gate (combine)"),
        "o": ("output gate", "use gate"),
        "c": ("long-term memory", "long-term memory (remember gate)"),
        "h": ("short-term memory", "short-term memory"),
    }

    def step(self, x, h, c):
        """One step; x, h and c are the input and the two memories before it."""
        f = self.gate("f", x, h)  # how much of the long-term memory to keep
        i = self.gate("i", x, h)  # how much of the new to let in
        g = self.candidate("g", x, h)  # the new
        o = self.gate("o", x, h)  # how much of the memory to show
        c = f * c + i * g
        h = o * tanh(c)
        return h, c
