"""Trainings run to their end, for tests that need what comes of one."""

from gatescope.models.network.network import Network
from gatescope.models.training.checkpoint import network_of
from gatescope.models.training.job import MemoryHost, Recipe, Spec, run_job

RHYME = "one two buckle my shoe three four knock at the door " * 60
SMALL = {"hidden": 8, "batch_size": 4, "sequence_length": 16}


def recipe_for(text: str, **chosen) -> Recipe:
    """The recipe for a text, with what is chosen."""
    return Recipe.for_text(len(text), len(set(text)), **chosen)


def trained(text: str, title: str = "", **chosen) -> tuple[Network, list[tuple[str, dict]]]:
    """The network that a training ends with, and all it told."""
    io = MemoryHost()
    events = list(run_job(Spec(text, recipe_for(text, **chosen), title), None, io))
    return network_of(io.content), events
