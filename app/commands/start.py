"""Where the command `gatescope` begins."""

import gc

# What is imported stays: looking for garbage in it meanwhile would take a fifth of the start.
gc.disable()

from gatescope.app.commands.cli import main  # noqa: E402

gc.freeze()
gc.enable()

__all__ = ["main"]
