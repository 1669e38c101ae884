"""How a cell's graph becomes loops: a schedule of calls, printed as NumPy statements or made into machine code."""
