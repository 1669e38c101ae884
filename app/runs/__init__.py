"""Runs: the store that keeps them, the supervisor that moves them on, and those who watch."""
