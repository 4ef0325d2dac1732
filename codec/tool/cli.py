"""The command ``irc``.

Commands and options are declared once, in ``COMMANDS`` and ``OPTIONS``; the parser,
``--help``, the man page (``irc --man``) and the table for the documentation
(:func:`options_table`) come from there. Everything heavy is imported inside the
command that needs it: ``irc --help`` and ``irc info`` start without torch or numpy.
"""

from __future__ import annotations

import argparse
import errno
import gc
import io
import json
import math
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, BinaryIO, NoReturn

from codec.container import bitstream
from codec.errors import EXIT_CODES, InputError, IrcError, exit_code
from codec.tool import bar

PROGRAM = "irc"
SUMMARY = "a learned image codec: photos to .irc files and back"
STREAM = "-"
LEAST_MEMORY = 1 << 30  # address space in which torch starts


def _number(low: float, high: float, *, open_low: bool = False) -> Callable[[str], float]:
    """Make an argparse type for finite numbers within a range; NaN is in none."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        inside = low <= value <= high and math.isfinite(value)
        if not inside or (open_low and value == low):
            if high == math.inf:
                raise argparse.ArgumentTypeError(f"{text} is not a finite number above {low:g}")
            raise argparse.ArgumentTypeError(f"{text} is not in {low:g}..{high:g}")
        return value

    return parse


def _integer(low: int, high: int | None = None) -> Callable[[str], int]:
    """Make an argparse type for whole numbers within a range."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if value < low or (high is not None and value > high):
            span = f"{low}..{high}" if high is not None else f"{low} or more"
            raise argparse.ArgumentTypeError(f"{text} is not {'in ' if high else ''}{span}")
        return value

    return parse


def _one_of(*values: int) -> Callable[[str], int]:
    """Make an argparse type for some whole numbers."""

    def parse(text: str) -> int:
        if text not in map(str, values):
            raise argparse.ArgumentTypeError(f"{text!r} is not {' or '.join(map(str, values))}")
        return int(text)

    return parse


def _region(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    whole = len(parts) == 4 and all(p.isascii() and p.isdigit() for p in parts)
    if not whole or not all(p.strip("0") for p in parts[2:]):
        raise argparse.ArgumentTypeError(f"{text!r} is not X,Y,W,H (whole numbers, size above 0)")
    return tuple(map(int, parts))


def _scale(text: str) -> int:
    known = {"1": 1, "1/2": 2, "1/4": 4, "1/8": 8, "1/16": 16}
    if text not in known:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(known)}")
    return known[text]


@dataclass(frozen=True)
class Option:
    """Declaration of one option: flags, commands that take it, parser arguments, help."""

    flags: tuple[str, ...]
    commands: tuple[str, ...]
    help: str
    metavar: str = ""
    type: Callable[[str], Any] | None = None
    default: Any = None
    choices: tuple[str, ...] = ()
    group: str = ""
    default_text: str = ""

    @property
    def shown(self) -> str:
        """Flags and value as help texts write them."""
        value = self.metavar or "|".join(self.choices)
        return ", ".join(self.flags) + (f" {value}" if value else "")

    @property
    def full_help(self) -> str:
        """The help text with the default, where there is one to name."""
        default = self.default_text or ("" if self.default is None else str(self.default))
        return f"{self.help} (default {default})" if default else self.help


@dataclass(frozen=True)
class Command:
    """Declaration of one command and its positional arguments (name, nargs, help)."""

    name: str
    help: str
    arguments: tuple[tuple[str, str | None, str], ...]
    run: Callable[[argparse.Namespace, _Status], None] = field(repr=False)


