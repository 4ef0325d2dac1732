"""Shards: tar files of samples, as webdataset reads them; a shard is one job, done whole or not at all.

A sample is what files in a row have in common, their name up to its first dot: ``17.jpg``, ``17.json``. Pictures are
replaced by what is made of them (``17.irc``), everything else is copied. Both tar files are read and written from start
to end, so that a worker holds one sample in memory. https://github.com/webdataset/webdataset describes the layout.
"""

from __future__ import annotations

import io
import itertools
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import PurePosixPath
from typing import BinaryIO, NamedTuple

from codec.batch.jobs import Job, Report
from codec.batch.local import LARGEST_INPUT, printable, reason
from codec.batch.places import Places
from codec.batch.task import FileTask, Work
from codec.errors import DamagedError, InputError, explained

SUFFIX = ".tar"
_BLOCK = 512  #: bytes of a block of a tar file, which ends with two blocks of zeros


class Member(NamedTuple):
    """A file of a shard."""

    name: str
    data: bytes
    changed: float  #: seconds since 1970
    mode: int  #: permissions


class _Empty(Exception):
    """There is nothing in the new shard."""


class _Watched:
    """A stream that is read from start to end, and remembers what came last."""

    def __init__(self, stream: BinaryIO):
        self.stream, self.last = stream, b""

    def read(self, size: int) -> bytes:
        try:
            data = self.stream.read(size)
        except MemoryError:
            raise
        except Exception as error:  # of one of fsspec's libraries
            raise InputError(f"cannot be read: {reason(error) or type(error).__name__}") from None
        self.last = (self.last + data)[-_BLOCK:]
        return data


def key(name: str) -> str:
    """What a member's sample is called.

    >>> key("b.1/0017.left.jpg"), key("./0017.json")
    ('b.1/0017', './0017')
    """
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(".")[0]


def members(stream: BinaryIO) -> Iterator[Member]:
    """The files of a tar file, one after the other; InputError where it is none, DamagedError where it is not whole."""
    watched = _Watched(stream)
    try:
        # a stream: nothing is sought, which is what an object store is quick at
        with tarfile.open(fileobj=watched, mode="r|") as tar:  # type: ignore[call-overload]  # it is read, no more
            for entry in tar:
                if not entry.isfile():
                    continue  # folders and links, which webdataset passes over, too
                if entry.size > LARGEST_INPUT:
                    raise InputError(f"{printable(entry.name)} has more than the limit of {LARGEST_INPUT} bytes")
                file = tar.extractfile(entry)
                yield Member(entry.name, file.read() if file else b"", entry.mtime, entry.mode)
    except tarfile.ReadError as error:
        if str(error) in ("unexpected end of data", "truncated header"):
            raise DamagedError("the shard is cut short") from None
        raise InputError(f"is not a tar file: {error}") from None
    except tarfile.TarError as error:
        raise DamagedError(f"the shard is damaged: {error}") from None
    while rest := watched.read(1 << 20):  # a writer may fill up with zeros
        if rest.strip(b"\0"):
            break
    if watched.last.strip(b"\0"):
        raise DamagedError("the shard is cut short: the end of a tar file is missing")


def is_shard(name: str) -> bool:
    """Whether a file is a shard, by its name.

    >>> is_shard("s3://bucket/photos-000017.TAR"), is_shard("photo.jpg")
    (True, False)
    """
    return name.lower().endswith(SUFFIX)


class ShardTask:
    """A job is a shard: each of its pictures is worked on.

    work: what is done to a picture. takes: the suffixes of pictures, in lower case. suffix: of what is made of them.
    overwrite: a shard that is there already. check: gets the bytes of what was made, raises where they are not good.

    Of a picture that fails the whole sample is left out, so that the new shard holds whole samples only, and a report
    names it. Without any that succeeded no shard is written.
    """

    def __init__(
        self,
        work: Work,
        *,
        takes: frozenset[str],
        suffix: str = "",
        overwrite: bool = False,
        check: Callable[[bytes], None] | None = None,
    ):
        self.work, self.takes, self.suffix, self.overwrite, self.check = work, takes, suffix, overwrite, check
        self.places = Places()

    def __call__(self, job: Job) -> list[Report]:
        """The reports of all pictures of the shard, or one of the shard where it cannot be read or written."""
        reports: list[Report] = []
        try:
            if job.target is None:
                for _ in self._samples(job, reports):
                    pass
            else:
                self._write(job, job.target, reports)
        except Exception as error:
            code, text = explained(error)
            reports = [Report(job.source, job.target, error=text, code=code)]
        return reports or [Report(job.source, job.target, error="no picture in this shard", code=InputError.exit_code)]

    def _write(self, job: Job, target: str, reports: list[Report]) -> None:
        """Write the new shard, unless there is nothing in it."""
        with suppress(_Empty), self.places.making(target, self.overwrite) as stream:
            with tarfile.open(fileobj=stream, mode="w") as tar:
                for sample in self._samples(job, reports):
                    for member in sample:
                        entry = tarfile.TarInfo(member.name)
                        entry.size, entry.mtime, entry.mode = len(member.data), member.changed, member.mode
                        tar.addfile(entry, io.BytesIO(member.data))
            if all(report.error for report in reports):
                raise _Empty

    def _samples(self, job: Job, reports: list[Report]) -> Iterator[list[Member]]:
        """The samples of the new shard; a report of each picture is added to reports."""
        used: set[str] = set()
        with self.places.stream(job.source) as stream:
            for _, group in itertools.groupby(members(stream), lambda member: key(member.name)):
                sample, own = [], []
                for member in group:
                    if PurePosixPath(member.name).suffix.lower() in self.takes:
                        member, report = self._worked_on(job, member)
                        own.append(report)
                    sample.append(member)
                names = [member.name for member in sample]
                if len(used | {*names}) < len(used) + len(names):
                    own = own or [self._report(job, names[0], names[0])]
                    for report in own:
                        report.error, report.code = "two members of the shard would have its name", InputError.exit_code
                reports += own
                if not any(report.error for report in own):
                    used |= {*names}
                    yield sample

    def _report(self, job: Job, source: str, made: str) -> Report:
        return Report(f"{job.source}/{source}", job.target and f"{job.target}/{made}")

    def _worked_on(self, job: Job, member: Member) -> tuple[Member, Report]:
        """What is made of a picture (where it fails: the picture), and the report."""
        new = str(PurePosixPath(member.name).with_suffix(self.suffix))
        report = self._report(job, member.name, new)
        report.before, started = len(member.data), time.perf_counter()
        try:
            made = self.work.run(io.BytesIO(member.data))
            data = bytes(made.data)
            if self.check:
                self.check(data)
        except Exception as error:
            report.code, report.error = explained(error)
            return member, report
        report.after, report.notes = len(data), made.notes
        report.facts = {**made.facts, "seconds": round(time.perf_counter() - started, 3)}
        return Member(new, data, member.changed, member.mode), report


class AnyTask:
    """A job is a shard or a file, by its name."""

    def __init__(self, file: FileTask, shard: ShardTask):
        self.file, self.shard = file, shard

    def __call__(self, job: Job) -> list[Report]:
        """What the task for its kind says."""
        return (self.shard if is_shard(job.source) else self.file)(job)
