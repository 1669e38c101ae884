"""LSTM whose gates also see the long-term memory."""

from gatescope.models.cells.lstm import LSTM
from gatescope.models.graph import Cell, tanh


class Peephole(Cell):
    """LSTM with peepholes: each gate sees its own unit's memory (Gers & Schmidhuber 2000, "Recurrent nets that time and
    count").
    """

    title = "Peephole LSTM"
    states = ("h", "c")
    blocks = LSTM.blocks
    words = LSTM.words
    purposes = LSTM.purposes

    def step(self, x, h, c):
        """One step; the output gate looks at the memory after it was written."""
        f = self.gate("f", x, h, self.peep("f", c))
        i = self.gate("i", x, h, self.peep("i", c))
        g = self.candidate("g", x, h)
        c = f * c + i * g
        o = self.gate("o", x, h, self.peep("o", c))
        h = o * tanh(c)
        return h, c
