"""Python in a process of its own, timed from outside."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import bench

__all__ = ["Ended", "meaning", "run_python"]


class Ended(NamedTuple):
    """A process that has ended.

    wall, processor: seconds that passed, and those that its threads spent on processors. peak: largest resident memory
    in bytes, which on Linux counts what the starting process held, too. status: exit status, or minus the signal's
    number. said: its standard output, and standard error with it. late: whether it was stopped for taking too long.
    """

    wall: float
    processor: float
    peak: int
    status: int
    said: str
    late: bool

    @property
    def last(self) -> str:
        """The last line that it said, or its status."""
        lines = self.said.strip().splitlines()
        return lines[-1] if lines else meaning(self.status)


def run_python(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None, timeout: float | None = None
) -> Ended:
    """Run Python with these arguments, at most `timeout` seconds; it finds the packages that this process found."""
    variables = dict(os.environ if environment is None else environment)
    root = str(Path(bench.__file__).parents[1])
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, [root, variables.get("PYTHONPATH")]))
    late = threading.Event()
    start = time.perf_counter()
    # not a with block: its end would wait for the process again
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=variables,
    )  # fmt: skip

    def stop() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(timeout, stop) if timeout is not None else None
    if timer:
        timer.start()
    try:
        said, stream = "", process.stdout
        if stream:
            said = stream.read()
            stream.close()
        _, status, usage = os.wait4(process.pid, 0)
    finally:
        if timer:
            timer.cancel()
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)  # bytes there, kilobytes elsewhere
    return Ended(wall, usage.ru_utime + usage.ru_stime, peak, process.returncode, said, late.is_set())


def meaning(status: int) -> str:
    """Return an exit status, or a signal's number with a minus, in words."""
    return f"signal {-status}" if status < 0 else f"exit status {status}"
