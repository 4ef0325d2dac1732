"""The commands over many files: which ones, who does the work, what is said of it, and how it ends."""

from __future__ import annotations

import os
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

from codec.batch.callables import ReadBack
from codec.batch.cluster import Cluster
from codec.batch.jobs import Job, Report, Runner
from codec.batch.local import reason
from codec.batch.places import Places, is_url, local
from codec.batch.plan import IRC, Plan, Planner, Wanted, listed_names
from codec.batch.runners import InProcess, Processes, room
from codec.batch.shards import AnyTask, ShardTask, is_shard
from codec.batch.task import FileTask, Work
from codec.errors import InputError, IrcError, UsageError
from codec.tool import bar, console, output, works
from codec.tool.options import STREAM
from codec.tool.output import Status, shown

#: bytes of memory that a process may need, with a picture of 4 megapixels in one tile
MEMORY = 1 << 30
FEW = 4  #: files that one process codes before a second one would have started
NAMED = 10  #: failures that the summary names; each of them has had its own line before


class Kind(NamedTuple):
    """What a command is to many files."""

    done: str  #: what the summary calls it
    irc: bool  #: whether the sources are .irc files
    ending: Callable[[Namespace], str | None]  #: what outputs' names have in place of the sources' suffixes
    work: Callable[[Namespace], Work]


def _format(args: Namespace) -> str:
    return str(args.format or "png")


KINDS = {
    "encode": Kind("encoded", False, lambda args: IRC, works.encoder),
    "decode": Kind("decoded", True, lambda args: f".{_format(args)}", lambda args: works.decoder(args, _format(args))),
    "verify": Kind("verified", True, lambda args: None, works.verifier),
    "downscale": Kind(
        "made small", False, lambda args: f"-small.{_format(args)}", lambda args: works.downscaler(args, _format(args))
    ),
    "upscale": Kind(
        "made large", False, lambda args: f"-large.{_format(args)}", lambda args: works.upscaler(args, _format(args))
    ),
}
#: options that want an output folder, by their names
ALONE = ("recursive", "skip_existing", "jobs", "files_from", "scheduler")


def arrange(args: Namespace) -> str | None:
    """Sort a command's files out: IN and OUT of one picture, or (`batch`) many. Returns what is wrong with them."""
    if args.command == "verify":
        names = args.FILE
        asked = args.recursive or args.jobs or args.files_from or args.scheduler
        args.batch = asked or any(os.path.isdir(name) or is_url(name) or is_shard(name) for name in names)
    elif args.command in KINDS:
        names, args.batch = args.IN, args.out_dir is not None
    else:
        return None
    if not names and not (args.batch and args.files_from):
        return f"the following arguments are required: {'FILE' if args.command == 'verify' else 'IN'}"
    if args.batch or args.command == "verify":
        return None
    for name in ALONE:
        if getattr(args, name):
            return f"--{name.replace('_', '-')} goes with --out-dir DIR"
    for name in names:
        if is_url(name) or is_shard(name):
            return f"{'a URL' if is_url(name) else 'a shard (.tar)'} goes with --out-dir DIR"
    if len(names) > 2:
        return f"unrecognized arguments: {' '.join(map(shown, names[2:]))} (several inputs go with --out-dir DIR)"
    args.IN, args.OUT = [*names, None][:2]
    return None


def run(args: Namespace, status: Status) -> None:
    """Carry a command out over many files."""
    kind = KINDS[args.command]
    if args.command != "verify":
        args.out_dir = local(args.out_dir)
    plan = _plan(args, kind)
    jobs = [entry for entry in plan.entries if isinstance(entry, Job)]
    with _runner(args, len(jobs)) as runner:
        task = _task(args, kind)
        if args.command != "verify" and jobs and not is_url(args.out_dir):
            _make(args.out_dir)
        tally = Tally(args, status, kind, plan)
        try:
            with tally, closing(runner.run(task, jobs)) as results:
                for job, reports in results:
                    tally.add(job, reports)
        except (KeyboardInterrupt, SystemExit):
            status.code = 0  # it is the interruption that counts
            again = "" if args.command == "verify" else "; the same again with --skip-existing goes on from here"
            tally.tell(f"interrupted{again}")
            status.file = ""
            raise
    tally.tell()


def _task(args: Namespace, kind: Kind) -> AnyTask:
    """What is done to each file, or to each file of a shard."""
    work = kind.work(args)
    wanted = _wanted(args, kind)
    check = ReadBack(args.threads) if args.command == "encode" and args.verify else None
    # a job whose worker was lost is done again, and its output may be there; what was there before, the plan knows
    overwrite = args.command != "verify" and (args.force or args.scheduler is not None)
    suffix = wanted.ending and "." + wanted.ending.rpartition(".")[2]  # "-small" would part a picture from its sample
    return AnyTask(
        FileTask(work, irc=kind.irc, overwrite=overwrite, check=check, store=Places()),
        ShardTask(work, takes=wanted.suffixes, suffix=suffix or "", overwrite=overwrite, check=check),
    )


def _wanted(args: Namespace, kind: Kind) -> Wanted:
    if kind.irc:
        return Wanted(f"{IRC} files", frozenset({IRC}), kind.ending(args))
    from codec.pictures import foreign, reading

    return Wanted("pictures", reading.suffixes(), kind.ending(args), frozenset(foreign.RAW_SUFFIXES))


