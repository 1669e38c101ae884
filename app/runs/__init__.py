"""Runs: the store that keeps them, the supervisor that moves them on, the workers that train them."""