OPTIONS = (
    Option(
        ("-q", "--quality"), ("encode",), "quality from 0 (smallest) to 100 (best)", "Q",
        _number(0, 100), group="rate", default_text="75",
    ),
    Option(
        ("--bpp",), ("encode",), "instead of a quality: the best of at most B bits per pixel", "B",
        _number(0, math.inf, open_low=True), group="rate",
    ),
    Option(
        ("--size",), ("encode",), "instead of a quality: the best of at most BYTES", "BYTES",
        _integer(1), group="rate",
    ),
    Option(
        ("--psnr",), ("encode",), "instead of a quality: the smallest of at least DB decibels of PSNR", "DB",
        _number(0, math.inf, open_low=True), group="rate",
    ),
    Option(
        ("--tile",), ("encode",),
        "code tiles of N pixels a side independently (0: the picture is one tile), so that regions, threads, little "
        "memory and salvage are possible",
        "N", _one_of(0, 512, 1024), default_text="0 up to 4 megapixels, 1024 beyond",
    ),
    Option(
        ("--verify",), ("encode",), "decode what was written before it takes its place", default=False
    ),
    Option(
        ("--temperature",), ("encode",),
        "temperature, 0 to 2, at which the decoder draws the detail that is not stored; "
        "0 is the most likely detail",
        "T", _number(0, 2), default=0.0, default_text="0",
    ),
    Option(
        ("--seed",), ("encode",), "seed of that draw, 0 to 65535", "N", _integer(0, 65535),
        default=0,
    ),
    Option(
        ("--stable",), ("encode",),
        "settle the file, so that encoding its decoded picture at the same quality gives it again; "
        "takes several times as long",
        default=False,
    ),
    Option(
        ("--effort",), ("encode",),
        "0 is one pass; 1 to 9 search for a smaller file of the same quality, which takes up to minutes "
        "a megapixel; goes with -q only",
        "N", _integer(0, 9), default=0,
    ),
    Option(
        ("--temperature",), ("decode",), "use temperature T, 0 to 2, instead of the file's", "T",
        _number(0, 2),
    ),
    Option(
        ("--seed",), ("decode",), "use seed N, 0 to 65535, instead of the file's", "N",
        _integer(0, 65535),
    ),
    Option(
        ("--region",), ("decode",),
        "decode only this part, upper left corner and size in pixels, from the tiles it needs", "X,Y,W,H", _region,
    ),
    Option(
        ("--scale",), ("decode",), "decode a smaller picture, from the coarse part of the file", "1/N", _scale,
        default_text="1; 1/2, 1/4, 1/8 and 1/16 are possible",
    ),
    Option(
        ("--salvage",), ("decode",),
        "decode what is whole of a damaged or cut file of several tiles, fill the rest from around it "
        "and say what is lost",
        default=False,
    ),
    Option(
        ("--depth",), ("decode",), "write 8 or 16 bits a sample (16 as .png or .ppm)", "8|16",
        _one_of(8, 16), default=8,
    ),
    Option(("-f", "--force"), ("encode", "decode"), "overwrite an existing output", default=False),
    Option(
        ("--strip",), ("encode", "decode"),
        "leave out EXIF and XMP; the colour profile stays, since colours depend on it",
        default=False,
    ),
    Option(
        ("--json",), ("encode", "decode", "info", "verify"),
        "report on standard output as JSON, one object a line", default=False,
    ),
    Option(
        ("--threads",), ("encode", "decode", "verify"), "use N processor threads", "N", _integer(1),
        default_text="as many as there are cores",
    ),
    Option(
        ("--device",), ("encode", "decode"), "where the network runs", default="auto",
        choices=("cpu", "cuda", "auto"),
    ),
    Option(
        ("--max-pixels",), ("encode", "decode", "verify"), "refuse pictures of more than N pixels", "N",
        _integer(1), default=bitstream.DEFAULT_MAX_PIXELS,
    ),
)  # fmt: skip


@dataclass
class _Status:
    """What goes wrong while a command runs, and the file it is working on."""

    file: str = ""
    code: int = 0

    def fail(self, code: int, message: str) -> None:
        """Report one line on standard error; the first failure sets the exit status."""
        _say(f"{PROGRAM}: {_shown(self.file) + ': ' if self.file else ''}{_one_line(message)}")
        self.code = self.code or code

    def note(self, message: str) -> None:
        """Report something worth knowing that is not an error."""
        _say(f"{PROGRAM}: {_shown(self.file)}: note: {_one_line(message)}")


