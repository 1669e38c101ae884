"""Long short-term memory as it began."""

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
    purposes = {
        "i": "How much of what is new each unit lets into its long-term memory.",
        "g": "What is new: what each unit would write into its long-term memory, if the input gate let it.",
        "o": "How much of its long-term memory each unit shows: to the guess, and to the gates of the next step.",
        "c": "What is remembered for long: it is only ever added to, and nothing of it is forgotten.",
        "h": "What the cell shows at this step: the guess is made of it, and the next step's gates read it.",
    }

    def step(self, x, h, c):
        """One step; the memory only grows by what is let in."""
        i = self.gate("i", x, h)
        g = self.candidate("g", x, h)
        o = self.gate("o", x, h)
        c = c + i * g
        return o * tanh(c), c
