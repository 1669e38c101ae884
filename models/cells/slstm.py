"""The scalar LSTM of xLSTM."""

from gatescope.models.graph import Cell, exp, maximum


class SLSTM(Cell):
    """The scalar LSTM with exponential gates (Beck et al. 2024, "xLSTM", section 2.2 and appendix A.2): a normaliser n
    weighs the memory, and the stabiliser m keeps both exponentials at or below 1. One head.
    """

    title = "sLSTM"
    states = ("h", "c", "n", "m")
    blocks = ("i", "f", "z", "o")
    words = {
        "i": ("input gate", "learn gate (ignore)"),
        "f": ("forget gate", "forget gate"),
        "z": ("candidate", "learn gate (combine)"),
        "o": ("output gate", "use gate"),
        "m": ("stabiliser", "stabiliser"),
        "c": ("long-term memory", "long-term memory"),
        "n": ("normaliser", "normaliser"),
        "h": ("short-term memory", "short-term memory"),
    }
    purposes = {
        "i": "How much of what is new each unit lets in, an exponential, scaled so that it stays below 1.",
        "f": "How much each unit keeps of what it remembers, an exponential, scaled so that it stays below 1.",
        "z": "What is new: what each unit would write into its long-term memory, if the input gate let it.",
        "o": "How much of its long-term memory each unit shows: to the guess, and to the gates of the next step.",
        "m": "The larger of the gates' exponents, taken off both so that neither grows beyond all bounds.",
        "c": "What is remembered for long: kept by the forget gate, added to by the input gate.",
        "n": "How much was let in all in all, by which the memory is divided when it is shown.",
        "h": "What the cell shows at this step: the guess is made of it, and the next step's gates read it.",
    }

    def step(self, x, h, c, n, m):
        """One step; m is the larger of the two exponents, so neither gate exceeds 1."""
        log_i = self.linear("i", x, h)
        log_f = self.linear("f", x, h) + m
        m = self.signal("m", maximum(log_f, log_i))
        i = self.signal("i", exp(log_i - m), "gate", within=(0, 1))  # how much of the new to let in
        f = self.signal("f", exp(log_f - m), "gate", within=(0, 1))  # how much of the memory to keep
        z = self.candidate("z", x, h)
        o = self.gate("o", x, h)
        c = f * c + i * z
        n = f * n + i
        h = self.signal("h", o * (c / n), within=(-1, 1))
        return h, c, n, m