def _one_line(text: str) -> str:
    return " ".join(str(text).split())


def _shown(name: str) -> str:
    """Return a file name that is safe to print: one line, no control or undecodable bytes."""
    if name == STREAM:
        return "standard input"
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _say(line: str) -> None:
    bar.close()
    with suppress(OSError, ValueError):  # nobody listens: the exit status still says it
        print(line.encode("utf-8", "backslashreplace").decode(), file=sys.stderr, flush=True)


def _tell(line: str) -> None:
    """Print a line of results, escaping what the terminal's encoding lacks."""
    encoding = sys.stdout.encoding or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding), flush=True)


# --- reading and writing files -------------------------------------------------------


def _read_irc(name: str) -> bytes:
    """Read an .irc file, or no more than its start where it is something else."""
    try:
        with nullcontext(sys.stdin.buffer) if name == STREAM else open(name, "rb") as stream:
            start = stream.read(64)
            # An endless device or a huge file of another kind need not be read through.
            if not start.startswith(bitstream.MAGIC):
                return start
            return start + stream.read()
    except FileNotFoundError:
        raise InputError("no such file") from None
    except IsADirectoryError:
        raise InputError("is a directory, not an .irc file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {_os_reason(error)}") from None


def _os_reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return str(error)


def _target(args: argparse.Namespace, suffix: str) -> str:
    """Return the output's name and refuse early what would fail after all the work."""
    source, target = args.IN, args.OUT
    if source != STREAM and not os.path.exists(source):
        raise InputError("no such file")
    if source != STREAM and os.path.isdir(source):
        raise InputError("is a directory, not a file")
    if target is None:
        target = STREAM if source == STREAM else str(Path(source).with_suffix(suffix))
    if target == STREAM:
        if args.json:
            raise _Usage("--json needs standard output, which the output file is going to")
        if sys.stdout.isatty():
            raise IrcError("will not write a binary file to a terminal; name an output file")
        return target
    shown = _shown(target)
    if os.path.isdir(target):
        raise IrcError(f"the output {shown} is a directory")
    if source != STREAM and os.path.exists(target) and os.path.samefile(source, target):
        raise IrcError(f"the output {shown} is the input itself")
    _refuse_existing(target, args.force)
    folder = os.path.dirname(os.path.realpath(target))
    if not os.path.isdir(folder):
        raise IrcError(f"cannot write {shown}: no such folder")
    if not os.path.exists(target) and not os.access(folder, os.W_OK):
        raise IrcError(f"cannot write {shown}: the folder is not writable")
    return target


def _refuse_existing(target: str, force: bool) -> None:
    if os.path.isfile(target) and not force:
        raise IrcError(f"{_shown(target)} exists; -f overwrites it")


def _check_written(data: bytes) -> None:
    """Decode what has been written; IrcError where it is not what was encoded."""
    api = _api()

    try:
        api.verify(data, max_pixels=None, progress=bar.reporter("verify"))
    except IrcError as error:
        raise IrcError(f"what was written does not decode to what was encoded: {error}") from None


def _write(target: str, data: bytes | memoryview, force: bool, check: Callable[[bytes], None] | None = None) -> None:
    """Write the output whole or not at all; `check` gets what was written before it takes its place."""
    try:
        if check and (target == STREAM or (os.path.exists(target) and not os.path.isfile(target))):
            check(bytes(data))  # what went into a pipe cannot be read again
        if target == STREAM:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        elif os.path.exists(target) and not os.path.isfile(target):
            with open(target, "wb") as stream:  # a pipe or device cannot be replaced
                stream.write(data)
        else:
            with _replacing(target, force) as stream:
                stream.write(data)
                if check:
                    stream.flush()
                    check(Path(stream.name).read_bytes())
    except OSError as error:
        if target == STREAM:
            _discard_stdout()
        where = "standard output" if target == STREAM else _shown(target)
        raise IrcError(f"cannot write {where}: {_os_reason(error)}") from None


