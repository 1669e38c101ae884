"""`python -m gatescope` is the command `gatescope`."""

from gatescope.app.commands.start import main

main()
