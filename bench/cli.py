"""``irc-bench``: measure codecs on a folder of images, compare and draw their curves."""

import argparse
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.bdrate import BAND, bd_rate
from bench.codecs import CODECS, Codec, open_codecs
from bench.curves import Curve, find_curve, load_measured, load_published
from bench.errors import BenchError, NotComparable
from bench.generations import measure_generations, schedules
from bench.rd import Outcome, measure

__all__ = ["main"]

EXIT_INCOMPLETE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, 1 if something did not work, 2 if it was asked wrongly."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    args = _parser().parse_args(arguments)
    args.command_line = shlex.join(["irc-bench", *arguments])
    try:
        return int(args.run(args))
    except NotComparable as error:
        _say(f"irc-bench: {error}")
        return EXIT_INCOMPLETE
    except BenchError as error:
        _say(f"irc-bench: {error}")
        return EXIT_USAGE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _say(f"irc-bench: {where}{error.strerror or error}")
        return EXIT_INCOMPLETE
    except KeyboardInterrupt:
        _say("irc-bench: interrupted; what was measured is kept")
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="irc-bench", description="Measure codecs, compare and draw."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    rd = commands.add_parser("rd", help="measure rate and distortion of codecs on a folder")
    _add_measuring(rd)
    rd.add_argument("--no-ms-ssim", action="store_true", help="leave out MS-SSIM, which is slow")
    rd.set_defaults(run=_rd)

    bdrate = commands.add_parser("bdrate", help="print BD-rates against an anchor")
    bdrate.add_argument("files", nargs="*", type=Path, metavar="FILE", help="result of rd")
    bdrate.add_argument(
        "--anchor", default="bpg444", metavar="KEY",
        help="a published key or the name of a measured curve (default: bpg444)",
    )  # fmt: skip
    bdrate.add_argument(
        "--band", nargs=2, type=float, default=BAND, metavar=("LOW", "HIGH"),
        help=f"PSNR band in dB (default: {BAND[0]:g} {BAND[1]:g})",
    )  # fmt: skip
    _add_published(bdrate)
    bdrate.set_defaults(run=_bdrate)

    generations = commands.add_parser("generations", help="encode again and again")
    _add_measuring(generations)
    generations.add_argument(
        "--generations", type=_count, default=50, metavar="N", help="how many (default: 50)"
    )
    generations.add_argument(
        "--alternate", action="store_true", help="also go through all the settings in turn"
    )
    generations.set_defaults(run=_generations)

    plot = commands.add_parser("plot", help="draw curves as PNG or SVG")
    plot.add_argument("files", nargs="*", type=Path, metavar="FILE", help="result of rd")
    plot.add_argument("--out", type=Path, required=True, help="a .png or .svg file")
    plot.add_argument("--title", default="")
    plot.add_argument("--max-bpp", type=float, metavar="BPP", help="leave out higher rates")
    _add_published(plot)
    plot.set_defaults(run=_plot)
    return parser