def _discard_stdout() -> None:
    """Keep the interpreter from failing a second time when it flushes on its way out."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


@contextmanager
def _replacing(target: str, force: bool) -> Iterator[BinaryIO]:
    """Open a temporary file beside `target` that takes its place if nothing goes wrong."""
    target = os.path.realpath(target)  # a symbolic link stays, the file behind it changes
    folder, name = os.path.split(target)
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(".part", f".{name[:100]}.", folder)
        os.close(descriptor)
        with open(temporary, "wb") as stream:  # by name, so that it can be read again
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes private files; the output gets the mode that open() would give it.
        os.chmod(temporary, _mode(target))
        _refuse_existing(target, force)
        os.replace(temporary, target)
    except BaseException:
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)
        raise


def _mode(target: str) -> int:
    with suppress(OSError):
        return os.stat(target).st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


# --- commands ------------------------------------------------------------------------


def _api() -> ModuleType:
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

    return api


def _set_threads(count: int | None) -> None:
    if count is not None:
        import torch

        torch.set_num_threads(count)


def _report(args: argparse.Namespace, target: str, facts: dict[str, object]) -> None:
    """Print what encode or decode did, unless standard output is the file itself."""
    if target == STREAM:
        return
    facts = {"input": args.IN, "output": target, **facts}
    if args.json:
        _tell(json.dumps(facts))
    else:
        size, bpp = facts["bytes"], facts["bpp"]
        shape = f"{facts['width']} x {facts['height']}"
        _tell(f"{_shown(target)}: {shape} pixels, .irc of {size} bytes, {bpp:.4f} bpp")


def _encode(args: argparse.Namespace, status: _Status) -> None:
    status.file = args.IN
    if args.effort and (args.bpp, args.size, args.psnr) != (None, None, None):
        raise _Usage("--effort goes with -q, not with --bpp, --size or --psnr")
    target = _target(args, ".irc")
    from codec.pictures import image_files

    started = time.perf_counter()
    source = io.BytesIO(sys.stdin.buffer.read()) if args.IN == STREAM else args.IN
    picture = image_files.load(source, args.max_pixels)
    for note in picture.notes:
        status.note(note)
    extras = {bitstream.ICC: picture.icc}
    if not args.strip:
        extras |= {bitstream.EXIF: picture.exif, bitstream.XMP: picture.xmp}

    api = _api()

    _set_threads(args.threads)
    data = api.encode(
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
        progress=bar.reporter("encode"),
    )
    size = os.path.getsize(args.IN) if isinstance(source, str) else len(source.getbuffer())
    if len(data) > size:
        status.note(f"the .irc of {len(data)} bytes is larger than its source of {size} bytes")
    _write(target, data, args.force, _check_written if args.verify else None)
    height, width = picture.pixels.shape[:2]
    facts: dict[str, object] = {
        "width": width,
        "height": height,
        "bytes": len(data),
        "bpp": round(8 * len(data) / (width * height), 6),
        "quality": bitstream.read_header(data).quality,
        "seconds": round(time.perf_counter() - started, 3),
    }
    _report(args, target, facts)


def _decode(args: argparse.Namespace, status: _Status) -> None:
    status.file = args.IN
    target = _target(args, ".png")
    started = time.perf_counter()
    data = _read_irc(args.IN)
    if args.salvage:
        from codec.container.damaged import read_damaged

        file = read_damaged(data, args.max_pixels).file
    else:
        file = bitstream.read(data, args.max_pixels)
    from codec.pictures import image_files

    name = None if target == STREAM else target
    # what the format cannot hold is found before the work, not after it
    image_files.check_target(name, args.depth, bitstream.ALPHA in file.extras)
    if args.depth == 8 and file.header.mode in bitstream.DEEP_MODES:
        status.note("the picture has 16 bits a sample; --depth 16 keeps them")

    api = _api()

    _set_threads(args.threads)
    lost: list[str] = []
    pixels = api.decode(
        data,
        temperature=args.temperature,
        seed=args.seed,
        array=True,
        depth=args.depth,
        device=args.device,
        max_pixels=args.max_pixels,
        region=args.region,
        scale=args.scale or 1,
        salvage=args.salvage,
        notes=lost,
        progress=bar.reporter("decode"),
    )
    for line in lost:
        status.note(line)
    extras = file.extras
    picture = image_files.Picture(pixels, icc=extras.get(bitstream.ICC))
    if not args.strip:
        picture.exif = extras.get(bitstream.EXIF)
        picture.xmp = extras.get(bitstream.XMP)
    buffer = io.BytesIO()
    for note in image_files.save(picture, buffer, name):
        status.note(note)
    _write(target, buffer.getbuffer(), args.force)
    header = file.header
    facts: dict[str, object] = {
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "bytes": file.size,
        "bpp": round(file.bpp, 6),
        "quality": header.quality,
        "seconds": round(time.perf_counter() - started, 3),
    }
    _report(args, target, facts)


def _info(args: argparse.Namespace, status: _Status) -> None:
    shown = 0
    for name in args.FILE:
        with _guard(status, name):
            # Nothing is decoded here, so a large picture is no reason to refuse.
            file = bitstream.read(_read_irc(name), max_pixels=None)
            if args.json:
                _tell(json.dumps({"file": name, **bitstream.describe(file)}))
            else:
                gap = "\n" if shown else ""
                _tell(f"{gap}{'file':<12} {_shown(name)}\n{bitstream.render(file)}")
            shown += 1


def _verify(args: argparse.Namespace, status: _Status) -> None:
    for name in args.FILE:
        with _guard(status, name):
            data = _read_irc(name)
            # Damage to the container is found without the network.
            bitstream.read(data, args.max_pixels)
            api = _api()

            _set_threads(args.threads)
            api.verify(data, max_pixels=args.max_pixels, progress=bar.reporter("verify"))
            _tell(json.dumps({"file": name, "ok": True}) if args.json else f"{_shown(name)}: ok")


COMMANDS = (
    Command(
        "encode", "compress a picture to an .irc file",
        (("IN", None, "picture, - for standard input"),
         ("OUT", "?", ".irc file to write (default IN with its suffix replaced by .irc); - is standard output, and the "
          "default where IN is -")), _encode,
    ),
    Command(
        "decode", "turn an .irc file into a picture",
        (("IN", None, ".irc file, - for standard input"),
         ("OUT", "?", "picture to write, its format by its suffix: .png, .webp, .tif, .bmp, .ppm (all exact) or .jpg "
          "(default IN with its suffix replaced by .png); - is standard output, as PNG, and the default if IN is -")),
        _decode,
    ),
    Command(
        "info", "print header, size and chunks of .irc files",
        (("FILE", "+", ".irc file, - for standard input"),), _info,
    ),
    Command(
        "verify", "check that .irc files are whole and decode to what was encoded",
        (("FILE", "+", ".irc file, - for standard input"),), _verify,
    ),
)  # fmt: skip
EXAMPLES = (
    ("irc encode photo.png", "writes photo.irc, at quality 75"),
    ("irc encode photo.png small.irc -q 40", ""),
    ("irc encode --size 20000 photo.png 20k.irc", "the best of at most 20000 bytes"),
    ("irc decode photo.irc", "writes photo.png"),
    ("irc decode small.irc small.webp", ""),
)  # fmt: skip


# --- parser and documentation --------------------------------------------------------


class _Usage(IrcError):
    """A command line that the parser could not find fault with, and that is wrong."""

    exit_code = exit_code("usage")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Report a usage error in one line, without the usage text."""
        _say(f"{self.prog}: {_one_line(message)} ({self.prog} --help shows the usage)")
        raise SystemExit(exit_code("usage"))


