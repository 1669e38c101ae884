"""Bad inputs and faults, each with the answer it must get, tried on real servers; `python -m tests.faults` prints all
of them as a table.
"""
