"""Holding a process to a number of threads and an amount of memory."""

import os
import sys

from bench.errors import BenchError
from bench.peers.pillow_codecs import THREADS
from bench.runs.pool import cores

__all__ = ["hold", "physical_memory"]


def hold(threads: int, memory: int = 0) -> None:
    """Keep this process to so many processors and threads, and to so many bytes of data (0: no limit).

    To be called before torch is imported. Beyond the limit an allocation fails, instead of the system
    running out of memory. Raises `BenchError` where there are fewer processors.
    """
    if cores() < threads:
        raise BenchError(f"{threads} threads: this process may use {cores()} processors")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    os.environ[THREADS] = str(threads)
    if memory and sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def physical_memory() -> int:
    """Return the bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
