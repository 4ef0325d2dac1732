"""Runners of this computer: in this process, or in several.

>>> def task(job): return [Report(job.source, after=len(job.source))]
>>> [(job.source, reports[0].after) for job, reports in InProcess().run(task, [Job("a"), Job("bcd")])]
[('a', 1), ('bcd', 3)]
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from multiprocessing import connection, get_context
from pathlib import Path
from types import FrameType
from typing import Generic, NoReturn, TypeVar

from codec.batch.jobs import Job, Report, Runner, Task
from codec.errors import exit_code

CGROUP = Path("/sys/fs/cgroup")  #: where Linux tells a container its limits
ATTEMPTS = 2  #: at a job whose process died
PATIENCE = 10.0  #: seconds that a process gets to remove what it has half written
_CONTEXT = get_context("spawn")  # a fork would copy torch's locks without the threads that hold them
J = TypeVar("J")  # a job
R = TypeVar("R")  # what becomes of it


class InProcess(Runner):
    """One job after the other, in this process."""

    def run(self, task: Task, jobs: Iterable[Job]) -> Generator[tuple[Job, list[Report]], None, None]:
        """As `Runner` has it."""
        for job in jobs:
            yield job, task(job)


class Processes(Runner):
    """Several processes of this computer, each of which does one job at a time.

    count: how many processes, at most. threads: of the processor, that each of them uses.
    """

    def __init__(self, count: int, threads: int = 1):
        self.count, self.threads = count, threads

    def run(self, task: Task, jobs: Iterable[Job]) -> Generator[tuple[Job, list[Report]], None, None]:
        """As `Runner` has it."""

        def lost(job: Job, how: str) -> list[Report]:
            return [Report(job.source, job.target, error=how, code=exit_code("failure"))]

        return in_processes(task, jobs, self.count, self.threads, lost)


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def room() -> tuple[int, int | None]:
    """The processors that this process may use and the memory in bytes (None: not known), a container's limits being
    those of cgroups.
    """
    processors, memory = cores(), None
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    quota, most = _limit("cpu.max"), _limit("memory.max")  # "200000 100000" or "max 100000"; bytes or "max"
    if len(quota) == 2 and quota[0].isdigit():
        processors = max(1, min(processors, int(quota[0]) // int(quota[1])))
    if most and most[0].isdigit():
        memory = int(most[0]) if memory is None else min(memory, int(most[0]))
    return processors, memory


def _limit(name: str) -> list[str]:
    with suppress(OSError):
        return (CGROUP / name).read_text().split()
    return []


def in_processes(
    task: Callable[[J], R], jobs: Iterable[J], count: int, threads: int, lost: Callable[[J, str], R]
) -> Generator[tuple[J, R], None, None]:
    """Yield each job with what the task makes of it, as they are done, by up to `count` processes.

    Each process gets one copy of the task, and this many threads of the processor. Task, jobs and results travel, so
    they can be pickled; the task does not raise. A job whose process dies is done again; if that one dies, too, `lost`
    makes the result of the job and of how it died. Jobs are taken from their iterable as there is room for them.
    """
    left = iter(jobs)
    again: list[J] = []  # a process died with them
    deaths: dict[int, int] = {}
    workers: list[_Worker[J, R]] = []
    try:
        while True:
            while len(workers) < count and (given := again or list(islice(left, 1))):
                workers.append(_Worker(task, threads))
                workers[-1].give(given.pop())
            if not workers:
                return
            ready = connection.wait([worker.pipe for worker in workers])
            for worker in [worker for worker in workers if worker.pipe in ready]:
                job = worker.job
                try:
                    result = worker.result()
                except EOFError:
                    workers.remove(worker)
                    deaths[id(job)] = deaths.get(id(job), 0) + 1
                    if deaths[id(job)] < ATTEMPTS:
                        again.append(job)
                        continue
                    result = lost(job, worker.epitaph())
                else:
                    if given := again or list(islice(left, 1)):
                        worker.give(given.pop())
                    else:
                        worker.end()
                        workers.remove(worker)
                deaths.pop(id(job), None)
                yield job, result
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.end(PATIENCE)


class _Worker(Generic[J, R]):
    """A process that does jobs."""

    job: J  #: that it is at, or was at last

    def __init__(self, task: Callable[[J], R], threads: int):
        self.pipe, theirs = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=_serve, args=(theirs, task, threads), daemon=True)
        with _interrupts_held():
            self.process.start()
        theirs.close()  # so that the pipe ends where the process does

    def give(self, job: J) -> None:
        """Have it do a job; it has none."""
        self.job = job
        with suppress(BrokenPipeError):  # it has died: `result` will find that, too
            self.pipe.send(job)

    def result(self) -> R:
        """What the task made of the job; EOFError where the process died."""
        try:
            result: R = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            raise EOFError from None
        return result

    def epitaph(self) -> str:
        """How it died."""
        status = self.process.exitcode or 0
        if status == -getattr(signal, "SIGKILL", 9):
            return "the process that worked on it was killed, perhaps for want of memory (fewer --jobs need less)"
        return f"the process that worked on it ended with {f'signal {-status}' if status < 0 else f'status {status}'}"

    def end(self, patience: float = 0) -> None:
        """End the process: it has nothing to do, or has been told to stop."""
        self.process.join(patience)
        self.process.kill()  # to take the interpreter and torch apart takes half a second
        self.process.join()
        self.pipe.close()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """What is started inside never gets an interrupt from the keyboard; this process gets it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)  # an exception, so that what is half written is removed


def _serve(pipe: connection.Connection, task: Callable[[J], R], threads: int) -> None:
    """The life of a process: a job comes in, its reports go out, until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)  # before torch or NumPy's library is loaded
    try:
        with suppress(EOFError, ConnectionError):  # whoever gives the jobs is gone
            while True:
                pipe.send(task(pipe.recv()))
    except SystemExit as stop:  # all that was half written has been removed
        os._exit(int(stop.code or 0))  # to take the interpreter and torch apart takes half a second
