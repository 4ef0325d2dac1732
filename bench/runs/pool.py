"""Work for codecs, in this process or in several, with failures as results.

A codec that raises, and even one that takes its process down, costs the one piece of work that it failed at.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.peers.codecs import CODECS, Codec, opener
from codec.batch.runners import cores, in_processes

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
        here = _Work({codec.name: partial(_itself, codec) for codec in codecs})
        for task in tasks:
            yield task, here(task)
        return
    # one that has no name there (an external one) goes to the processes as it is
    work = _Work(
        {
            codec.name: opener(codec.name) if codec.name.partition(":")[0] in CODECS else partial(_itself, codec)
            for codec in codecs
        }
    )
    yield from in_processes(work, tasks, jobs, 1, lambda task, how: Failure("the process of the codec died"))


def _itself(codec: Codec) -> Codec:
    return codec


class _Work:
    """What does a task, with codecs that are opened as they are needed, once a process."""

    def __init__(self, openers: Mapping[str, Callable[[], Codec]]):
        self.openers = openers
        self.opened: dict[str, Codec] = {}

    def __call__(self, task: Task) -> Any:
        try:
            if task.codec not in self.opened:
                self.opened[task.codec] = self.openers[task.codec]()
            return task.work(self.opened[task.codec], *task.arguments)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of a codec written in Rust is no Exception
            return Failure(describe_error(error))
