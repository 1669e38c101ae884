"""Long short-term memory."""

from gatescope.models.graph import Cell, tanh


class LSTM(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000).

    projection: the size to which a matrix brings the output (Sak, Senior & Beaufays 2014), 0 for none.
    """

    title = "LSTM"
    states = ("h", "c")
    blocks = ("i", "f", "g", "o")
    reference = "torch.nn.LSTM"
    options = {"projection": range(0, 4097)}
    words = {
        "f": ("forget gate", "forget gate"),
        "i": ("input gate", "learn gate (ignore)"),
        "g": ("candidate", "learn gate (combine)"),
        "o": ("output gate", "use gate"),
        "c": ("long-term memory", "long-term memory (remember gate)"),
        "m": ("output before the projection", "short-term memory before the projection"),
        "h": ("short-term memory", "short-term memory"),
    }
    purposes = {
        "f": "How much each unit keeps of what it remembers: at 1 all of it stays, at 0 it is forgotten at once.",
        "i": "How much of what is new each unit lets into its long-term memory.",
        "g": "What is new: what each unit would write into its long-term memory, if the input gate let it.",
        "o": "How much of its long-term memory each unit shows: to the guess, and to the gates of the next step.",
        "c": "What is remembered for long: kept by the forget gate, added to by the input gate, and never squashed on "
        "its road.",
        "m": "What the cell would show, before a matrix makes fewer numbers of it.",
        "h": "What the cell shows at this step: the guess is made of it, and the next step's gates read it.",
    }

    def step(self, x, h, c):
        """One step; x, h and c are the input and the two memories before it."""
        f = self.gate("f", x, h)  # how much of the long-term memory to keep
        i = self.gate("i", x, h)  # how much of the new to let in
        g = self.candidate("g", x, h)  # the new
        o = self.gate("o", x, h)  # how much of the memory to show
        c = f * c + i * g
        h = o * tanh(c)
        if width := self.option("projection"):
            h = self.project(self.signal("m", h), width)
        return h, c
