"""How wrong a network is at each step, in nats or as half the squared error, and which way its outputs should move."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# of outputs (n, batch, V) and targets: the losses (n, batch), and what the outputs mean, as probabilities or numbers;
# of these and the targets the gradient
Loss = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
LossGradient = Callable[[np.ndarray, np.ndarray], np.ndarray]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities from logits, along the last axis."""
    probabilities: np.ndarray = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    return probabilities


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """−ln p(target) for each step, and the probabilities; a target below 0 means no loss there (NaN).

    logits (n, batch, V), targets (n, batch) → (n, batch), (n, batch, V).
    """
    largest = logits.max(axis=-1, keepdims=True)
    probabilities = logits - largest
    np.exp(probabilities, out=probabilities)
    sums = probabilities.reshape(-1, logits.shape[-1]) @ np.ones(logits.shape[-1], logits.dtype)
    total = sums.reshape(largest.shape)
    probabilities /= total
    chosen = np.take_along_axis(logits, np.maximum(targets, 0)[..., None], -1) - largest
    losses = (np.log(total) - chosen)[..., 0]
    losses[targets < 0] = np.nan
    return losses, probabilities


def logit_gradient(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """∂(−ln p(target))/∂logits, made in place of the probabilities; 0 where the target is below 0."""
    flat, known = probabilities.reshape(-1, probabilities.shape[-1]), targets.reshape(-1)
    flat[np.arange(len(flat)), known] -= 1
    flat[known < 0] = 0
    return probabilities


def squared_error(outputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """½ ‖output − target‖² for each step, and the outputs; a target of NaN means no loss there (NaN).

    outputs and targets (n, batch, O) → (n, batch), (n, batch, O).
    """
    losses = 0.5 * np.square(outputs - targets).sum(axis=-1)
    return losses.astype(outputs.dtype, copy=False), outputs.copy()


def output_gradient(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """∂(½ ‖output − target‖²)/∂outputs, made in place of the outputs; 0 where the target is NaN."""
    outputs -= targets
    outputs[np.isnan(targets)] = 0
    return outputs


def criterion(is_regression: bool) -> tuple[Loss, LossGradient]:
    """The loss and its gradient: of numbers, or of a choice among classes."""
    return (squared_error, output_gradient) if is_regression else (cross_entropy, logit_gradient)