def _plan(args: Namespace, kind: Kind) -> Plan:
    names = args.FILE if args.command == "verify" else args.IN
    if STREAM in names:
        raise UsageError("standard input is one picture; it does not go with folders and several files")
    out = None if args.command == "verify" else args.out_dir
    if out is not None and (args.OUT is not None or args.output is not None):
        raise UsageError("-o names one output; --out-dir DIR is where several go")
    if out is not None and os.path.exists(out) and not os.path.isdir(out):
        raise IrcError(f"the output folder {shown(out)} is not a folder")
    existing = "refuse"
    if args.command != "verify":
        existing = "overwrite" if args.force else "skip" if args.skip_existing else "refuse"
    listed = [] if args.files_from is None else listed_names(_list(args.files_from))
    if args.files_from is not None and not listed and not names:
        raise InputError(f"{shown(args.files_from)} names no files")
    return Planner(_wanted(args, kind), out, recursive=args.recursive, existing=existing).make(names, listed)


def _list(name: str) -> bytes:
    if name == STREAM:
        return console.read(name)
    with Places().open(name) as stream:
        return stream.read()


def _make(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise IrcError(f"cannot make the folder {shown(folder)}: {reason(error)}") from None


@contextmanager
def _runner(args: Namespace, jobs: int) -> Iterator[Runner]:
    """Who does the jobs; args.threads becomes those of each process (None: as many as there are cores)."""
    if args.scheduler is not None and jobs:
        args.threads = args.threads or 1
        with Cluster(args.scheduler) as cluster:
            yield cluster
        return
    count = min(jobs, args.jobs or _automatic(jobs, args.threads or 1))
    if count < 2:
        yield InProcess()
    else:
        args.threads = args.threads or 1
        yield Processes(count, args.threads)


def _automatic(jobs: int, threads: int) -> int:
    """As many processes as there are cores for, and memory, and work."""
    processors, memory = room()
    most = processors // threads if memory is None else min(processors // threads, memory // MEMORY)
    return max(1, min(most, -(-jobs // FEW)))


class Tally:
    """What has been done so far; as a context it shows a bar, and sets the exit status at the end."""

    def __init__(self, args: Namespace, status: Status, kind: Kind, plan: Plan):
        self.args, self.status, self.kind, self.plan = args, status, kind, plan
        self.order = {(entry.source, entry.target): n for n, entry in enumerate(plan.entries)}
        self.failures: dict[tuple[int, str], int] = {}  # exit statuses, by the sources' places and names
        self.count: Counter[str] = Counter()
        self.started = time.perf_counter()

    def __enter__(self) -> Tally:
        jobs = [entry for entry in self.plan.entries if isinstance(entry, Job)]
        for name, text in self.plan.notes:
            self.status.file = name
            self.status.note(text)
        for entry in self.plan.entries:
            if isinstance(entry, Report):
                self._report(entry, (entry.source, entry.target))
        self.bar = bar.Files(self.args.command, len(jobs), sum(max(job.size, 1) for job in jobs))
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()
        if self.failures:
            self.status.code = self.failures[min(self.failures)]

    def add(self, job: Job, reports: list[Report]) -> None:
        """A job is done."""
        for report in reports:
            self._report(report, (job.source, job.target))
        self.bar.add(max(job.size, 1), len(reports), sum(report.pixels for report in reports))

    def _report(self, report: Report, job: tuple[str, str | None]) -> None:
        self.status.file = report.source
        for note in report.notes:
            self.status.note(note)
        self.count["files"] += 1
        if report.error is not None:
            self.failures[self.order[job], report.source] = report.code
            self.status.fail(report.code, report.error)
        elif report.skipped:
            self.count["skipped"] += 1
        else:
            self.count["done"] += 1
            self.count.update(before=report.before, after=report.after, pixels=report.pixels)
        if self.args.json:
            output.tell_json(output.report_facts(report))
        elif report.target is None and report.error is None:
            self.status.confirm(f"{shown(report.source)}: ok")

    def tell(self, end: str = "") -> None:
        """Print the summary; end: what else is to be said."""
        if self.args.quiet:
            return
        seconds = time.perf_counter() - self.started
        done = self.count["done"]
        parts = [f"{self.kind.done} {done} of {files(max(len(self.plan.entries), self.count['files']))}"]
        if done and self.args.command != "verify":
            before, after = self.count["before"], self.count["after"]
            parts.append(f"{amount(before)} to {amount(after)} ({100 * after / max(before, 1):.1f} %)")
        if done:
            speed = self.count["pixels"] / 1e6 / max(seconds, 1e-9)
            parts.append(f"{speed:.2f} megapixels/s in {int(seconds) // 60}:{int(seconds) % 60:02d}")
        if self.count["skipped"]:
            parts.append(f"{self.count['skipped']} there already")
        if self.plan.others:
            parts.append(f"{files(self.plan.others)} of other kinds left out")
        if self.plan.raws:
            raws, them = ("raw", "it") if self.plan.raws == 1 else ("raws", "them")
            parts.append(f"{self.plan.raws} camera {raws} left out (develop {them} first)")
        line = ", ".join(parts)
        names = [shown(name) for _, name in sorted(self.failures)]
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            line += f"; {len(names)} failed: {', '.join(names[:NAMED])}{more}"
        line += f"; {end}" if end else ""
        if self.args.json:  # standard output is for the lines of the files
            console.say(line)
        else:
            self.status.confirm(line)


def files(count: int) -> str:
    """A number of files in words.

    >>> files(1), files(2)
    ('1 file', '2 files')
    """
    return f"{count} file" + "s" * (count != 1)


def amount(size: int) -> str:
    """A number of bytes as people read it.

    >>> amount(999), amount(1000), amount(12_345_678), amount(10**12)
    ('999 bytes', '1.0 kB', '12.3 MB', '1000.0 GB')
    """
    value, unit = float(size), "bytes"
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
