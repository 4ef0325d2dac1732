"""``irc-bench generations``: what is left after many generations."""

import argparse
from collections.abc import Mapping
from typing import Any

from bench.commands.common import add_measuring, conclude, count, open_asked, say, settings_by_codec, size
from bench.metrics.generation_loss import growth, losses
from bench.peers.codecs import Codec
from bench.runs.folder import Run
from bench.runs.generations import measure_generations, schedules

__all__ = ["add"]

DEFAULT = ("irc", "irc-stable", "jpeg", "webp", "avif", "hevc")


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("generations", help="encode again and again")
    add_measuring(parser, ",".join(DEFAULT))
    parser.add_argument("--generations", type=count, default=50, metavar="N", help="how many (default: 50)")
    parser.add_argument("--alternate", action="store_true", help="also go through all the settings in turn")
    parser.add_argument("--crop", type=size, metavar="WxH", help="only the middle of each image (default: all of it)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, and print the first and the last generation of each series."""
    settings = settings_by_codec(args.settings, args.codecs or list(DEFAULT))
    codecs, missing, asked_missing = open_asked(args.codecs, DEFAULT)
    plan = {codec.name: schedules(settings.get(codec.name) or _middle(codec), args.alternate) for codec in codecs}
    run = Run(args.folder, args.out, codecs, missing, args.jobs, args.command_line, say)
    document, outcome = measure_generations(run, plan, args.generations, args.crop)
    print("means over images; PSNR over RGB in dB against the original; change and bytes: the last generation against")
    print("the first at its setting, once every setting has had its turn; same: as the first at its setting")
    print(f"{'codec':10} {'settings':>16} {'gen. 1':>8} {'last':>8} {'change':>8} {'bytes':>8}  same file  same latent")
    for series in document["series"]:
        print(_line(series))
    say(f"{args.out}: {outcome.measured} measured, {outcome.kept} kept")
    return conclude(outcome, asked_missing)


def _line(series: Mapping[str, Any]) -> str:
    label = "/".join(f"{setting:g}" for setting in series["schedule"])
    start = f"{series['codec']:10} {label:>16}"
    if not series["means"]:
        return f"{start} nothing was measured"
    first, last = series["means"][0], series["means"][-1]
    lost = losses(series)
    change = f"{lost[-1][1]:+.2f}" if lost else "-"
    images = len(series["images"])
    same = f"{last['same_bytes_as_first_at_setting']}/{images}"
    latent = last["same_latent_as_first_at_setting"]
    known = "-" if latent is None else f"{latent}/{images}"
    decibels = [_decibels(mean["psnr_original"]) for mean in (first, last)]
    return f"{start} {decibels[0]:>8} {decibels[1]:>8} {change:>8} {growth(series):>+7.1f}%  {same:>9}  {known:>11}"


def _middle(codec: Codec) -> list[float]:
    """Return a low, a middle and a high setting of a codec's own."""
    own = codec.settings
    return list(dict.fromkeys([own[len(own) // 4], own[len(own) // 2], own[3 * len(own) // 4]]))


def _decibels(value: float | None) -> str:
    return "lossless" if value is None else f"{value:.2f}"