def _options_first(args: Sequence[str]) -> list[str]:
    """The arguments of a command with its options before its files: argparse takes them in no other order.

    >>> _options_first(["a.png", "--quality", "30", "b.irc", "-f"])
    ['--quality', '30', '-f', '--', 'a.png', 'b.irc']
    """
    valued = {flag for option in OPTIONS if option.default is not False for flag in option.flags}
    options: list[str] = []
    files: list[str] = []
    left = iter(args)
    for arg in left:
        if arg == "--":
            files += left
        elif arg == STREAM or not arg.startswith("-"):
            files.append(arg)
        else:
            options.append(arg)
            # of several letters behind one dash the first with a value takes the rest, or else the next argument
            letters = [] if arg.startswith("--") else [n for n in range(1, len(arg)) if f"-{arg[n]}" in valued]
            if arg in valued or letters[:1] == [len(arg) - 1]:
                options += [value for value in [next(left, None)] if value is not None]
    return [*options, "--", *files] if files else options


class _CommandParser(_Parser):
    """A parser of one command, whose options may stand anywhere."""

    def parse_known_args(  # type: ignore[override]
        self, args: Any = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        known, rest = super().parse_known_args(_options_first(args), namespace)
        if rest:  # found by the parser of all commands, this would send the user to the wrong help
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return known, rest


class _Print(argparse.Action):
    """An option that prints a text made on demand and ends the program."""

    def __init__(self, text: Callable[[], str], **options: Any) -> None:
        super().__init__(nargs=0, default=argparse.SUPPRESS, **options)
        self.text = text

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        _tell(self.text())
        parser.exit(0)


def version() -> str:
    """Return the line that ``irc --version`` prints."""
    from importlib import metadata

    try:
        number = metadata.version("irc-codec")
    except metadata.PackageNotFoundError:
        number = "(not installed)"
    return f"{PROGRAM} {number}, file format {bitstream.VERSION}"


def _exit_lines() -> list[tuple[str, str]]:
    return [(str(entry.code), entry.meaning) for entry in EXIT_CODES]


def build_parser() -> argparse.ArgumentParser:
    """Make the parser from the declared commands and options."""
    epilog = "examples:\n" + "\n".join(f"  {line:<44}{text}".rstrip() for line, text in EXAMPLES)
    epilog += f"\n\n{PROGRAM} COMMAND --help lists a command's options.\n\nexit status:\n"
    epilog += "\n".join(f"  {code}  {text}" for code, text in _exit_lines())
    raw = argparse.RawDescriptionHelpFormatter
    parser = _Parser(PROGRAM, description=SUMMARY, epilog=epilog, formatter_class=raw,
                     allow_abbrev=False)  # fmt: skip
    parser.add_argument("--version", action=_Print, text=version, help="print the version")
    parser.add_argument("--man", action=_Print, text=man_page, help="print the man page (roff)")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands", parser_class=_CommandParser
    )
    for command in COMMANDS:
        sub = commands.add_parser(command.name, help=command.help, description=command.help, allow_abbrev=False)
        sub.set_defaults(run=command.run)
        for name, nargs, text in command.arguments:
            sub.add_argument(name, nargs=nargs, help=text)
        groups: dict[str, Any] = {"": sub}
        for option in OPTIONS:
            if command.name not in option.commands:
                continue
            if option.group not in groups:
                groups[option.group] = sub.add_mutually_exclusive_group()
            settings: dict[str, Any] = {"help": option.full_help.replace("%", "%%")}
            if option.default is False:
                settings.update(help=option.help, action="store_true")
            else:
                settings.update(default=option.default, type=option.type)
                settings.update(metavar=option.metavar or None, choices=option.choices or None)
            groups[option.group].add_argument(*option.flags, **settings)
    return parser


