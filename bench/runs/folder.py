"""A run over a folder of images: what could be read, what failed, how far it is."""

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bench.peers.codecs import Codec
from bench.runs.images import is_not_kodaks, machine, read_image
from bench.runs.pool import Failure, Task, describe_error, run_tasks
from codec.metrics.distortion import Image8

__all__ = ["Outcome", "Report", "Run", "readable", "results"]

Report = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """What every measurement over a folder is told.

    `missing` names codecs that could not be had, with the reason, and `command` the command line, both for the record;
    `jobs` is the number of processes; `report` gets each line that a user should read.
    """

    folder: Path
    out: Path
    codecs: Sequence[Codec]
    missing: Mapping[str, str] = field(default_factory=dict)
    jobs: int = 1
    command: str = ""
    report: Report = print

    def record(self) -> dict[str, Any]:
        """Return what a result file says of the run: command, date, processes, machine."""
        return {
            "command": self.command,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "jobs": self.jobs,
            "machine": machine(),
        }


@dataclass
class Outcome:
    """What a run did: pieces measured and kept, and everything that did not work."""

    measured: int = 0
    kept: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for was measured."""
        return not self.unreadable and not self.failures


def readable(paths: Sequence[Path], outcome: Outcome, report: Report) -> Iterator[tuple[str, Image8]]:
    """Yield name and pixels of each image; those that cannot be read are named, counted and passed over, and
    those that go by the name of one of Kodak's and are not it are named.
    """
    for path in paths:
        try:
            image = read_image(path)
        except Exception as error:  # whatever a broken file makes its reader raise
            outcome.unreadable[path.name] = describe_error(error)
            report(f"{path.name}: unreadable, skipped ({describe_error(error)})")
            continue
        if is_not_kodaks(path.name, image):
            report(
                f"{path.name}: not Kodak's image of that name: its pixels differ (docs/benchmarks.md has the checksums)"
            )
        yield path.name, image


def results(
    tasks: Iterator[Task], total: int, codecs: Sequence[Codec], jobs: int, outcome: Outcome, report: Report
) -> Iterator[tuple[Task, Any]]:
    """Yield the tasks with their results while a bar on standard error shows how far they are.

    A failure is named, counted and yielded too. `total` is how many tasks there will be at most.
    """
    # in a log file a line a minute is enough
    with tqdm(total=total, unit="run", dynamic_ncols=True, mininterval=0.5, maxinterval=60) as bar:
        for task, result in run_tasks(tasks, codecs, jobs):
            if isinstance(result, Failure):
                outcome.failures.append(f"{task.label}: {result.error}")
                report(f"failed: {task.label} ({result.error})")
            else:
                outcome.measured += 1
            bar.set_postfix_str(task.label, refresh=False)
            bar.update()
            yield task, result
        bar.total = bar.n  # images that could not be read are no longer waited for
        bar.refresh()
