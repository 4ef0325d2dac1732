"""Work for codecs, in this process or in several, with failures as results.

A codec that raises, and even one that takes its process down, costs the one piece of work that it failed at.
"""

import os
import signal
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context
from typing import Any

from bench.peers.codecs import CODECS, Codec, opener

__all__ = ["Failure", "Task", "cores", "describe_error", "run_tasks"]


@dataclass(frozen=True)
class Task:
    """`work(codec, *arguments)`, with a label to show and a key to know its result by; all of it can be pickled."""

    label: str
    key: Any
    codec: str
    work: Callable[..., Any]
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Failure:
    """The result of work that did not work."""

    error: str


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_error(error: BaseException) -> str:
    """Return an error as one line that names its type."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def run_tasks(tasks: Iterable[Task], codecs: Sequence[Codec], jobs: int) -> Iterator[tuple[Task, Any]]:
    """Yield each task with its result, or with a `Failure`, as they are done.

    With one job the codecs are used as they are, in order; with more, processes open them by their names and
    finish in any order. Tasks are taken from their iterable as there is room for them.
    """
    if jobs == 1:
        by_name = {codec.name: codec for codec in codecs}
        for task in tasks:
            yield task, _attempt(by_name[task.codec], task)
        return
    # one that has no name there (an external one) goes to the processes as it is
    openers = {
        codec.name: opener(codec.name) if codec.name.partition(":")[0] in CODECS else partial(_itself, codec)
        for codec in codecs
    }
    remaining = iter(tasks)
    suspects: list[Task] = []
    while True:
        broken = yield from _run_pool(remaining, openers, jobs)
        if not broken:
            break
        # one of these took its process down: each for itself, it is seen which
        suspects += broken
        while suspects:
            task = suspects.pop()
            if (yield from _run_pool(iter([task]), openers, 1)):
                yield task, Failure("the process of the codec died")


def _itself(codec: Codec) -> Codec:
    return codec


def _run_pool(
    tasks: Iterator[Task], openers: Mapping[str, Callable[[], Codec]], jobs: int
) -> Generator[tuple[Task, Any], None, list[Task]]:
    """Yield results until the tasks are done or a process dies; return the tasks that it died with."""
    # spawned, not forked: torch and x265 have threads, which a fork would break
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _start, (openers,))
    running: dict[Future[Any], Task] = {}
    broken: list[Task] = []
    try:
        while True:
            if not broken:
                for task in islice(tasks, jobs - len(running)):
                    try:
                        running[pool.submit(_work, task)] = task
                    except BrokenProcessPool:
                        broken.append(task)
                        break
            if not running:
                return broken
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                task = running.pop(future)
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    broken.append(task)
                else:
                    yield task, Failure(describe_error(error)) if error else future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_openers: dict[str, Callable[[], Codec]] = {}
_opened: dict[str, Codec] = {}


def _start(openers: Mapping[str, Callable[[], Codec]]) -> None:
    """Make a new process ready: one thread, since the processes share the processor; Ctrl-C ends it silently."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = "1"  # before torch or NumPy's library is loaded
    _openers.update(openers)


def _work(task: Task) -> Any:
    if task.codec not in _opened:
        _opened[task.codec] = _openers[task.codec]()
    return _attempt(_opened[task.codec], task)


def _attempt(codec: Codec, task: Task) -> Any:
    try:
        return task.work(codec, *task.arguments)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of a codec written in Rust is no Exception
        return Failure(describe_error(error))
