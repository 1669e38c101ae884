"""The networks: equations, programs, traces and shipped weights. Knows no web."""
