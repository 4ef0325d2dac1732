"""What each command does.

Everything heavy is imported inside the command that needs it: ``irc info`` and ``irc weights`` start without torch or
numpy.
"""

from __future__ import annotations

import gc
import io
import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from codec import atomic
from codec.container import bitstream
from codec.errors import InputError, IrcError, UsageError, WeightsError, exit_code
from codec.network import registry
from codec.tool import bar, console, output
from codec.tool.options import STREAM
from codec.tool.output import Status, shown

if TYPE_CHECKING:
    from codec.pictures.metadata import Picture

LEAST_MEMORY = 1 << 30  # address space in which torch starts
SUFFIX = ".irc"
SMALL_SUFFIXES = (".png", ".webp", ".tif", ".tiff")  # that hold every sample, and XMP

# --- inputs and outputs --------------------------------------------------------------


def _read_irc(name: str) -> bytes:
    """An .irc file, or no more than its start where it is something else."""
    return console.read(name, bitstream.MAGIC)


def _target(args: Namespace, suffix: str) -> str:
    """Return the output's name and refuse early what would fail after all the work."""
    if args.OUT is not None and args.output is not None:
        raise UsageError("two outputs, OUT and -o; one is enough")
    source: str = args.IN
    target: str | None = args.output if args.OUT is None else args.OUT
    if source != STREAM and not os.path.exists(source):
        raise InputError("no such file")
    if source != STREAM and os.path.isdir(source):
        raise InputError("is a directory, not a file")
    if target is None:
        target = STREAM if source == STREAM else os.path.splitext(source)[0] + suffix
    if suffix == SUFFIX:
        _refuse_photos(target)
    if target == STREAM:
        if args.json:
            raise UsageError("--json needs standard output, which the output file is going to")
        if sys.stdout.isatty():
            raise IrcError("will not write a binary file to a terminal; name an output file")
        return target
    if os.path.isdir(target):
        raise IrcError(f"the output {shown(target)} is a directory")
    if source != STREAM and os.path.exists(target) and os.path.samefile(source, target):
        raise IrcError(f"the output {shown(target)} is the input itself")
    if os.path.isfile(target) and not args.force:
        raise _exists(target)
    folder = os.path.dirname(os.path.realpath(target))
    if not os.path.isdir(folder):
        raise IrcError(f"cannot write {shown(target)}: no such folder")
    if not os.path.exists(target) and not os.access(folder, os.W_OK):
        raise IrcError(f"cannot write {shown(target)}: the folder is not writable")
    return target


def _refuse_photos(target: str) -> None:
    """Refuse outputs of encode that may be somebody's photo, as in ``irc encode -f *.jpg`` where there are two."""
    special = os.path.exists(target) and not os.path.isfile(target) and not os.path.isdir(target)
    # of a link the file behind it counts, too: that is what would be replaced
    named = all(name.lower().endswith(SUFFIX) for name in (target, os.path.realpath(target)))
    if not (target == STREAM or special or named):
        raise UsageError(
            f"the output {shown(target)} does not end in {SUFFIX}; encode takes one picture and writes .irc"
        )


def _exists(target: str) -> IrcError:
    return IrcError(f"{shown(target)} exists; -f overwrites it")


def _write(target: str, data: bytes | memoryview, force: bool, check: Callable[[bytes], None] | None = None) -> None:
    """Write the output whole or not at all; `check` gets what was written before it takes its place."""
    if target == STREAM:
        if check:
            check(bytes(data))  # what went into a pipe cannot be read again
        console.put(data)
        return
    try:
        atomic.write(target, data, overwrite=force, check=check)
    except FileExistsError:
        raise _exists(target) from None
    except OSError as error:
        raise IrcError(f"cannot write {shown(target)}: {console.reason(error)}") from None


# --- the codec behind it -------------------------------------------------------------


def _api(threads: int | None) -> ModuleType:
    """Import the codec. Where a limit on memory leaves no room for torch, its libraries would abort the process."""
    with suppress(ImportError):  # not on every system
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY and limit < LEAST_MEMORY:
            least = LEAST_MEMORY >> 20
            raise IrcError(f"out of memory: torch needs {least} MB, the limit is {limit >> 20} MB")
    if "torch" not in sys.modules:
        # it makes 100,000 objects that stay: searching them for garbage takes longer than loading the weights
        gc.disable()
        import torch  # noqa: F401

        gc.freeze()
        gc.enable()
    from codec import api

    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    return api


