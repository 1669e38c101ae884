"""Workers: what trains a run, in a process here, in a thread, or on a Ray cluster, and how it is spoken with."""
