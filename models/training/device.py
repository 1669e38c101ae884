"""What a training's gradients are made on: the processor, by the cells' programs, or a GPU, by PyTorch.

`auto` takes a GPU where the process that trains has one. The choice is an environment variable and no part of a recipe:
whoever goes on with a run may have other devices. To the last bit a run repeats itself on processors only.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from gatescope.models.training.cpu_batches import CpuBatches
from gatescope.models.training.device_batches import DeviceBatches

CHOICES = ("auto", "cpu", "cuda")
VARIABLE = "GATESCOPE_DEVICE"
NO_GPU = f"{VARIABLE}: is cuda, but there is no GPU here that PyTorch can use"


def choose_device(choice: str) -> None:
    """Choose for all trainings begun from now on, here and in processes that are started from here."""
    os.environ[VARIABLE] = choice


def batches_here() -> Callable[..., CpuBatches | DeviceBatches]:
    """What makes the gradients in this process; raises ValueError where the choice cannot be had."""
    choice = os.environ.get(VARIABLE, CHOICES[0])
    check_device(choice)
    if choice == "cpu" or not _works():
        if choice == "cuda":
            raise ValueError(NO_GPU)
        return CpuBatches
    return partial(DeviceBatches, device="cuda")


def check_device(choice: str) -> None:
    """Raise ValueError for what is no choice, and where a GPU is asked for and PyTorch finds none."""
    if choice not in CHOICES:
        raise ValueError(f"{VARIABLE}: must be one of {', '.join(CHOICES)}")
    if choice == "cuda" and not _found():
        raise ValueError(NO_GPU)


def _found() -> bool:
    import torch

    return torch.cuda.is_available()


def _works() -> bool:
    """Whether PyTorch can work on a GPU here: one that it was not built for, or that is taken, does not count."""
    import torch

    try:
        return _found() and torch.ones(1, device="cuda").exp().item() > 1
    except RuntimeError:
        return False
