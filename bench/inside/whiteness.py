"""Whether what is lost is Gaussian, given what is kept.

    python -m bench.inside.whiteness PHOTOS --out docs/img/lost.png

Photos are encoded to be drawn (temperature 1). For each quality and group of band channels (level, luma or chroma,
dropped or kept: then z is the place inside the bin): mean and deviation of z, and its largest correlation with a
coefficient of the latent at the same place (own level and the coarser one). The figure holds a histogram of z a group
beside the normal density. `--plain` leaves the picture's own noise out of account: z is as white as the head makes it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

import codec
from bench.inside.program import numbers
from bench.inside.program import parser as program
from bench.runs.images import list_images, read_image
from codec.coding.tiles import Reader
from codec.compare.lost import BINS, around, correlation, groups, whitened


class Figures(NamedTuple):
    """Figures of one group of channels."""

    quality: float
    group: str
    mean: float
    deviation: float
    correlation: float
    histogram: list[float]


def measure(folder: Path, qualities: list[float], plain: bool = False) -> list[Figures]:
    """All bands at all qualities, over all photos of the folder."""
    rows = []
    for quality in qualities:
        parts = []
        for path in list_images(folder):
            photo = read_image(path)
            data = codec.encode(photo, quality, temperature=1, tile=0, device="cpu")
            parts.append(whitened(photo, Reader.of(data), own=not plain))
        for name, level, dropped, channels in groups(parts[0].dropped):
            z = np.concatenate([part.z[level][channels].reshape(len(channels), -1) for part in parts], 1)
            planes = zip(*(around(part.k, level) for part in parts))
            known = (np.concatenate([plane.ravel() for plane in each]) for each in planes)
            rows.append(
                Figures(
                    quality,
                    f"{name} {'dropped' if dropped else 'kept'}",
                    float(z.mean()),
                    float(z.std()),
                    correlation(z, known),
                    np.histogram(z, BINS, density=True)[0].tolist(),
                )
            )
    return rows


def plot(rows: list[Figures], out: Path) -> None:
    """A histogram of z for each group (a line) and quality (a column), the normal density behind it."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    groups, qualities = (list(dict.fromkeys(values)) for values in zip(*((row.group, row.quality) for row in rows)))
    figure, axes = pyplot.subplots(
        len(groups), len(qualities), figsize=(3.4 * len(qualities), 1.5 * len(groups)), sharex=True, squeeze=False
    )
    centres = (BINS[1:] + BINS[:-1]) / 2
    for axis in axes.flat:
        axis.axis("off")
    for row in rows:
        axis = axes[groups.index(row.group), qualities.index(row.quality)]
        axis.axis("on")
        axis.set_yticks([])
        axis.plot(centres, np.exp(-(centres**2) / 2) / np.sqrt(2 * np.pi), color="0.6", linewidth=2)
        axis.plot(centres, row.histogram, color="#0072B2")
        axis.set_title(f"q {row.quality:g}, {row.group}: {row.mean:+.2f} ± {row.deviation:.2f}", fontsize=8)
    figure.tight_layout()
    figure.savefig(out)


def main(argv: list[str] | None = None) -> int:
    """Run the program on its arguments (default: the command line's)."""
    parser = program("bench.inside.whiteness", __doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--qualities", type=numbers, default="10,40,70", help="comma-separated (default: %(default)s)")
    parser.add_argument("--plain", action="store_true", help="without the noise that a file keeps of its picture")
    parser.add_argument("--out", type=Path, help="figure to write (.svg, .png)")
    parser.add_argument("--json", type=Path, help="figures to write")
    a = parser.parse_args(argv)
    rows = measure(a.folder, a.qualities, a.plain)
    print(f"{'quality':>7}  {'group':18} {'mean':>7} {'deviation':>9} {'correlation':>11}")
    for row in rows:
        print(f"{row.quality:7g}  {row.group:18} {row.mean:+7.3f} {row.deviation:9.3f} {row.correlation:11.3f}")
    if a.json:
        a.json.write_text(json.dumps([r._asdict() for r in rows]) + "\n")
    if a.out:
        plot(rows, a.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
