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
