"""Runners of this computer: in this process, or in several.

>>> def task(job): return [Report(job.source, after=len(job.source))]
>>> [(job.source, reports[0].after) for job, reports in InProcess().run(task, [Job("a"), Job("bcd")])]
[('a', 1), ('bcd', 3)]
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context
from types import FrameType
from typing import NoReturn

from codec.batch.jobs import Job, Report, Runner, Task
from codec.errors import exit_code

ATTEMPTS = 2  #: at a job whose process died
PATIENCE = 10.0  #: seconds that a process gets to remove what it has half written
_CONTEXT = get_context("spawn")  # a fork would copy torch's locks without the threads that hold them


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
        left = iter(jobs)
        again: list[Job] = []  # a process died with them
        deaths: dict[int, int] = {}
        workers: list[_Worker] = []
        try:
            while True:
                while len(workers) < self.count and (job := again.pop() if again else next(left, None)) is not None:
                    workers.append(_Worker(task, self.threads))
                    workers[-1].give(job)
                if not workers:
                    return
                for pipe in connection.wait([worker.pipe for worker in workers]):
                    worker = next(worker for worker in workers if worker.pipe is pipe)
                    job, reports = worker.job, worker.result()
                    if reports is None:
                        workers.remove(worker)
                        deaths[id(job)] = deaths.get(id(job), 0) + 1
                        if deaths[id(job)] < ATTEMPTS:
                            again.append(job)
                            continue
                        reports = [Report(job.source, job.target, error=worker.epitaph(), code=exit_code("failure"))]
                    elif (following := again.pop() if again else next(left, None)) is not None:
                        worker.give(following)
                    else:
                        worker.end()
                        workers.remove(worker)
                    yield job, reports
        finally:
            for worker in workers:
                worker.process.terminate()
            for worker in workers:
                worker.end(PATIENCE)


class _Worker:
    """A process that does jobs."""

    job: Job  #: that it is at, or was at last

    def __init__(self, task: Task, threads: int):
        self.pipe, theirs = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=_serve, args=(theirs, task, threads), daemon=True)
        with _interrupts_held():
            self.process.start()
        theirs.close()  # so that the pipe ends where the process does

    def give(self, job: Job) -> None:
        """Have it do a job; it has none."""
        self.job = job
        with suppress(BrokenPipeError):  # it has died: `result` will find that, too
            self.pipe.send(job)

    def result(self) -> list[Report] | None:
        """The reports of its job, None where it died."""
        try:
            reports: list[Report] = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            return None
        return reports

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


def _serve(pipe: connection.Connection, task: Task, threads: int) -> None:
    """The life of a process: a job comes in, its reports go out, until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)  # before torch or NumPy's library is loaded
    with suppress(EOFError, ConnectionError):  # whoever gives the jobs is gone
        while True:
            pipe.send(task(pipe.recv()))
