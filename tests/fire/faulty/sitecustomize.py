"""Imported by Python itself at its start, where this folder is on PYTHONPATH."""

import os
from pathlib import Path

import faulty

if faulty.VARIABLE in os.environ:
    faulty.obey(Path(os.environ[faulty.VARIABLE]))
