"""Networks as files: this product's own, PyTorch's and Keras'."""
