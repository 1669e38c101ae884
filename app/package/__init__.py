"""Gatescope: see inside a recurrent network, every gate, forwards and backwards, on your own text.

This is the root of what is installed: `gatescope.models` is the folder `models/`, `gatescope.app` is `app/`.
"""