def _synopsis(command: Command) -> str:
    shapes = {None: "{}", "?": "[{}]", "+": "{}..."}
    names = [shapes[nargs].format(name) for name, nargs, _ in command.arguments]
    return f"{PROGRAM} {command.name} [options] {' '.join(names)}"


def _described(option: Option) -> str:
    return option.help if option.default is False else option.full_help


def man_page() -> str:
    """Return the man page, in roff."""

    def roff(text: str) -> str:
        return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")

    lines = [f'.TH {PROGRAM.upper()} 1 "" "{PROGRAM}"', ".SH NAME"]
    lines += [f"{PROGRAM} \\- {roff(SUMMARY)}", ".SH SYNOPSIS", ".nf"]
    lines += [roff(_synopsis(command)) for command in COMMANDS]
    lines += [".fi", ".SH COMMANDS"]
    for command in COMMANDS:
        lines += [".TP", f".B {command.name}", roff(command.help) + "."]
    lines.append(".SH OPTIONS")
    for option in OPTIONS:
        names = ", ".join(option.commands)
        lines += [".TP", f".B {roff(option.shown)}", roff(f"{names}: {_described(option)}.")]
    lines.append(".SH EXIT STATUS")
    for code, text in _exit_lines():
        lines += [".TP", f".B {code}", roff(text) + "."]
    lines += [".SH ENVIRONMENT", ".TP", ".B IRC_DEBUG"]
    lines.append("set to 1, unexpected errors come with a traceback.")
    return "\n".join(lines)


