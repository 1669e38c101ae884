"""Training with the same programs that draw: from a text or lessons and a recipe to events and checkpoints."""
