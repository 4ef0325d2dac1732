"""What the command line knows, declared once as data.

The parser (cli.py), ``--help``, the man page and the table of the documentation (manual.py) come from here. To add an
option: declare it in ``OPTIONS``, and use ``args.<name>`` where its command is carried out (commands.py).
"""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from codec.coding.options import EncodeOptions, Options, Values
from codec.container.bitstream import DEFAULT_MAX_PIXELS
from codec.container.steps import TUNES

PROGRAM = "irc"
FORMATS = ("png", "webp", "tif", "bmp", "ppm", "jpg")  #: that pictures are written in
EXACT_FORMATS = ("png", "webp", "tif")  #: that small pictures are written in
SUMMARY = "a learned image codec: photos to .irc files and back"
STREAM = "-"  #: the name that stands for standard input and output

# --- kinds of values -----------------------------------------------------------------


def _number(low: float, high: float, *, open_low: bool = False) -> Callable[[str], float]:
    """Make an argparse type for finite numbers within a range; NaN is in none."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ArgumentTypeError(f"{text!r} is not a number") from None
        inside = low <= value <= high and math.isfinite(value)
        if not inside or (open_low and value == low):
            if high == math.inf:
                raise ArgumentTypeError(f"{text} is not a finite number above {low:g}")
            raise ArgumentTypeError(f"{text} is not in {low:g}..{high:g}")
        return value

    return parse


def _integer(low: int, high: int | None = None) -> Callable[[str], int]:
    """Make an argparse type for whole numbers within a range."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise ArgumentTypeError(f"{text!r} is not a whole number") from None
        if value < low or (high is not None and value > high):
            span = f"{low}..{high}" if high is not None else f"{low} or more"
            raise ArgumentTypeError(f"{text} is not {'in ' if high else ''}{span}")
        return value

    return parse


def _one_of(**known: int) -> Callable[[str], int]:
    """Make an argparse type for a few words that stand for whole numbers."""

    def parse(text: str) -> int:
        if text not in known:
            raise ArgumentTypeError(f"{text!r} is not one of {', '.join(known)}")
        return known[text]

    return parse


def _values(options: type[Options], name: str) -> Values:
    """What an option of the Python functions takes."""
    values: Values = next(f.metadata["values"] for f in fields(options) if f.name == name)
    return values


def _as(options: type[Options], name: str) -> Callable[[str], int]:
    """Make an argparse type for the whole numbers that an option of the Python functions takes."""
    values = _values(options, name)

    def parse(text: str) -> int:
        try:
            number: int = values.take(name, int(text))
        except ValueError:
            raise ArgumentTypeError(f"{text} is not {values.text}") from None
        return number

    return parse


