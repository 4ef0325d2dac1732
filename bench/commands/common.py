"""What several subcommands share: options, opening codecs, saying what went wrong."""

import argparse
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from bench.errors import BenchError
from bench.metrics.curves import Curve, find_curve, load_published
from bench.metrics.measures import MEASURES, Measure
from bench.peers.codecs import CODECS, Codec, open_codecs
from bench.runs.folder import Outcome
from bench.runs.pool import cores

__all__ = [
    "EXIT_INCOMPLETE",
    "add_measuring",
    "add_metric",
    "add_published",
    "conclude",
    "count",
    "names",
    "open_asked",
    "published_curves",
    "say",
    "settings_by_codec",
    "size",
]

EXIT_INCOMPLETE = 1


def add_measuring(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the options of a command that runs codecs on a folder; `default` says which, unless asked."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of images")
    parser.add_argument(
        "--codecs", type=names, metavar="NAME,...", help=f"from {', '.join(CODECS)}, irc:ID (default: {default})"
    )
    parser.add_argument(
        "--settings", action="append", default=[], metavar="[NAME=]S,...",
        help="settings of all codecs, or of the one named; can be given again",
    )  # fmt: skip
    parser.add_argument(
        "--jobs", type=count, default=cores(), metavar="N",
        help="processes, of one thread each; 1 for times to be compared (default: as many as processors)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON to write, or to go on with")


def add_published(parser: argparse.ArgumentParser) -> None:
    """Add the option that names published curves."""
    parser.add_argument(
        "--published", type=names, default=[], metavar="KEY,...", help="published Kodak curves to add, by their keys"
    )


def add_metric(parser: argparse.ArgumentParser) -> None:
    """Add the option that says by which measure curves are compared."""
    parser.add_argument("--metric", choices=MEASURES, default="psnr", help="measure of quality (default: psnr)")


def published_curves(keys: Iterable[str], measure: Measure) -> list[Curve]:
    """Return published curves by their keys; `BenchError` for a measure that they don't have."""
    known = load_published()
    found = [find_curve(f"published:{key}", known, []) for key in keys]
    if found and measure.name != "psnr":
        raise BenchError(f"published curves are of PSNR over RGB, not of {measure.label}")
    return found


def names(text: str) -> list[str]:
    """Parse a list of names."""
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise argparse.ArgumentTypeError("no name is given")
    return found


def count(text: str) -> int:
    """Parse a positive whole number."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return number


def size(text: str) -> tuple[int, int]:
    """Parse width and height, as in 384x256."""
    width, _, height = text.partition("x")
    return count(width), count(height)


def settings_by_codec(given: Sequence[str], codecs: Sequence[str]) -> dict[str, list[float]]:
    """Return the settings asked for, by codec; one named for itself overrules those for all."""
    result: dict[str, list[float]] = {}
    for text in sorted(given, key=lambda text: "=" in text):
        name, equals, numbers = text.rpartition("=")
        if equals and name not in codecs:
            raise BenchError(f"--settings {text}: {name!r} is not among the codecs")
        try:
            values = [float(number) for number in numbers.split(",")]
        except ValueError:
            values = []
        if not values or not all(math.isfinite(value) for value in values):
            raise BenchError(f"--settings {text}: not a list of numbers")
        for codec in [name] if equals else codecs:
            result[codec] = values
    return result


def open_asked(asked: list[str] | None, default: Iterable[str]) -> tuple[list[Codec], dict[str, str], bool]:
    """Return codecs, missing ones, and whether one that was asked for by name is missing."""
    codecs, missing = open_codecs(asked or default)
    for name, why in missing.items():
        say(f"{name} is missing: {why}")
    if not codecs:
        raise BenchError("none of the codecs can be run here")
    return codecs, missing, bool(missing) and asked is not None


def conclude(outcome: Outcome, asked_missing: bool) -> int:
    """Name what did not work once more, and return the exit status."""
    for name, why in outcome.unreadable.items():
        say(f"unreadable: {name} ({why})")
    for failure in outcome.failures:
        say(f"failed: {failure}")
    if not outcome.complete:
        say(f"{len(outcome.unreadable)} unreadable, {len(outcome.failures)} failed")
    return 0 if outcome.complete and not asked_missing else EXIT_INCOMPLETE


def say(text: str) -> None:
    """Write a line to standard error, above a bar if one is shown."""
    tqdm.write(text, file=sys.stderr)
