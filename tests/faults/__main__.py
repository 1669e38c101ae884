"""Prints the table of bad inputs and faults, each tried on real servers, and what came of each.

    python -m tests.faults             tries all of them, some minutes
    python -m tests.faults 12 15 47    tries these rows
    python -m tests.faults --list      says which there are

Exit status 1 where a row does not hold.
"""

import argparse
import faulthandler
import os
import resource
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np

from tests.faults import (  # noqa: F401 – their rows are put into the table
    addresses,
    connections,
    crashes,
    damage,
    deadlines,
    disks,
    jobs,
    logs,
    pages,
    parsing,
    resources,
    streams,
    texts,
    web,
)
from tests.faults.server import crowding, end_all
from tests.faults.table import KEPT, ROWS, Row, Trial, tried

AT_ONCE = 4
LONGEST_SECONDS = 1500.0
QUICK = 0.2  # seconds in which /healthz is to answer, typically
# what waits more than it works first, the crowds, which nothing should disturb, last
FIRST = ("waits", "stalls", "pages", "jobs", "crashes")
ALONE = ("crowds",)


def by_group(numbers: list[int]) -> list[list[Row]]:
    """The rows in their groups, in the order in which these are begun."""
    groups: dict[str, list[Row]] = {}
    for number in sorted(numbers or ROWS):
        groups.setdefault(ROWS[number].group, []).append(ROWS[number])
    order = [*FIRST, *sorted(set(groups) - {*FIRST, *ALONE}), *ALONE]
    return [groups[name] for name in order if name in groups]


def count_the_pulse(trial: Trial) -> None:
    """Note how long /healthz took beside what was tried, and whether that holds."""
    if trial.pulses:
        typical, late = np.median(trial.pulses, axis=0)
        worst = max(took for took, _ in trial.pulses)
        trial.note(f"healthz {typical * 1000:.0f} ms, worst {worst * 1000:.0f}")
        few = len(trial.pulses) < 20  # a server that has only begun
        trial.holds(few or typical < QUICK * crowding() + 4 * max(late, 0), f"/healthz takes {typical * 1000:.0f} ms")


def line(trial: Trial) -> str:
    """A trial as a row of the table, and what did not hold below it."""
    row, came = trial.row, ", ".join(f"{count} × {said}" for said, count in trial.came.most_common(6))
    held = f"not built yet: {row.missing}" if row.missing else "yes" if trial.held else "NO"
    notes = "; ".join([came, *trial.notes])
    told = [
        f"{row.number:>3}  {held:<4} {trial.tried:>5}  {row.fault}",
        f"{'':16}must: {row.answer}",
        f"{'':16}{notes}",
    ]
    faults = list(dict.fromkeys(trial.faults))
    told += [f"{'':16}! {fault[:400]}" for fault in faults[:KEPT]]
    told += [f"{'':16}! and {len(faults) - KEPT} more"] if len(faults) > KEPT else []
    return "\n".join(told)


def main() -> int:
    """Try the rows that are named; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rows", nargs="*", type=int, help="numbers of rows; all of them unless said")
    parser.add_argument("--list", action="store_true", help="only say which rows there are")
    chosen = parser.parse_args()
    if unknown := [number for number in chosen.rows if number not in ROWS]:
        parser.error(f"there is no row {unknown[0]}")
    if chosen.list:
        for number in sorted(chosen.rows or ROWS):
            print(f"{number:>3}  {ROWS[number].fault} → {ROWS[number].answer}")
        return 0
    faulthandler.register(signal.SIGUSR1)  # says where it is
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    began, found = time.monotonic(), dict[int, Trial]()
    groups = by_group(chosen.rows)

    def told(trial: Trial) -> None:
        count_the_pulse(trial)
        found[trial.row.number] = trial
        word = "held" if trial.held else "not held"
        why = "".join(f"\n  ! {fault[:300]}" for fault in dict.fromkeys(trial.faults[:3]))
        print(f"row {trial.row.number}: {word} after {trial.seconds:.0f} s{why}", file=sys.stderr, flush=True)

    def all_tried() -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            beside = [rows for rows in groups if rows[0].group not in ALONE]
            list(pool.map(lambda rows: tried(rows, told), beside))
        for rows in groups:
            if rows[0].group in ALONE:
                tried(rows, told)

    thread = threading.Thread(target=all_tried, daemon=True)
    thread.start()
    with suppress(KeyboardInterrupt):
        thread.join(LONGEST_SECONDS)
    print(f"{'#':>3}  {'held':<4} {'tried':>5}  input or fault")
    print("\n".join(line(found[number]) for number in sorted(found)))
    unfinished = [number for number in chosen.rows or ROWS if number not in found]
    held = sum(trial.held and not trial.row.missing for trial in found.values())
    missing = sum(bool(trial.row.missing) for trial in found.values())
    short = [number for number, trial in sorted(found.items()) if not trial.held and not trial.row.missing]
    print(f"\n{held} held, {missing} not built yet, {len(short)} not held {short or ''}", end="")
    print(f", never over {unfinished}" if unfinished else "", end="")
    print(f"; {sum(trial.tried for trial in found.values()):,} attempts in {time.monotonic() - began:.0f} s")
    return 1 if short or unfinished else 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    end_all()
    os._exit(status)  # a row that never came to an end must not hold the exit