def options_table() -> str:
    """Return commands and options as a Markdown table for the documentation."""
    lines = ["| option | commands | meaning |", "|---|---|---|"]
    for option in OPTIONS:
        shown = option.shown.replace("|", "\\|")
        lines.append(f"| `{shown}` | {', '.join(option.commands)} | {_described(option)} |")
    return "\n".join(lines)


# --- running -------------------------------------------------------------------------


@contextmanager
def _guard(status: _Status, name: str | None = None) -> Iterator[None]:
    """Turn whatever goes wrong into one line and an exit status."""
    if name is not None:
        status.file = name
    try:
        yield
    except IrcError as error:
        status.fail(error.exit_code, str(error))
    except MemoryError:
        status.fail(exit_code("failure"), "out of memory")
    except Exception as error:
        if os.environ.get("IRC_DEBUG") == "1":
            traceback.print_exc()
        if isinstance(error, BrokenPipeError) or getattr(error, "errno", None) == errno.ENOSPC:
            _discard_stdout()
            message = f"cannot write standard output: {_os_reason(error)}"
        elif "OutOfMemory" in type(error).__name__ or any(
            text in str(error) for text in ("allocate memory", "failed to map segment")
        ):
            message = "out of memory"
        else:
            message = f"unexpected {type(error).__name__}: {error} (IRC_DEBUG=1 shows where)"
        status.fail(exit_code("failure"), message)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    # An exception, so that temporary files are removed on the way out.
    raise SystemExit(128 + signum)


@contextmanager
def _terminating() -> Iterator[None]:
    """Unwind on SIGTERM instead of dying at once; only the main thread may set that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main(argv: list[str] | None = None) -> int:
    """Run ``irc`` with `argv` and return its exit status."""
    status = _Status()
    try:
        with _terminating(), warnings.catch_warnings(), _guard(status):
            if not sys.warnoptions:  # libraries' warnings mean nothing to a user
                warnings.simplefilter("ignore")
            args = build_parser().parse_args(argv)
            args.run(args, status)
    except KeyboardInterrupt:
        status.fail(128 + signal.SIGINT, "interrupted")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else exit_code("ok")
    return status.code


def entry() -> NoReturn:
    """The program: `main`, then an exit at once. To take the interpreter and torch apart takes half a second; files are
    closed, and what else would happen at exit is nothing that a user waits for.
    """
    code = main()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):  # a full disk, a closed stream: there is nowhere to say so
        code = code or exit_code("failure")
    os._exit(code)


if __name__ == "__main__":
    entry()
