"""Gatescope under fire: what tries it harder than its users will."""
