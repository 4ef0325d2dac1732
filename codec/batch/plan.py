"""What a batch is to do, known in full before any of it is done: sources, outputs, and what can be said already.

>>> wanted = Wanted("pictures", frozenset({".png", ".jpg"}), ".irc")
>>> wanted.output("out", "trip/day 1/a.jpg")
'out/trip/day 1/a.irc'

A file that is named goes into the output folder under its own name. What is found in a folder keeps its path within
that folder, and a name of a list (``--files-from``) keeps its path, where that is relative and stays below. Sources and
the output folder may be URLs (places.py), and sources shards (shards.py), whose outputs are shards.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from codec.batch.jobs import Job, Report
from codec.batch.local import exists, printable, reason, unusual
from codec.batch.places import Places, inside, is_url, joined, local
from codec.batch.shards import is_shard
from codec.errors import InputError, IrcError, UsageError

IRC = ".irc"


class Wanted(NamedTuple):
    """Which files a command takes from folders, and what it names what it makes of them."""

    what: str  #: they are called in messages
    suffixes: frozenset[str]  #: in lower case, with their dots
    ending: str | None  #: what the outputs' names have in place of the sources' suffixes; None: there are no outputs
    raws: frozenset[str] = frozenset()  #: suffixes of camera raws, which are left out, and counted

    def output(self, folder: str, name: str) -> str:
        """The output of the source of this name, in an output folder."""
        output = name if is_shard(name) else os.path.splitext(name)[0] + (self.ending or "")
        return joined(folder, output.replace(os.sep, "/")) if is_url(folder) else os.path.join(folder, output)

    def takes(self, name: str) -> bool:
        """Whether a file of a folder is one of them."""
        name = os.path.basename(name)
        return not name.startswith(".") and (os.path.splitext(name)[1].lower() in self.suffixes or is_shard(name))


@dataclass
class Plan:
    """What is to be done, and what is known of the rest."""

    entries: list[Job | Report] = field(default_factory=list)  #: in the order of the sources; a report is final
    notes: list[tuple[str, str]] = field(default_factory=list)  #: names, and what is to be said of them
    others: int = 0  #: files in folders that are not of the kind wanted
    raws: int = 0  #: camera raws in folders


class Found(NamedTuple):
    """A file of the kind wanted."""

    path: str
    name: str  #: its path within the output folder, before its suffix is replaced
    size: int = 0  #: in bytes, where it is known


class Planner:
    """Makes a plan.

    out: the output folder, None where nothing is written. recursive: whether folders in folders count, too. existing:
    what becomes of a file whose output is there already: "refuse" it, "skip" it, or "overwrite" the output.
    """

    def __init__(self, wanted: Wanted, out: str | None, *, recursive: bool = False, existing: str = "refuse"):
        self.wanted, self.out, self.recursive, self.existing = wanted, out, recursive, existing
        self.plan = Plan()
        self.places = Places()
        self.there: frozenset[str] = frozenset()  # outputs that are URLs and not to be overwritten

    def make(self, named: Iterable[str], listed: Iterable[str] = ()) -> Plan:
        """The plan for files and folders that are named, and for files on a list.

        UsageError where two sources have one output, or an output is one of the sources.
        """
        jobs: dict[str, Job] = {}  # by the real path of the source
        targets: dict[str, Job] = {}
        for found in [*self._named(named), *self._listed(listed)]:
            if isinstance(found, Report):
                self.plan.entries.append(found)
                continue
            target = self.wanted.output(self.out, found.name) if self.out is not None else None
            job = Job(found.path, target, found.size)
            source = _real(found.path)
            before = jobs.setdefault(source + "\0" + (job.target or ""), job)
            if before is not job:  # named twice, as a file and with its folder
                continue
            if job.target is not None:
                other = targets.setdefault(os.path.normcase(_real(job.target)), job)
                if other is not job:
                    raise UsageError(
                        f"{printable(other.source)} and {printable(job.source)} would both be written to "
                        f"{printable(job.target)}; nothing was done"
                    )
            self.plan.entries.append(job)
        sources = {key.partition("\0")[0] for key in jobs}
        for target, job in targets.items():
            if target in sources:
                raise UsageError(
                    f"the output {printable(job.target or '')} of {printable(job.source)} is one of the inputs; "
                    "nothing was done"
                )
        if self.out is not None and is_url(self.out) and jobs and self.existing != "overwrite":
            self.there = self._found_there(self.out)
        self.plan.entries = [self._looked_at(entry) for entry in self.plan.entries]
        return self.plan

    # --- sources -------------------------------------------------------------------------------

    def _named(self, names: Iterable[str]) -> Iterator[Found | Report]:
        for name in map(local, names):
            if is_url(name):
                yield from self._url(name)
            elif os.path.isdir(name):
                yield from self._folder(name)
            else:
                yield Found(name, os.path.basename(name))

    def _listed(self, names: Iterable[str]) -> Iterator[Found | Report]:
        for name in map(local, names):
            if is_url(name):
                yield Found(name, inside(name))
                continue
            kept = os.path.normpath(name)
            outside = os.path.isabs(kept) or kept.split(os.sep)[0] == os.pardir
            yield Found(name, os.path.basename(name) if outside else kept)

    def _url(self, name: str) -> Iterator[Found | Report]:
        """The file of a URL, or what is wanted in its folder."""
        try:
            if not self.places.is_folder(name):
                yield Found(name, os.path.basename(name))
                return
            within = f"{self.out.rstrip('/')}/" if self.out else None  # where outputs go
            count = 0
            for file in self.places.listed(name, self.recursive):
                hidden = any(part.startswith(".") for part in file.path.split("/")[:-1])
                if hidden or (within is not None and file.name.startswith(within)):
                    continue
                if self.wanted.takes(file.name):
                    count += 1
                    yield Found(file.name, file.path, file.size)
                else:
                    self._left_out(file.name)
            if not count:
                yield _failed(name, self._nothing())
        except IrcError as error:
            yield _failed(name, error)

    def _left_out(self, name: str) -> None:
        if os.path.splitext(name)[1].lower() in self.wanted.raws:
            self.plan.raws += 1
        else:
            self.plan.others += 1

    def _nothing(self) -> InputError:
        deeper = "" if self.recursive else " (--recursive looks into its folders, too)"
        return InputError(f"there are no {self.wanted.what} in this folder{deeper}")

    def _folder(self, top: str) -> Iterator[Found | Report]:
        """What is wanted in a folder, in the order of names."""
        failures: list[Report] = []
        count = 0

        def fail(error: OSError) -> None:
            failures.append(_failed(os.fspath(error.filename or top), error))

        for folder, below, files in os.walk(top, onerror=fail):
            yield from failures
            count += len(failures)
            failures.clear()
            below[:] = sorted(name for name in below if self._entered(folder, name)) if self.recursive else []
            for name in sorted(files):
                path = os.path.join(folder, name)
                if self.wanted.takes(name):
                    count += 1
                    yield Found(path, os.path.relpath(path, top))
                else:
                    self._left_out(name)
        yield from failures
        if not count + len(failures):
            yield _failed(top, self._nothing())

    def _entered(self, folder: str, name: str) -> bool:
        """Whether a folder in a folder counts: not one that is hidden, a link, or where the outputs go."""
        path = os.path.join(folder, name)
        if name.startswith("."):
            return False
        if os.path.islink(path):
            self.plan.notes.append((path, "a link to a folder, which is not followed"))
            return False
        return self.out is None or os.path.realpath(path) != os.path.realpath(self.out)

    # --- what can be said before the work ------------------------------------------------------

    def _looked_at(self, entry: Job | Report) -> Job | Report:
        """A job with the size of its source, or the report that it cannot or need not be done."""
        if isinstance(entry, Report):
            return entry
        try:
            size = entry.size if is_url(entry.source) else _size(entry.source)
            if entry.target is not None and not self._free(entry.target):
                return Report(entry.source, entry.target, skipped=True)
        except (OSError, ValueError, IrcError) as error:
            return _failed(entry.source, error, entry.target)
        return replace(entry, size=size)

    def _free(self, target: str) -> bool:
        """Whether the output is to be written; IrcError where it cannot be."""
        if is_url(target):
            if target not in self.there:
                return True
        elif self._clear(target):
            return True
        if self.existing == "refuse":
            raise IrcError(f"{exists(target)}, --skip-existing leaves it")
        return self.existing == "overwrite"

    def _clear(self, target: str) -> bool:
        """Whether nothing is in the way of an output of this computer; IrcError where it cannot be one."""
        real = os.path.realpath(target)
        if self.wanted.ending == IRC and not is_shard(target) and not real.lower().endswith(IRC):
            raise IrcError(f"the output {printable(target)} is a link to a file that does not end in {IRC}")
        if os.path.isdir(target):
            raise IrcError(f"the output {printable(target)} is a directory")
        return not os.path.exists(target)

    def _found_there(self, folder: str) -> frozenset[str]:
        """What is in an output folder that is a URL: one question for all outputs."""
        try:
            if not self.places.exists(folder):
                return frozenset()
            return frozenset(file.name for file in self.places.listed(folder, True))
        except IrcError as error:
            raise type(error)(f"the output folder {printable(folder)}: {error}") from None


def _real(name: str) -> str:
    """The name by which a file is known."""
    return name if is_url(name) else os.path.realpath(name)


def _size(name: str) -> int:
    """Bytes of a source; InputError where it is no file."""
    status = os.stat(name)
    if kind := unusual(status):
        raise InputError(f"{kind}, not a file")
    if stat.S_ISDIR(status.st_mode):  # on a list
        raise InputError("is a directory, not a file")
    return status.st_size


def _failed(source: str, error: Exception, target: str | None = None) -> Report:
    if isinstance(error, IrcError):
        return Report(source, target, error=str(error), code=error.exit_code)
    if isinstance(error, FileNotFoundError):
        text = "a link that leads nowhere" if os.path.islink(source) else "no such file"
    elif isinstance(error, OSError) and error.errno == errno.ELOOP:
        text = "a link that leads in a circle"
    else:
        text = f"cannot be read: {reason(error)}"
    return Report(source, target, error=text, code=InputError.exit_code)


def listed_names(data: bytes) -> list[str]:
    r"""The file names in a list: one a line, or, where there are NUL bytes, one between two of them.

    >>> listed_names(b"a.png\nb c.png\n"), listed_names(b"two\nlines.png\0b.png\0")
    (['a.png', 'b c.png'], ['two\nlines.png', 'b.png'])
    """
    parts = data.split(b"\0" if b"\0" in data else b"\n")
    return [os.fsdecode(part) for part in parts if part]
