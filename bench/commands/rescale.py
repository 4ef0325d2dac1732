"""``irc-bench rescale``: photos made small and large again, beside what the papers say."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from bench.commands.common import count, names, say
from bench.errors import BenchError
from bench.metrics.rescaling import published
from bench.peers.codecs import CODECS
from bench.runs.images import machine, write_json
from bench.runs.rescaling import DIRECT, METHODS, Mean, Row, Through, means, measure, spread

__all__ = ["add"]


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("rescale", help="make photos small and large again")
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="folders of photos, such as Set5")
    parser.add_argument("--scale", type=names, default=["2", "4"], metavar="S,...", help="2, 4 or both (default)")
    parser.add_argument(
        "--methods", type=names, default=list(METHODS), metavar="NAME,...", help=f"from {', '.join(METHODS)} (default)"
    )
    parser.add_argument(
        "--through", action="append", default=[], metavar="CODEC=S,...",
        help="send the small pictures, and photos at their own size, through a codec at these settings, too; can be "
        "given again",
    )  # fmt: skip
    parser.add_argument(
        "--draws", type=count, metavar="N", help="also draw N times at temperature 1, and say the spread"
    )
    parser.add_argument("--markdown", action="store_true", help="print tables in Markdown, and no codec between")
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON to write")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, and print means beside published rows."""
    scales = [_scale(text) for text in args.scale]
    for method in args.methods:
        if method not in METHODS:
            raise BenchError(f"--methods: {method!r} is not one of {', '.join(METHODS)}")
    between = [Through(), *(through for text in args.through for through in _through(text))]
    rows: list[Row] = []
    spreads: dict[str, tuple[float, float]] = {}
    for folder in args.folders:
        for scale in scales:
            for method in args.methods:
                for through in between:
                    say(f"{folder.name} x{scale} {method} {through}".rstrip())
                    rows += measure(folder, method, scale, through)
            for through in between[1:]:
                if scale == scales[0]:  # it depends on the scale only by the border that PSNR leaves out
                    say(f"{folder.name} {DIRECT} {through}")
                    rows += measure(folder, DIRECT, scale, through)
            if args.draws:
                spreads[f"{folder.name} x{scale}"] = spread(folder, scale, args.draws)
    found = means(rows)
    for scale in scales:
        print(_table([m for m in found if m.scale == scale and not m.through], scale, args.markdown))
    if any(m.through for m in found):
        print(_between([m for m in found if m.through]))
    for name, (mean, deviation) in spreads.items():
        print(f"{name}: {args.draws} draws at temperature 1: {mean:.2f} dB, deviation {deviation:.3f}")
    if args.out:
        write_json(args.out, {
            "kind": "rescaling", "command": args.command_line, "machine": machine(), "spreads": spreads,
            "rows": [dataclasses.asdict(row) for row in rows], "means": [dataclasses.asdict(m) for m in found],
        })  # fmt: skip
    return 0


def _scale(text: str) -> int:
    if text not in ("2", "4"):
        raise BenchError(f"--scale: {text!r} is not 2 or 4")
    return int(text)


def _through(text: str) -> list[Through]:
    name, _, settings = text.partition("=")
    if name not in CODECS:
        raise BenchError(f"--through {text}: {name!r} is not one of {', '.join(CODECS)}")
    try:
        values = [float(setting) for setting in settings.split(",")]
    except ValueError:
        raise BenchError(f"--through {text}: settings are numbers, as in jpeg=90,70") from None
    return [Through(name, value) for value in values]


def _table(found: list[Mean], scale: int, markdown: bool) -> str:
    """Return PSNR-Y / SSIM-Y a set, measured and published; of measured ones RGB and the small picture, too."""
    sets = list(dict.fromkeys(m.set for m in found))
    head = [f"x{scale}", "parameters", "kMAC a pixel, each way", *sets]
    lines = []
    for row in published():
        if row.scale == scale:
            size = f"{row.parameters / 1e6:.2f} M" if row.parameters else ""
            cost = f"{row.kmac:.0f}" if row.kmac else ""
            lines.append([f"{row.method} (published)", size, cost, *(_cell(row.sets.get(name)) for name in sets)])
    for method in dict.fromkeys(m.method for m in found):
        mine = {m.set: m for m in found if m.method == method}
        size, cost = _size(scale) if method == "irc" else ("", "")
        lines.append([method, size, cost, *(_cell((mine[s].psnr_y, mine[s].ssim_y)) for s in sets)])
        lines.append([f"{method}: over RGB", "", "", *(f"{mine[s].psnr_rgb:.2f}" for s in sets)])
        if method == "irc":
            small = (f"{mine[s].small_y:.1f}, {mine[s].small_rgb:.1f}" for s in sets)
            lines.append([f"{method}: small picture against bicubic, Y, RGB", "", "", *small])
    return _aligned(head, lines, markdown)


def _size(scale: int) -> tuple[str, str]:
    """Return the parameters and the arithmetic of irc's network (`bench.inside.macs` counts it where it happens)."""
    from codec.rescale.weights import load

    network = load(scale).network
    return f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f} M", f"{network.multiplications / 1000:.0f}"


def _cell(values: tuple[float, float | None] | None) -> str:
    if values is None:
        return "-"
    return f"{values[0]:.2f}" + (f" / {values[1]:.4f}" if values[1] is not None else "")


def _between(found: list[Mean]) -> str:
    head = ["set", "scale", "method", "through", "bpp", "PSNR-Y", "over RGB"]
    lines = [
        [
            m.set,
            "" if m.method == DIRECT else f"x{m.scale}",
            m.method,
            m.through,
            f"{m.bpp:.3f}",
            f"{m.psnr_y:.2f}",
            f"{m.psnr_rgb:.2f}",
        ]
        for m in found
    ]
    return _aligned(head, lines, False)


def _aligned(head: list[str], lines: list[list[str]], markdown: bool) -> str:
    if markdown:
        rule = "|---" * len(head) + "|"
        return (
            "\n".join(["| " + " | ".join(head) + " |", rule, *("| " + " | ".join(line) + " |" for line in lines)])
            + "\n"
        )
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    return (
        "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in [head, *lines])
        + "\n"
    )
