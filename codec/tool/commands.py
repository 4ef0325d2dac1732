"""What each command does.

Everything heavy is imported inside the command that needs it: ``irc info`` and ``irc weights`` start without torch or
numpy.
"""

from __future__ import annotations

import io
import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from codec.batch import local
from codec.batch.callables import Made, ReadBack
from codec.container import bitstream, damaged
from codec.errors import DamagedError, InputError, IrcError, UsageError, WeightsError, exit_code
from codec.network import registry
from codec.tool import bar, console, output, works
from codec.tool.options import STREAM
from codec.tool.output import Status, shown

SUFFIX = ".irc"

# --- inputs and outputs --------------------------------------------------------------


def _read_irc(name: str) -> bytes:
    """An .irc file, or no more than its start where it is something else."""
    return console.read(name, bitstream.MAGIC)


def _target(args: Namespace, suffix: str) -> str:
    """Return the output's name and refuse early what would fail after all the work."""
    if args.OUT is not None and args.output is not None:
        raise UsageError("two outputs, OUT and -o; one is enough")
    source = args.IN = console.named(args.IN)
    target: str | None = args.output if args.OUT is None else args.OUT
    if source != STREAM and not os.path.exists(source):
        raise InputError("no such file")
    if source != STREAM and os.path.isdir(source):
        raise InputError("is a directory, not a file; folders go with --out-dir DIR")
    if target is None:
        piped = source == STREAM or local.unusual(os.stat(source))
        target = STREAM if piped else os.path.splitext(source)[0] + suffix
    target = console.named(target)
    if suffix == SUFFIX:
        _refuse_photos(target)
    if target == STREAM:
        if args.json:
            raise UsageError("--json needs standard output, which the output file is going to")
        if sys.stdout.isatty():
            raise IrcError("will not write a binary file to a terminal; name an output file")
        return target
    if console.descriptor(target) is not None:
        return target
    if os.path.isdir(target):
        raise IrcError(f"the output {shown(target)} is a directory")
    if source != STREAM and os.path.exists(target) and os.path.samefile(source, target):
        raise IrcError(f"the output {shown(target)} is the input itself")
    if os.path.isfile(target) and not args.force:
        raise local.exists(target)
    folder = os.path.dirname(os.path.realpath(target))
    if not os.path.isdir(folder):
        raise IrcError(f"cannot write {shown(target)}: no such folder")
    if not os.path.exists(target) and not os.access(folder, os.W_OK):
        raise IrcError(f"cannot write {shown(target)}: the folder is not writable")
    return target


def _refuse_photos(target: str) -> None:
    """Refuse outputs of encode that may be somebody's photo, as in ``irc encode -f *.jpg`` where there are two."""
    special = console.descriptor(target) is not None or (os.path.exists(target) and local.unusual(os.stat(target)))
    # of a link the file behind it counts, too: that is what would be replaced
    named = all(name.lower().endswith(SUFFIX) for name in (target, os.path.realpath(target)))
    if not (target == STREAM or special or named):
        raise UsageError(
            f"the output {shown(target)} does not end in {SUFFIX}; encode takes one picture and writes .irc"
        )


def _picture(args: Namespace, ending: str) -> tuple[str, str]:
    """The output of a command that writes a picture, and its format: its suffix, which goes without its dot."""
    if args.format and {args.OUT, args.output} - {None, STREAM}:
        raise UsageError("--format goes without a name of the output, whose suffix says the format")
    target = _target(args, f"{ending}.{args.format or 'png'}")
    suffix = "" if target == STREAM else Path(target).suffix
    return target, args.format or suffix[1:].lower() or "png"


def _source(name: str) -> BinaryIO:
    """A picture, open for reading and seekable; a pipe or a device has been read to its end."""
    return local.opened(name) if os.path.isfile(name) else io.BytesIO(console.read(name))


def _write(target: str, data: bytes | memoryview, force: bool, check: Callable[[bytes], None] | None = None) -> None:
    """Write the output whole or not at all; `check` gets what was written before it takes its place."""
    number = console.descriptor(target)
    if (target == STREAM or number is not None) and check:
        check(bytes(data))  # what went into a pipe cannot be read again
    if target == STREAM:
        console.put(data)
    elif number is not None:
        with local.writing(target):
            console.put_into(number, data)
    else:
        local.put(target, data, force, check)


