"""The forward equations of every cell, once more, by hand, in plain torch: what `models/cells/` is judged by.

One function a cell: from the weights `w` of one layer by their names, the input x, and what there was one step before
(zeros before the first) to everything that is named at this step. A bias that a network has not counts as 0. Nothing of
the product is used; `tests.by_hand` makes a network of them, autograd behind.
"""

from collections.abc import Callable

import torch
from torch import Tensor

SQUASH = {"tanh": torch.tanh, "relu": torch.relu}


def both(w: dict, x: Tensor, h: Tensor) -> Tensor:
    """What the matrices of the input and of the output before give together, all blocks under each other."""
    return w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h + w["bias_hh"]


def elman(w, x, before, nonlinearity="tanh"):
    return {"h": SQUASH[nonlinearity](both(w, x, before["h"]))}


def feedforward(w, x, before):
    return {"h": torch.tanh(w["weight_ih"] @ x + w["bias_ih"])}


def gru(w, x, before, reset="after"):
    xr, xz, xn = (w["weight_ih"] @ x + w["bias_ih"]).chunk(3)
    ar, az, *an = (w["weight_hh"] @ before["h"] + w["bias_hh"]).split(len(xr))
    now = {"r": torch.sigmoid(xr + ar), "z": torch.sigmoid(xz + az)}
    if reset == "after":
        n = torch.tanh(xn + now["r"] * an[0])
    else:
        now["s"] = now["r"] * before["h"]
        n = torch.tanh(xn + w["weight_sh"] @ now["s"] + w["bias_sh"])
    return now | {"n": n, "h": (1 - now["z"]) * n + now["z"] * before["h"]}


def jordan(w, x, before):
    y = w["weight_hh"] @ before["h"] + w["bias_hh"]
    h = torch.tanh(w["weight_ih"] @ x + w["bias_ih"] + w["weight_yh"] @ y + w["bias_yh"])
    return {"y": y, "h": h}


def lstm(w, x, before, projection=0):
    i, f, g, o = both(w, x, before["h"]).chunk(4)
    i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
    c = f * before["c"] + i * g
    now = {"i": i, "f": f, "g": g, "o": o, "c": c}
    if not projection:
        return now | {"h": o * torch.tanh(c)}
    m = o * torch.tanh(c)
    return now | {"m": m, "h": w["weight_hr"] @ m}


def peephole(w, x, before):
    i, f, g, o = both(w, x, before["h"]).chunk(4)
    i = torch.sigmoid(i + w["weight_ci"] * before["c"])
    f = torch.sigmoid(f + w["weight_cf"] * before["c"])
    g = torch.tanh(g)
    c = f * before["c"] + i * g
    o = torch.sigmoid(o + w["weight_co"] * c)
    return {"i": i, "f": f, "g": g, "o": o, "c": c, "h": o * torch.tanh(c)}


def tdnn(w, x, before, window=4, nonlinearity="tanh"):
    a = w["weight_ih"] @ x + w["bias_ih"]
    for lag, earlier in enumerate(before["inputs"][: window - 1], start=1):
        a = a + w[f"weight_x{lag}h"] @ earlier + w[f"bias_x{lag}h"]
    return {"h": SQUASH[nonlinearity](a)}


def lstm1997(w, x, before):
    i, g, o = both(w, x, before["h"]).chunk(3)
    i, g, o = torch.sigmoid(i), torch.tanh(g), torch.sigmoid(o)
    c = before["c"] + i * g
    return {"i": i, "g": g, "o": o, "c": c, "h": o * torch.tanh(c)}


def mingru(w, x, before):
    z, n = (w["weight_ih"] @ x + w["bias_ih"]).chunk(2)
    z = torch.sigmoid(z)
    return {"z": z, "n": n, "h": (1 - z) * before["h"] + z * n}


def slstm(w, x, before):
    i, f, z, o = both(w, x, before["h"]).chunk(4)
    m = torch.maximum(f + before["m"], i)
    i, f = torch.exp(i - m), torch.exp(f + before["m"] - m)
    z, o = torch.tanh(z), torch.sigmoid(o)
    c, n = f * before["c"] + i * z, f * before["n"] + i
    return {"i": i, "f": f, "z": z, "o": o, "m": m, "c": c, "n": n, "h": o * c / n}


def normalised(a: Tensor, gain: Tensor) -> Tensor:
    """Ba, Kiros & Hinton 2016, equation 4, with a gain; how wide it is spread is that of the numbers themselves."""
    return gain * (a - a.mean()) / torch.sqrt(((a - a.mean()) ** 2).mean() + 1e-5)


def layernorm_lstm(w, x, before):
    by_x, by_h, bias = (torch.cat([w[f"{name}_{gate}"] for gate in "ifgo"]) for name in ("gain_x", "gain_h", "bias"))
    stacked = normalised(w["weight_hh"] @ before["h"], by_h) + normalised(w["weight_ih"] @ x, by_x)
    i, f, g, o = (stacked + bias).chunk(4)
    f, i, o, g = torch.sigmoid(f), torch.sigmoid(i), torch.sigmoid(o), torch.tanh(g)
    c = f * before["c"] + i * g
    return {"f": f, "i": i, "o": o, "g": g, "c": c, "h": o * torch.tanh(normalised(c, w["gain_c"]) + w["bias_c"])}


EQUATIONS: dict[str, Callable[..., dict[str, Tensor]]] = {
    "elman": elman,
    "feedforward": feedforward,
    "gru": gru,
    "jordan": jordan,
    "lstm": lstm,
    "peephole": peephole,
    "tdnn": tdnn,
    "lstm1997": lstm1997,
    "mingru": mingru,
    "slstm": slstm,
    "layernorm-lstm": layernorm_lstm,
}
