"""What a worker may take: the one place from which those who accept runs and those who train them know it."""

import resource

# What a worker holds that has loaded everything and trains the smallest network; as measured in tests/test_limits.py.
EMPTY_WORKER = 384 * 2**20
# Beyond what a worker may hold, what is only reserved: one allocation must not take the machine between two beats.
RESERVED = 2**30
OPEN_FILES, LONGEST_FILE = 256, 2**24
FEWEST_FILES = 32
LIMITS = {
    resource.RLIMIT_DATA: ("memory", "ulimit -d"),
    resource.RLIMIT_NOFILE: ("open files", "ulimit -n"),
}


def hard_limit(limit: int) -> int | None:
    """What the system allows this process and its children at most, or None where it sets no bound."""
    hard = resource.getrlimit(limit)[1]
    return None if hard == resource.RLIM_INFINITY else hard


def training_memory(worker_memory: int) -> int:
    """The bytes that a training may hold in a worker that may hold so many, as far as this system gives them."""
    hard = hard_limit(resource.RLIMIT_DATA)
    return min(worker_memory, worker_memory if hard is None else hard) - EMPTY_WORKER


def limit_worker(worker_memory: int) -> str | None:
    """Bind this process to what a worker may take, and no more than the system allows; gives a sentence where a worker
    cannot live with that.
    """
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: LONGEST_FILE,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_DATA: worker_memory + RESERVED,
    }
    for limit, value in wanted.items():
        hard = hard_limit(limit)
        value = value if hard is None else min(value, hard)
        resource.setrlimit(limit, (value, value))
    for limit, least in ((resource.RLIMIT_DATA, EMPTY_WORKER), (resource.RLIMIT_NOFILE, FEWEST_FILES)):
        hard, (what, command) = hard_limit(limit), LIMITS[limit]
        if hard is not None and hard < least:
            given, needed = (f"{n / 2**20:,.0f} MiB of" if what == "memory" else f"{n:,}" for n in (hard, least))
            return f"this system gives a worker {given} {what} ({command}), and it needs {needed} {what}"
    return None
