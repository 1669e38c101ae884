"""A worker: one process, one job. It reads the job from its standard input, writes frames to its standard output and
keeps no file. `python -m gatescope.app.workers.worker BYTES` starts one that may hold so many bytes of memory.

The standard input is its lifeline: when that ends, the server has gone, and the worker goes at once.
"""

import importlib
import os
import queue
import resource
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

import orjson

from gatescope.app.logs import fault_trail
from gatescope.app.workers.limits import limit_worker
from gatescope.app.workers.protocol import LENGTHS, Frame, leaving

BEAT_SECONDS = 1.0
POLITENESS = 19  # of nice(2): who asks now goes before what trains for hours
NO_MEMORY = ("annot allocate memory", "failed to map segment")  # as the system's loader says it


class Worker:
    """The worker of this process."""

    def __init__(self, frames: BinaryIO, memory: int):
        self.frames, self.memory = frames, memory
        self.jobs: queue.SimpleQueue[tuple[bytes, bytes | None]] = queue.SimpleQueue()
        self.asked_to_stop = threading.Event()
        self.turns = 0
        self._turn = threading.Lock()

    def send(self, frame: Frame) -> None:
        """Write a frame; waits while the server is not reading."""
        with self._turn:
            for piece in frame.pieces():
                self.frames.write(piece)
            self.frames.flush()

    def should_stop(self) -> bool:
        """Whether the server asked for that; counts how often the training asked, which says that it gets on."""
        self.turns += 1
        return self.asked_to_stop.is_set()

    def listen(self, lifeline: BinaryIO) -> None:
        """Take what the server says until it has gone, then end this process."""
        try:
            while len(head := lifeline.read(LENGTHS.size)) == LENGTHS.size:
                sizes = LENGTHS.unpack(head)
                (name, data), content = orjson.loads(lifeline.read(sizes[0])), lifeline.read(sizes[1])
                if name == "stop":
                    self.asked_to_stop.set()
                elif name == "job":
                    self.jobs.put((content[: data["spec"]], content[data["spec"] :] or None))
        finally:
            os._exit(1)

    def beat(self) -> None:
        """Say every second that this process lives and how far it is; end it where it holds too much memory."""
        while True:
            self.send(Frame("beat", {"turns": self.turns}))
            if resident() > self.memory:
                allowed = f"{self.memory / 2**30:.1f} GiB"
                self.send(leaving("failed", f"memory: the training needs more than the {allowed} a worker may have"))
                os._exit(1)
            time.sleep(BEAT_SECONDS)

    def run(self) -> None:
        """Load what a training needs, wait for the job and do it."""
        training = importlib.import_module("gatescope.app.workers.job")  # after the lifeline: it takes long
        training.warm()
        for frame in training.work(training.Job(*self.jobs.get()), self.should_stop):
            self.send(frame)


def resident() -> int:
    """Bytes of memory that this process holds."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:  # a system without /proc, which counts in bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Be a worker until the job is done or the server gone."""
    frames = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not end up among the frames
    os.nice(POLITENESS)
    memory = int(sys.argv[1])
    worker, too_little = Worker(frames, memory), limit_worker(memory)
    if too_little:
        worker.send(leaving("failed", too_little))
        os._exit(1)
    threading.Thread(target=worker.listen, args=[sys.stdin.buffer], daemon=True).start()
    threading.Thread(target=worker.beat, daemon=True).start()
    try:
        worker.run()
        status = 0
    except BaseException as fault:
        print(*fault_trail(fault), sep="\n", file=sys.stderr)
        if isinstance(fault, MemoryError) or any(said in str(fault) for said in NO_MEMORY):
            worker.send(leaving("failed", "memory: this system gives a worker too little to load what it needs"))
        status = 1
    os._exit(status)  # at once: the lifeline's thread waits for the server


if __name__ == "__main__":
    main()
