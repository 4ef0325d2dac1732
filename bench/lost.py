"""Is what is dropped really Gaussian, given what is kept?

    python -m bench.lost PHOTOS --out docs/img/lost.svg

For each quality and group of dropped band channels (level, luma or chroma): mean and deviation of z, and its
largest correlation with a coefficient of the latent at the same place (own level and the coarser one). The
figure holds a histogram of z a group beside the normal density.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from bench.images import list_images, read_image
from codec.api import _session
from entropy.config import chroma, luma

NAMES = ("1/16", "1/8", "1/4", "1/2")
BINS = np.linspace(-4, 4, 81)


class Group(NamedTuple):
    """Figures of one group of dropped channels."""

    quality: float
    group: str
    mean: float
    deviation: float
    correlation: float
    histogram: list[float]


@torch.no_grad()
def whitened(pixels: np.ndarray, quality: int) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """z, k (C,h,w a level) and which channels are dropped, of a picture at a quality in 1/256."""
    session = _session(None, torch.device("cpu"))
    bands = session.bands(pixels)
    coded = session.code(bands, quality)[1]
    latent, q = session.latent(bands, quality)
    k = [torch.from_numpy(a.astype(np.float32))[None] for a in coded.k]
    z = session.model.whiten(latent, session.model.lost(k, latent, q))
    return (
        [a[0].numpy() for a in z],
        [a[0].numpy() for a in k],
        [1 - c.flatten().numpy() for c in latent.coded],
    )


def correlation(z: np.ndarray, k: np.ndarray) -> float:
    """Largest magnitude of the correlation of any row of z with any varying row of k."""
    z = (z - z.mean(1, keepdims=True)) / z.std(1, keepdims=True)
    k = k[k.std(1) > 0]
    if not len(k):
        return 0.0
    k = (k - k.mean(1, keepdims=True)) / k.std(1, keepdims=True)
    return float(np.abs(z @ k.T / z.shape[1]).max())


def measure(folder: Path, qualities: list[float]) -> list[Group]:
    """All groups at all qualities, over all photos of the folder."""
    rows = []
    for quality in qualities:
        parts = [whitened(read_image(p), round(quality * 256)) for p in list_images(folder)]
        for level in range(4):
            dropped = parts[0][2][level] > 0
            band = len(dropped)
            for kind, members in (("luma", luma(band)), ("chroma", chroma(band))):
                channels = [c for c in members if dropped[c]]
                if not channels:
                    continue
                z = np.concatenate([p[0][level][channels].reshape(len(channels), -1) for p in parts], 1)
                coarser = max(level - 1, 0)
                k = np.concatenate(
                    [
                        np.concatenate(
                            [
                                p[1][level].reshape(band, -1),
                                np.repeat(np.repeat(p[1][coarser], 2, 1), 2, 2).reshape(len(p[1][coarser]), -1)
                                if level
                                else p[1][level].reshape(band, -1),
                            ]
                        )
                        for p in parts
                    ],
                    1,
                )
                rows.append(
                    Group(
                        quality,
                        f"{NAMES[level]} {kind}",
                        float(z.mean()),
                        float(z.std()),
                        correlation(z, k),
                        np.histogram(z, BINS, density=True)[0].tolist(),
                    )
                )
    return rows


def plot(rows: list[Group], out: Path) -> None:
    """A histogram of z for each group, the normal density behind it."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = 4
    lines = -(-len(rows) // columns)
    figure, axes = pyplot.subplots(lines, columns, figsize=(12, 2.4 * lines), sharex=True, squeeze=False)
    centres = (BINS[1:] + BINS[:-1]) / 2
    for axis, row in zip(axes.flat, rows):
        axis.plot(centres, np.exp(-(centres**2) / 2) / np.sqrt(2 * np.pi), color="0.6", linewidth=2)
        axis.plot(centres, row.histogram, color="#0072B2")
        axis.set_title(f"q {row.quality:g}, {row.group}: {row.mean:+.2f} ± {row.deviation:.2f}", fontsize=9)
    for axis in list(axes.flat)[len(rows) :]:
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(out)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.lost", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--qualities", default="10,40,70", help="comma-separated (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="figure to write (.svg, .png)")
    parser.add_argument("--json", type=Path, help="figures to write")
    a = parser.parse_args(argv)
    rows = measure(a.folder, [float(q) for q in a.qualities.split(",")])
    print(f"{'quality':>7}  {'group':12} {'mean':>7} {'deviation':>9} {'correlation':>11}")
    for row in rows:
        print(f"{row.quality:7g}  {row.group:12} {row.mean:+7.3f} {row.deviation:9.3f} {row.correlation:11.3f}")
    if a.json:
        a.json.write_text(json.dumps([r._asdict() for r in rows]) + "\n")
    if a.out:
        plot(rows, a.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
