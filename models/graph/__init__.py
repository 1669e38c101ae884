"""What a cell is: a step of equations, traced once into a graph, and all that is read off it."""

from gatescope.models.graph.cell import Cell
from gatescope.models.graph.node import exp, layer_norm, maximum, mean, relu, sigmoid, sqrt, tanh

__all__ = ["Cell", "exp", "layer_norm", "maximum", "mean", "relu", "sigmoid", "sqrt", "tanh"]
