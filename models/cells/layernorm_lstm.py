"""LSTM whose sums are normalised."""

from gatescope.models.cells.lstm import LSTM
from gatescope.models.graph import Cell, layer_norm, sigmoid, tanh


class LayerNormLSTM(Cell):
    """LSTM with layer normalisation (Ba, Kiros & Hinton 2016, equations 20–22): what the input says and what the memory
    says are each brought to mean 0 and variance 1 over all four gates' units together, and so is the memory when shown.
    """

    title = "Layer-norm LSTM"
    states = ("h", "c")
    blocks = LSTM.blocks
    words = LSTM.words
    purposes = LSTM.purposes
    begin = {
        **{f"gain_{source}_{gate}": 1.0 for source in ("x", "h") for gate in "ifgo"},
        **{f"bias_{gate}": 0.0 for gate in "igo"},
        "bias_f": 1.0,
        "gain_c": 1.0,
        "bias_c": 0.0,
    }

    def step(self, x, h, c):
        """One step; gains and biases, one number a unit, are what each gate makes of the normalised sums."""
        said_by_x = dict(zip(self.blocks, layer_norm(*(self.map(gate, x, bias=False) for gate in self.blocks))))
        said_by_h = dict(zip(self.blocks, layer_norm(*(self.map(gate, h, bias=False) for gate in self.blocks))))

        def total(gate):
            scaled = self.weight(f"gain_x_{gate}") * said_by_x[gate] + self.weight(f"gain_h_{gate}") * said_by_h[gate]
            return scaled + self.weight(f"bias_{gate}")

        f = self.signal("f", sigmoid(total("f")), "gate")
        i = self.signal("i", sigmoid(total("i")), "gate")
        g = self.signal("g", tanh(total("g")), "candidate")
        o = self.signal("o", sigmoid(total("o")), "gate")
        c = self.signal("c", f * c + i * g)
        (shown,) = layer_norm(c)
        return o * tanh(self.weight("gain_c") * shown + self.weight("bias_c")), c
