"""The service around the networks: settings, API, pages, event streams, command line."""

import os

# Before NumPy is imported anywhere: its BLAS reads these once. The matrices here are small, and a second thread only
# makes them wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
