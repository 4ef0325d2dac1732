"""The pictures of docs/idea.md: what becomes of a photo in the codec and in rescaling, step by step.

    python -m bench.figures.idea examples/photo.jpg --box 256,128,256,256 --out docs/img

writes idea-codec.jpg and idea-rescaling.jpg. Coefficients are shown as a pyramid: the coarsest level in the upper left
corner, around it finer and finer ones; grey is 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import codec
from bench.metrics.rescaling import resized
from bench.runs.images import read_image
from codec.coding import draw
from codec.coding.tiles import Reader
from codec.compare.lost import whitened
from codec.container.grid import Box
from codec.metrics.distortion import Image8, psnr
from codec.rescale.weights import load
from entropy.config import MULTIPLE

GAP, LINE = 10, 16  #: pixels between panels, and of a line of text
ORANGE = np.array((230, 159, 0), np.uint8)  #: what is dropped
Panel = tuple[str, Image8]


def pyramid(levels: Sequence[NDArray[Any]], colour: int) -> NDArray[Any]:
    """The bands (C,h,w, coarse to fine) of one colour axis in one picture of the size of the photo."""
    whole = levels[0][colour]
    for level in levels:
        # colours are innermost; at 1/16 the low band comes first
        across, down, both = level[[-9 + colour, -6 + colour, -3 + colour]]
        whole = np.block([[whole, across], [down, both]])
    return whole


def grey(values: NDArray[Any], most: float) -> Image8:
    """Values as grey: 0 in the middle, -most black, most white."""
    shade = (127.5 + 127.5 * values / most).clip(0, 255).round().astype(np.uint8)
    return np.repeat(shade[..., None], 3, 2)


def curved(values: NDArray[Any]) -> NDArray[Any]:
    """Large values brought nearer, so that small ones can be seen."""
    return np.arcsinh(values)


@torch.no_grad()
def codec_panels(photo: Image8, quality: float) -> list[list[Panel]]:
    """Rows of panels: bands, what is kept, the head's deviation, z and a drawn z of luma, then of chroma; pictures."""
    data = codec.encode(photo, quality, temperature=1)
    reader = Reader.of(data)
    session, code = reader.session, reader.file.quantisation
    bands = session.bands(photo)
    steps = [a[0].numpy() for a in session.scaled(bands, code)[0].k]
    found = whitened(photo, reader)
    deviations = [d[0].log2().numpy() for _, d in session.errors(bands, found.k, code)]
    height, width = photo.shape[:2]
    drawn = [draw.draw(reader.file.header.seed, i, Box(0, 0, height, width), draw.VERSION) for i in range(4)]
    dropped = [np.broadcast_to(d[:, None, None], k.shape) for d, k in zip(found.dropped, found.k)]
    rows = []
    for name, axis, most in (("luma", 0, 2.5), ("chroma", 2, 1.5)):
        kept = grey(pyramid([curved(k) for k in found.k], axis), most)
        kept[pyramid(dropped, axis)] = ORANGE
        rows.append(
            [
                (f"{name}: bands", grey(pyramid([curved(s) for s in steps], axis), most)),
                ("kept, as integers; orange: dropped", kept),
                ("the head: how large the rest is", grey(pyramid(deviations, axis) + 2, 4)),
                ("z: the rest, made white", grey(pyramid(found.z, axis), 4)),
                ("z drawn anew", grey(pyramid(drawn, axis), 4)),
            ]
        )
    likely, sampled = (np.asarray(codec.decode(data, temperature=t)) for t in (0, 1))
    rows.append(
        [
            (f"the photo; its file has {len(data)} bytes", photo),
            (f"T = 0: z is 0, {psnr(photo, likely):.1f} dB", likely),
            (f"T = 1: z is drawn, {psnr(photo, sampled):.1f} dB", sampled),
        ]
    )
    return rows


@torch.no_grad()
def rescaling_panels(photo: Image8) -> list[list[Panel]]:
    """One row: photo, small picture, what it lost, what may be drawn instead, large again, and bicubic both ways."""
    small = codec.downscale(photo)
    network = load(2).network
    x = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].float() / 255
    _, (detail,) = network(x)
    z = detail[0].numpy()
    e = draw.from_counters(0, 0, 9, Box(0, 0, *photo.shape[:2]), 2) * network.deviation[0].numpy()[:, None, None]
    large = np.asarray(codec.upscale(small))
    plain = resized(resized(photo, [n // 2 for n in photo.shape[:2]]), photo.shape[:2])

    def mosaic(d: NDArray[Any]) -> Image8:
        across, down, both = d.reshape(3, 3, *d.shape[1:]).mean(1)
        return grey(np.block([[np.zeros_like(across), across], [down, both]]), float(4 * z.std()))

    canvas = np.full_like(photo, 255)
    canvas[: small.height, : small.width] = np.asarray(small)
    return [
        [
            ("the photo", photo),
            ("the small picture, which is kept", canvas),
            ("z, which is dropped", mosaic(z)),
            ("z that is drawn at T = 1", mosaic(e)),
            (f"large again, T = 0: {psnr(photo, large):.1f} dB", large),
            (f"bicubic both ways: {psnr(photo, plain):.1f} dB", plain),
        ]
    ]


def sheet(rows: list[list[Panel]]) -> Image.Image:
    """Rows of labelled panels."""
    side_h, side_w = rows[0][0][1].shape[:2]
    out = Image.new(
        "RGB", (max(map(len, rows)) * (side_w + GAP) - GAP, len(rows) * (side_h + LINE + GAP) - GAP), "white"
    )
    pen, font = ImageDraw.Draw(out), ImageFont.load_default(13)
    for j, row in enumerate(rows):
        for i, (label, pixels) in enumerate(row):
            at = i * (side_w + GAP), j * (side_h + LINE + GAP)
            pen.text(at, label, "black", font)
            out.paste(Image.fromarray(np.ascontiguousarray(pixels)), (at[0], at[1] + LINE))
    return out


def main(argv: list[str] | None = None) -> int:
    """Run the program on its arguments (default: the command line's)."""
    parser = argparse.ArgumentParser(prog="python -m bench.figures.idea", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("--box", required=True, help="x,y,width,height of the part to show; sides are multiples of 32")
    parser.add_argument("--quality", type=float, default=15, help="of the codec (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    a = parser.parse_args(argv)
    x, y, w, h = (int(v) for v in a.box.split(","))
    if w % MULTIPLE or h % MULTIPLE or not w or not h:
        parser.error(f"--box {a.box}: its sides are not multiples of {MULTIPLE}")
    photo = np.ascontiguousarray(read_image(a.photo)[y : y + h, x : x + w])
    for name, rows in (("codec", codec_panels(photo, a.quality)), ("rescaling", rescaling_panels(photo))):
        sheet(rows).save(a.out / f"idea-{name}.jpg", quality=76, subsampling=0, optimize=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
