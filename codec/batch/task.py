"""The task of files: read one, have it worked on, write the result whole or not at all.

Where files are is a `Store`'s matter: folders of this computer (local.py), or whatever else has names and bytes.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import BinaryIO, Protocol

from codec.batch.callables import Made
from codec.batch.jobs import Job, Report
from codec.batch.local import Folders, contents
from codec.coding.progress import Progress
from codec.container import bitstream
from codec.errors import explained


class Work(Protocol):
    """What is done to one file: one of the callables of callables.py."""

    def run(self, stream: BinaryIO, progress: Progress | None = None) -> Made:
        """An open file -> what is made of it."""
        ...


class Store(Protocol):
    """Where files are."""

    def open(self, name: str) -> BinaryIO:
        """A file, open for reading and seekable; InputError where that is not possible."""
        ...

    def put(self, name: str, data: bytes | memoryview, overwrite: bool, check: Callable[[bytes], None] | None) -> None:
        """Write a file whole or not at all; check gets what was written, and raises where that is not good. IrcError
        where it cannot be written, or is there already and is not to be overwritten.
        """
        ...


class FileTask:
    """A job is a file: it is read, worked on and, where the job has a target, written.

    work: what is done to it. irc: whether sources are .irc files, of which no more than the start is read where they
    are something else. overwrite: what is there already. check: gets what was written before it takes its place.
    """

    def __init__(
        self,
        work: Work,
        *,
        irc: bool,
        overwrite: bool = False,
        check: Callable[[bytes], None] | None = None,
        store: Store | None = None,
    ):
        self.work, self.irc, self.overwrite, self.check = work, irc, overwrite, check
        self.store = store or Folders()

    def __call__(self, job: Job) -> list[Report]:
        """The report of the file; what goes wrong stands in it."""
        report = Report(job.source, job.target)
        started = time.perf_counter()
        try:
            with self.store.open(job.source) as file:
                made = self.work.run(io.BytesIO(contents(file, bitstream.MAGIC)) if self.irc else file)
                report.before = file.seek(0, io.SEEK_END)
            if job.target is not None:
                self.store.put(job.target, made.data, self.overwrite, self.check)
            report.after, report.notes = len(made.data), made.notes
            report.facts = {**made.facts, "seconds": round(time.perf_counter() - started, 3)}
        except Exception as error:
            report.code, report.error = explained(error)
        return [report]