def _check_written(data: bytes) -> None:
    """Decode what has been written; IrcError where it is not what was encoded."""
    try:
        _api(None).verify(data, max_pixels=None, progress=bar.reporter("verify"))
    except IrcError as error:
        raise IrcError(f"what was written does not decode to what was encoded: {error}") from None


# --- commands ------------------------------------------------------------------------


def encode(args: Namespace, status: Status) -> None:
    """A picture to an .irc file."""
    status.file = args.IN
    if args.effort and (args.bpp, args.size, args.psnr) != (None, None, None):
        raise UsageError("--effort goes with -q, not with --bpp, --size or --psnr")
    target = _target(args, SUFFIX)
    from codec.pictures import reading

    started = time.perf_counter()
    if os.path.isfile(args.IN):
        picture, size = reading.load(args.IN, args.max_pixels), os.path.getsize(args.IN)
    else:
        data = console.read(args.IN)
        picture, size = reading.load(io.BytesIO(data), args.max_pixels), len(data)
    for note in picture.notes:
        status.note(note)
    extras = {bitstream.ICC: picture.icc}
    if not args.strip:
        extras |= {bitstream.EXIF: picture.exif, bitstream.XMP: picture.xmp}

    data = _api(args.threads).encode(
        picture.pixels,
        75.0 if args.quality is None else args.quality,
        bpp=args.bpp,
        size=args.size,
        psnr=args.psnr,
        temperature=args.temperature,
        seed=args.seed,
        stable=args.stable,
        effort=args.effort,
        extras={kind: value for kind, value in extras.items() if value},
        device=args.device,
        tile=args.tile,
        weights=args.weights,
        progress=bar.reporter("encode"),
    )
    if len(data) > size:
        status.note(f"the .irc of {len(data)} bytes is larger than its source of {size} bytes")
    _write(target, data, args.force, _check_written if args.verify else None)
    height, width = picture.pixels.shape[:2]
    facts = {
        "width": width,
        "height": height,
        "bytes": len(data),
        "bpp": round(8 * len(data) / (width * height), 6),
        "quality": bitstream.read_header(data).quality,
        "seconds": round(time.perf_counter() - started, 3),
    }
    output.result(args.IN, target, facts, args.json)


def decode(args: Namespace, status: Status) -> None:
    """An .irc file to a picture."""
    status.file = args.IN
    target = _target(args, ".png")
    started = time.perf_counter()
    data = _read_irc(args.IN)
    if args.salvage:
        from codec.container.damaged import read_damaged

        file = read_damaged(data, args.max_pixels).file
    else:
        file = bitstream.read(data, args.max_pixels)
    from codec.pictures import writing
    from codec.pictures.metadata import Picture

    name = None if target == STREAM else target
    # what the format cannot hold is found before the work, not after it
    writing.check_target(name, args.depth, bitstream.ALPHA in file.extras)
    if args.depth == 8 and file.header.mode in bitstream.DEEP_MODES:
        status.note("the picture has 16 bits a sample; --depth 16 keeps them")

    lost: list[str] = []
    pixels = _api(args.threads).decode(
        data,
        temperature=args.temperature,
        seed=args.seed,
        array=True,
        depth=args.depth,
        device=args.device,
        max_pixels=args.max_pixels,
        region=args.region,
        scale=args.scale,
        salvage=args.salvage,
        notes=lost,
        progress=bar.reporter("decode"),
    )
    for line in lost:
        status.note(line)
    extras = file.extras
    picture = Picture(pixels, icc=extras.get(bitstream.ICC))
    if not args.strip:
        picture.exif = extras.get(bitstream.EXIF)
        picture.xmp = extras.get(bitstream.XMP)
    buffer = io.BytesIO()
    for note in writing.save(picture, buffer, name):
        status.note(note)
    _write(target, buffer.getbuffer(), args.force)
    facts = {
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "bytes": file.size,
        "bpp": round(file.bpp, 6),
        "quality": file.header.quality,
        "seconds": round(time.perf_counter() - started, 3),
    }
    output.result(args.IN, target, facts, args.json)