# --- commands ------------------------------------------------------------------------


def encode(args: Namespace, status: Status) -> None:
    """A picture to an .irc file."""
    status.file = args.IN
    work = works.encoder(args)
    target = _target(args, SUFFIX)
    started = time.perf_counter()
    with _source(args.IN) as stream:
        made = work.run(stream, bar.reporter("encode"))

    def check(written: bytes) -> None:
        ReadBack(args.threads)(written, bar.reporter("verify"))

    _finish(args, status, (target, started), made, check if args.verify else None)


def decode(args: Namespace, status: Status) -> None:
    """An .irc file to a picture."""
    status.file = args.IN
    target, format = _picture(args, "")
    started = time.perf_counter()
    data = _read_irc(args.IN)
    made = works.decoder(args, format).run(io.BytesIO(data), bar.reporter("decode"))
    _finish(args, status, (target, started), made)


def downscale(args: Namespace, status: Status) -> None:
    """A photo to a small picture."""
    status.file = args.IN
    target, format = _picture(args, "-small")
    started = time.perf_counter()
    work = works.downscaler(args, format)
    with _source(args.IN) as stream:
        made = work.run(stream)
    _finish(args, status, (target, started), made)


def upscale(args: Namespace, status: Status) -> None:
    """A small picture to the photo that it was."""
    status.file = args.IN
    target, format = _picture(args, "-large")
    started = time.perf_counter()
    with _source(args.IN) as stream:
        made = works.upscaler(args, format).run(stream)
    _finish(args, status, (target, started), made)


def _finish(
    args: Namespace, status: Status, run: tuple[str, float], made: Made, check: Callable[[bytes], None] | None = None
) -> None:
    """Write what was made to the target of this run, which has started at that time, and say so."""
    target, started = run
    for note in made.notes:
        status.note(note)
    _write(target, made.data, args.force, check)
    status.result(args.IN, target, {**made.facts, "seconds": round(time.perf_counter() - started, 3)}, args.json)


def info(args: Namespace, status: Status) -> None:
    """What .irc files say of themselves."""
    installed = {weights.id for weights in registry.installed()}
    shown_before = False
    for name in args.FILE:
        with status.guarded(name):
            data, damage = _read_irc(name), None
            try:
                # Nothing is decoded here, so a large picture is no reason to refuse.
                file = bitstream.read(data, max_pixels=None)
            except DamagedError as error:
                file, damage = damaged.outline(data), error
            if args.json:
                output.tell_json({"file": name, **output.info_facts(file, installed, damage)})
            else:
                gap = "\n" if shown_before else ""
                console.tell(f"{gap}{'file':<12} {shown(name)}\n{output.info_text(file, installed, damage)}")
            shown_before = True
            if damage:
                raise damage


def verify(args: Namespace, status: Status) -> None:
    """Whether .irc files decode to what was encoded."""
    for name in args.FILE:
        with status.guarded(name):
            works.verifier(args).run(io.BytesIO(_read_irc(name)), bar.reporter("verify"))
            if args.json:
                output.tell_json({"file": name, "ok": True})
            else:
                status.confirm(f"{shown(name)}: ok")


def weights(args: Namespace, status: Status) -> None:
    """The weights that are here."""
    for folder in registry.folders():
        if not folder.is_dir():
            status.note(f"there is no folder {shown(str(folder))}, which IRC_WEIGHTS names")
    found = registry.installed()
    if not found:
        raise WeightsError("no weights are installed")
    rows = [output.weights_facts(one) for one in found]
    if args.check:
        for one, row in zip(found, rows):
            wrong = registry.check(one.path)
            row["ok"] = wrong is None
            if wrong is not None:
                status.file = str(one.path)
                status.fail(exit_code("weights"), wrong)
    if args.json:
        for row in rows:
            output.tell_json(row)
    else:
        console.tell(output.weights_table(rows))


RUN: dict[str, Callable[[Namespace, Status], Any]] = {
    "encode": encode,
    "decode": decode,
    "info": info,
    "verify": verify,
    "downscale": downscale,
    "upscale": upscale,
    "weights": weights,
}