def _region(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    whole = len(parts) == 4 and all(p.isascii() and p.isdigit() for p in parts)
    if not whole or not all(p.strip("0") for p in parts[2:]):
        raise ArgumentTypeError(f"{text!r} is not X,Y,W,H (whole numbers, size above 0)")
    return tuple(map(int, parts))


# --- declarations --------------------------------------------------------------------


@dataclass(frozen=True)
class Option:
    """Declaration of one option: flags, commands that take it, parser arguments, help.

    A default of False makes it a switch, without a value. Of the options of one `group` a command takes one at most.
    """

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
        none = self.default is None or self.default is False
        default = self.default_text or ("" if none else str(self.default))
        return f"{self.help} (default {default})" if default else self.help


@dataclass(frozen=True)
class Command:
    """Declaration of one command and its positional arguments (name, nargs, help)."""

    name: str
    help: str
    arguments: tuple[tuple[str, str | None, str], ...] = ()
    forms: tuple[str, ...] = ()  #: the ways to call it, where its arguments do not say it


#: of the program itself, before any command; each prints a text
PRINTED = (
    Option(("-V", "--version"), (), "print the version", default=False),
    Option(("--man",), (), "print the man page (roff)", default=False),
)
OPTIONS = (
    Option(
        ("-o", "--output"), ("encode", "decode", "downscale", "upscale"), "the output, another way to give OUT", "OUT",
    ),
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
        ("--ssimulacra2",), ("encode",),
        "instead of a quality: the smallest of at least S of SSIMULACRA2, which says how good a picture looks: 90 as "
        "good as the original, 70 high quality, 50 medium, 30 low",
        "S", _number(0, 100), group="rate",
    ),
    Option(
        ("--tune",), ("encode",),
        "what the file is to be best at for its bytes: psnr, or visual, what the eye and SSIMULACRA2 see",
        default=TUNES[0], choices=TUNES,
    ),
    Option(
        ("--tile",), ("encode",),
        "side in pixels of tiles that are coded independently, so that regions, threads, little memory and salvage are "
        f"possible: {_values(EncodeOptions, 'tile').text}; 0: the picture is one tile",
        "N", _as(EncodeOptions, "tile"),
        default_text="0 up to 4 megapixels, 1024 beyond",
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
        ("--weights",), ("encode",), "weights to encode with: an id that `irc weights` lists, or a file", "ID|FILE",
        default_text="the ones marked as default there",
    ),
    Option(
        ("-s", "--scale"), ("downscale",), "sides become N times smaller", "2|4", _one_of(**{"2": 2, "4": 4}),
        default=2,
    ),
    Option(
        ("--effort",), ("downscale",),
        "0 is one pass; 1 to 9 search for a small picture that is made large better, which takes minutes a megapixel",
        "N", _integer(0, 9), default=0,
    ),
    Option(
        ("-s", "--scale"), ("upscale",), "of a picture without a mark: sides become N times larger", "2|4",
        _one_of(**{"2": 2, "4": 4}), default_text="what its mark says, or 2",
    ),
    Option(
        ("--temperature",), ("upscale",),
        "temperature, 0 to 2, at which what was lost is drawn; 0 is the most likely photo",
        "T", _number(0, 2), default=0.0, default_text="0",
    ),
    Option(("--seed",), ("upscale",), "seed of that draw, 0 to 65535", "N", _integer(0, 65535), default=0),
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
        ("--scale",), ("decode",), "decode a smaller picture, from the coarse part of the file", "1/N",
        _one_of(**{"1": 1, "1/2": 2, "1/4": 4, "1/8": 8, "1/16": 16}), default=1,
        default_text="1; 1/2, 1/4, 1/8 and 1/16 are possible",
    ),
    Option(
        ("--salvage",), ("decode",),
        "decode what is whole of a damaged or cut file of several tiles, fill the rest from around it "
        "and say what is lost",
        default=False,
    ),
    Option(
        ("-o", "--out"), ("compare",),
        "a page (.html) or a sheet (.png) to write, with original, T = 0, T = 1, difference, and z by band: "
        "a map and a histogram over the normal density", "OUT",
    ),
    Option(
        ("--region",), ("compare",),
        "the part that the page or sheet shows, upper left corner and size in pixels", "X,Y,W,H", _region,
        default_text="the middle, up to 2048 x 2048 on a page, 512 x 512 on a sheet",
    ),
    Option(
        ("--fit",), ("thumbnail",), "the most pixels a side", "N", _integer(1, 65535), default=256,
    ),
    Option(("--remove",), ("integrate",), "remove what was installed", default=False),
    Option(
        ("--depth",), ("decode", "upscale"), "write 8 or 16 bits a sample (16 as .png or .ppm)", "8|16",
        _one_of(**{"8": 8, "16": 16}), default=8,
    ),
    Option(
        ("--jpeg-quality",), ("decode", "upscale"), "quality of a .jpg, 1 to 100", "Q", _integer(1, 100),
        default_text="95",
    ),
    Option(
        ("--format",), ("decode", "upscale"), "format of the outputs that are not named", metavar="|".join(FORMATS),
        choices=FORMATS, default_text="png",
    ),
    Option(
        ("--format",), ("downscale",), "format of the outputs that are not named", metavar="|".join(EXACT_FORMATS),
        choices=EXACT_FORMATS, default_text="png",
    ),
    Option(
        ("--out-dir",), ("encode", "decode", "downscale", "upscale"),
        "write the outputs into the folder DIR, which is made if need be; goes with several inputs, and with folders, "
        "whose pictures (of decode: .irc files) and shards (.tar) are taken; DIR and inputs may be URLs (s3://...)",
        "DIR",
    ),
    Option(
        ("-r", "--recursive"), ("encode", "decode", "verify", "downscale", "upscale"),
        "take what is in folders of a folder, too; DIR gets folders of the same names", default=False,
    ),
    Option(
        ("--files-from",), ("encode", "decode", "verify", "downscale", "upscale"),
        "take the files that are named in LIST, - for standard input: a name a line, or names with a NUL after each",
        "LIST",
    ),
    Option(
        ("-j", "--jobs"), ("encode", "decode", "verify", "downscale", "upscale"),
        "work on N files at a time, each in a process of its own", "N", _integer(1),
        default_text="as many as there are cores and memory for; few files are worked on by one", group="workers",
    ),
    Option(
        ("--scheduler",), ("encode", "decode", "verify", "downscale", "upscale"),
        "have the work done by the Dask cluster whose scheduler is at ADDRESS, such as tcp://10.0.0.1:8786", "ADDRESS",
        group="workers",
    ),
    Option(
        ("--skip-existing",), ("encode", "decode", "downscale", "upscale"),
        "leave out files whose output is there already, as after an interruption",
        default=False, group="existing",
    ),
    Option(
        ("-f", "--force"), ("encode", "decode", "downscale", "upscale", "compare"),
        "overwrite an existing output; encode writes to names that end in .irc only, with -f too", default=False,
        group="existing",
    ),
    Option(
        ("--quiet",), ("encode", "decode", "verify", "downscale", "upscale"), "say only what goes wrong", default=False,
    ),
    Option(
        ("--strip",), ("encode", "decode", "downscale", "upscale"),
        "leave out EXIF, XMP, IPTC and texts; colour profile and resolution stay",
        default=False,
    ),
    Option(
        ("--check",), ("weights",), "check that each file is what its name says, a released one byte for byte",
        default=False,
    ),
    Option(
        ("--json",), ("encode", "decode", "compare", "info", "verify", "downscale", "upscale", "weights"),
        "report on standard output as JSON, one object a line", default=False,
    ),
    Option(
        ("--threads",), ("encode", "decode", "compare", "verify", "downscale", "upscale"),
        "use N processor threads", "N", _integer(1), default_text="as many as there are cores",
    ),
    Option(
        ("--device",), ("encode", "decode", "compare"), "where the network runs", default="auto",
        choices=("cpu", "cuda", "auto"),
    ),
    Option(
        ("--max-pixels",), ("encode", "decode", "compare", "thumbnail", "verify", "downscale", "upscale"),
        "refuse pictures of more than N pixels", "N",
        _integer(1), default=DEFAULT_MAX_PIXELS,
    ),
)  # fmt: skip
COMMANDS = (
    Command(
        "encode", "compress a picture to an .irc file",
        (("IN", "*", "picture, - for standard input; with --out-dir several, and folders"),
         ("OUT", "?", "file to write, whose name ends in .irc (default IN with its suffix replaced by .irc); - is "
          "standard output, and the default where IN is -")),
        ("IN [OUT]", "IN... --out-dir DIR"),
    ),
    Command(
        "decode", "turn an .irc file into a picture",
        (("IN", "*", ".irc file, - for standard input; with --out-dir several, and folders"),
         ("OUT", "?", "picture to write, its format by its suffix: .png, .webp, .tif, .bmp, .ppm (all exact) or .jpg "
          "(default IN with its suffix replaced by .png); - is standard output, as PNG, and the default if IN is -")),
        ("IN [OUT]", "IN... --out-dir DIR"),
    ),
    Command(
        "compare", "show what an .irc file lost of its picture: figures, and z by band",
        (("PICTURE", None, "the picture that was encoded, - for standard input"),
         ("FILE", None, ".irc file, - for standard input")),
    ),
    Command(
        "thumbnail", "write a small PNG of an .irc file, from its coarse part",
        (("IN", None, ".irc file, - for standard input"), ("OUT", None, "PNG to write or overwrite")),
    ),
    Command(
        "info", "print header, size and chunks of .irc files",
        (("FILE", "+", ".irc file, - for standard input"),),
    ),
    Command(
        "verify", "check that .irc files are whole and decode to what was encoded",
        (("FILE", "*", ".irc file, or a folder of such; - for standard input"),),
        ("FILE...",),
    ),
    Command(
        "downscale", "make a photo small, so that upscale makes it large again",
        (("IN", "*", "photo, - for standard input; with --out-dir several, and folders"),
         ("OUT", "?", "small picture to write: .png, .webp, .tif (default IN with -small.png in place of its suffix); "
          "- is standard output, as PNG, and the default if IN is -")),
        ("IN [OUT]", "IN... --out-dir DIR"),
    ),
    Command(
        "upscale", "make a photo large again that downscale made small",
        (("IN", "*", "small picture, - for standard input; with --out-dir several, and folders"),
         ("OUT", "?", "photo to write, its format by its suffix (default IN with -large.png in place of its suffix); "
          "- is standard output, as PNG, and the default if IN is -")),
        ("IN [OUT]", "IN... --out-dir DIR"),
    ),
    Command("weights", "list the weights that are installed, and those in the folders of IRC_WEIGHTS"),
    Command(
        "integrate", "install file type, thumbnails, man page and completion of bash, zsh and fish for this user"
    ),
    Command("help", "print the help of a command, or that of the program", (("COMMAND", "?", "one of the commands"),)),
)  # fmt: skip
EXAMPLES = (
    ("irc encode photo.png", "writes photo.irc, at quality 75"),
    ("irc encode photo.png small.irc -q 40", ""),
    ("irc encode --size 20000 photo.png -o 20k.irc", "the best of at most 20000 bytes"),
    ("irc decode photo.irc", "writes photo.png"),
    ("irc decode small.irc small.webp", ""),
    ("irc encode -r photos --out-dir coded", "every photo in a folder, and in its folders"),
)
#: environment variable and what it does
ENVIRONMENT = (
    ("IRC_WEIGHTS", "folders with more weights, separated as those of PATH are"),
    ("IRC_DEBUG", "set to 1, unexpected errors come with a traceback"),
)