def _loaded(args: Namespace, status: Status) -> Picture:
    """The picture IN, and what is to be said of how it was read."""
    from codec.pictures import reading

    picture = reading.load(args.IN if os.path.isfile(args.IN) else io.BytesIO(console.read(args.IN)), args.max_pixels)
    for note in picture.notes:
        status.note(note)
    return picture


def _saved(args: Namespace, status: Status, picture: Picture, target: str, facts: dict[str, object]) -> None:
    """Write a picture, and say so."""
    from codec.pictures import writing

    buffer = io.BytesIO()
    for note in writing.save(picture, buffer, None if target == STREAM else target):
        status.note(note)
    _write(target, buffer.getbuffer(), args.force)
    height, width = picture.pixels.shape[:2]
    output.picture(args.IN, target, {"width": width, "height": height, **facts}, args.json)


def downscale(args: Namespace, status: Status) -> None:
    """A photo to a small picture."""
    status.file = args.IN
    target = _target(args, "-small.png")
    if target != STREAM and Path(target).suffix.lower() not in SMALL_SUFFIXES:
        raise InputError(f"a small picture is kept without loss, as {', '.join(SMALL_SUFFIXES)}")
    started = time.perf_counter()
    picture = _loaded(args, status)
    if args.strip:
        picture.exif = picture.xmp = None
    _api(args.threads)
    from codec.rescale import photos

    small, mark = photos.down(picture.pixels, args.scale)
    if picture.icc and mark.grey:
        status.note("the colour profile is for grey, which a small picture is not, and was left out")
        picture.icc = None
    picture.pixels, picture.xmp = small, mark.in_xmp(picture.xmp)
    seconds = round(time.perf_counter() - started, 3)
    _saved(args, status, picture, target, {"scale": mark.scale, "weights": mark.weights, "seconds": seconds})


def upscale(args: Namespace, status: Status) -> None:
    """A small picture to the photo that it was."""
    status.file = args.IN
    target = _target(args, "-large.png")
    started = time.perf_counter()
    picture = _loaded(args, status)
    from codec.pictures import writing

    channels = picture.pixels.shape[2] if picture.pixels.ndim == 3 else 1
    writing.check_target(None if target == STREAM else target, args.depth, channels % 2 == 0)
    _api(args.threads)
    from codec.rescale import mark, photos

    found = mark.Mark.find(picture.xmp)
    large = photos.up(
        picture.pixels, found, scale=args.scale, temperature=args.temperature, seed=args.seed, depth=args.depth
    )
    for note in large.notes:
        status.note(note)
    picture.pixels = large.pixels
    picture.xmp = mark.without(picture.xmp) if picture.xmp and found else picture.xmp
    if args.strip:  # not before: the mark was in it
        picture.exif = picture.xmp = None
    seconds = round(time.perf_counter() - started, 3)
    _saved(args, status, picture, target, {"marked": found is not None and not large.notes, "seconds": seconds})


def info(args: Namespace, status: Status) -> None:
    """What .irc files say of themselves."""
    installed = {weights.id for weights in registry.installed()}
    shown_before = False
    for name in args.FILE:
        with status.guarded(name):
            # Nothing is decoded here, so a large picture is no reason to refuse.
            file = bitstream.read(_read_irc(name), max_pixels=None)
            if args.json:
                output.tell_json({"file": name, **output.info_facts(file, installed)})
            else:
                gap = "\n" if shown_before else ""
                console.tell(f"{gap}{'file':<12} {shown(name)}\n{output.info_text(file, installed)}")
            shown_before = True


def verify(args: Namespace, status: Status) -> None:
    """Whether .irc files decode to what was encoded."""
    for name in args.FILE:
        with status.guarded(name):
            data = _read_irc(name)
            # Damage to the container is found without the network.
            bitstream.read(data, args.max_pixels)
            _api(args.threads).verify(data, max_pixels=args.max_pixels, progress=bar.reporter("verify"))
            if args.json:
                output.tell_json({"file": name, "ok": True})
            else:
                output.confirm(f"{shown(name)}: ok")


def weights(args: Namespace, status: Status) -> None:
    """The weights that are here."""
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
