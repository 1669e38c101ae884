"""What a training's gradients are made on: the processor, by the cells' programs, or a GPU, by PyTorch.

`auto` takes a GPU where the process that trains has one. The choice is an environment variable and no part of a recipe:
whoever goes on with a run may have other devices. To the last bit a run repeats itself on processors only.
"""

from __future__ import annotations

from functools import partial

from gatescope.models.refused import ProcessChoice, Refused
from gatescope.models.training.batches import MakeBatches
from gatescope.models.training.cpu_batches import CpuBatches
from gatescope.models.training.device_batches import DeviceBatches

VARIABLE = "GATESCOPE_DEVICE"
CHOICE = ProcessChoice(VARIABLE, ("auto", "cpu", "cuda"))
NO_GPU = "is cuda, but there is no GPU here that PyTorch can use"


def choose_device(choice: str) -> None:
    """Choose for all trainings begun from now on, here and in processes that are started from here."""
    CHOICE.set(choice)


def batches_here() -> MakeBatches:
    """What makes the gradients in this process; raises Refused where the choice cannot be had."""
    choice = CHOICE.get()
    check_device(choice)
    if choice == "cpu" or not _works():
        if choice == "cuda":
            raise Refused(VARIABLE, NO_GPU)
        return CpuBatches
    return partial(DeviceBatches, device="cuda")


def check_device(choice: str) -> None:
    """Raise Refused for what is no choice, and where a GPU is asked for and PyTorch finds none."""
    CHOICE.check(choice)
    if choice == "cuda" and not _found():
        raise Refused(VARIABLE, NO_GPU)


def _found() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def _works() -> bool:
    """Whether PyTorch can work on a GPU here: one that it was not built for, or that is taken, does not count."""
    import torch

    try:
        return _found() and torch.ones(1, device="cuda").exp().item() > 1
    except RuntimeError:
        return False