def _add_measuring(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of images")
    parser.add_argument(
        "--codecs", type=_names, metavar="NAME,...",
        help=f"from {', '.join(CODECS)} (default: all that are installed)",
    )  # fmt: skip
    parser.add_argument(
        "--settings", action="append", default=[], metavar="[NAME=]S,...",
        help="settings of all codecs, or of the one named; can be given again",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON to write")


def _add_published(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--published", type=_names, default=[], metavar="KEY,...",
        help="published Kodak curves to add, by their keys",
    )  # fmt: skip


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("no name is given")
    return names


def _count(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return count


def _settings(given: Sequence[str], codecs: Sequence[str]) -> dict[str, list[float]]:
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


def _open(args: argparse.Namespace) -> tuple[list[Codec], dict[str, str], bool]:
    """Return codecs, missing ones, and whether one that was asked for by name is missing."""
    codecs, missing = open_codecs(args.codecs or CODECS)
    for name, why in missing.items():
        _say(f"{name} is missing: {why}")
    if not codecs:
        raise BenchError("none of the codecs can be run here")
    return codecs, missing, bool(missing) and args.codecs is not None


def _conclude(outcome: Outcome, asked_missing: bool) -> int:
    for name, why in outcome.unreadable.items():
        _say(f"unreadable: {name} ({why})")
    for failure in outcome.failures:
        _say(f"failed: {failure}")
    if not outcome.complete:
        _say(f"{len(outcome.unreadable)} unreadable, {len(outcome.failures)} failed")
    return 0 if outcome.complete and not asked_missing else EXIT_INCOMPLETE


def _rd(args: argparse.Namespace) -> int:
    settings = _settings(args.settings, args.codecs or list(CODECS))
    codecs, missing, asked_missing = _open(args)
    outcome = measure(
        args.folder,
        codecs,
        args.out,
        settings=settings,
        missing=missing,
        with_ms_ssim=not args.no_ms_ssim,
        command=args.command_line,
        report=_say,
    )
    _say(f"{args.out}: {outcome.measured} measured, {outcome.kept} kept")
    return _conclude(outcome, asked_missing)


def _bdrate(args: argparse.Namespace) -> int:
    published, measured = load_published(), load_measured(args.files)
    anchor = find_curve(args.anchor, published, measured)
    # without anything to compare, the published curves are the table
    chosen = args.published or ([] if measured else list(published))
    curves = measured + [find_curve(f"published:{key}", published, []) for key in chosen]
    band = (args.band[0], args.band[1])
    whose = "published" if anchor.published else "measured"
    print(f"BD-rate in % against {anchor.key} ({whose}), PSNR over RGB; minus is better")
    print(f"{'codec':32}  {f'{band[0]:g}-{band[1]:g} dB':>25}  {'common range':>25}")
    refused = False
    for curve in curves:
        cells, reasons = [], []
        for part in (band, None):
            try:
                rate = bd_rate(anchor.bpp, anchor.psnr, curve.bpp, curve.psnr, part)
            except NotComparable as error:
                cells.append("-")
                reasons.append(str(error))
            else:
                cells.append(f"{rate.percent:+8.2f} ({rate.low:.2f}-{rate.high:.2f} dB)")
        name = f"{curve.key} (published)" if curve.published else curve.key
        print(f"{name:32}  {cells[0]:>25}  {cells[1]:>25}".rstrip())
        if reasons:
            refused = True
            _say(f"{curve.key}: refused: {'; '.join(dict.fromkeys(reasons))}")
        _warn_of_other_images(anchor, curve)
    return EXIT_INCOMPLETE if refused else 0


def _warn_of_other_images(anchor: Curve, curve: Curve) -> None:
    stems = [{Path(name).stem.lower() for name in each.images} for each in (anchor, curve)]
    if all(stems) and stems[0] != stems[1]:
        _say(
            f"{curve.key}: beware: its {len(stems[1])} images are not "
            f"the {len(stems[0])} of {anchor.key}"
        )


def _generations(args: argparse.Namespace) -> int:
    settings = _settings(args.settings, args.codecs or list(CODECS))
    codecs, missing, asked_missing = _open(args)
    plan = {
        codec.name: schedules(settings.get(codec.name) or _middle(codec), args.alternate)
        for codec in codecs
    }
    document, outcome = measure_generations(
        args.folder,
        codecs,
        plan,
        args.generations,
        args.out,
        missing=missing,
        command=args.command_line,
        report=_say,
    )
    print("means over images; PSNR over RGB in dB against the original; files as of generation 1;")
    print("last: the last generation at the setting of generation 1")
    print(f"{'codec':10} {'settings':>16} {'gen. 1':>8} {'last':>8} {'change':>8}  same file")
    for series in document["series"]:
        label = "/".join(f"{setting:g}" for setting in series["schedule"])
        cells = "nothing was measured"
        if series["means"]:
            first = series["means"][0]
            # another setting's PSNR would differ without any loss between generations
            final = [mean for mean in series["means"] if mean["setting"] == first["setting"]][-1]
            one, end = first["psnr_original"], final["psnr_original"]
            change = "-" if one is None or end is None else f"{end - one:+.2f}"
            same = f"{final['same_bytes_as_first']} of {len(series['images'])}"
            cells = f"{_decibels(one):>8} {_decibels(end):>8} {change:>8}  {same}"
        print(f"{series['codec']:10} {label:>16} {cells}")
    return _conclude(outcome, asked_missing)


def _middle(codec: Codec) -> list[float]:
    """Return a low, a middle and a high setting of a codec's own."""
    own = codec.settings
    return list(dict.fromkeys([own[len(own) // 4], own[len(own) // 2], own[3 * len(own) // 4]]))


def _decibels(value: float | None) -> str:
    return "lossless" if value is None else f"{value:.2f}"


def _plot(args: argparse.Namespace) -> int:
    # matplotlib is slow to import, and nothing else needs it
    from bench.plot import draw

    published = load_published()
    curves = load_measured(args.files)
    curves += [find_curve(f"published:{key}", published, []) for key in args.published]
    draw(curves, args.out, title=args.title, max_bpp=args.max_bpp)
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
