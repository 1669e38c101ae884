"""Where a training runs: in a process of this machine, on a Ray cluster, or, for tests, in a thread."""
