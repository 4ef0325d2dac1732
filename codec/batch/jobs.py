"""What a batch consists of: jobs, the task that does each of them, the reports that come back; and who runs it all.

A task is a callable that can be pickled and gets a `Job`; whatever goes wrong with a file stands in its `Report`, and
nothing is raised but what ends the process. A runner (runners.py) has the task do all jobs, wherever that is.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Job:
    """One unit of work and of starting again: a file, or whatever a task takes several files from."""

    source: str
    target: str | None = None  #: None: nothing is written
    size: int = 0  #: of the source in bytes, by which the time that is left is estimated


@dataclass
class Report:
    """What became of one file."""

    source: str
    target: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)  #: as `codec.batch.Made` has them, and seconds
    notes: list[str] = field(default_factory=list)  #: worth knowing, a line each
    error: str | None = None  #: why it failed, one line
    code: int = 0  #: exit status of that failure, as codec/errors.py has it
    before: int = 0  #: bytes that were read
    after: int = 0  #: bytes that were written
    skipped: bool = False  #: the output was there already

    @property
    def pixels(self) -> int:
        """Of the picture that was made, or of that which was checked."""
        return int(self.facts.get("width", 0)) * int(self.facts.get("height", 0))


Task = Callable[[Job], list[Report]]


class Runner(Protocol):
    """Runs a task over jobs."""

    def run(self, task: Task, jobs: Iterable[Job]) -> Generator[tuple[Job, list[Report]], None, None]:
        """Yield each job once, as it is done and in any order, with the reports of its files.

        A job whose process dies is done again, and reported as failed if that ends in the same way. Where the iterator
        is closed early, as by an exception in the loop over it, work is stopped and nothing is left half written.
        """
        ...
