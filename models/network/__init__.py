"""A network: its layers, their inputs and weights, and its forward and backward pass over a sequence."""
