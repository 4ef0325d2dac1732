"""The README's picture: a photo, and the same photo as JPEG and as irc at equal bytes.

    python -m bench.figures.readme_picture photo.png --bytes 10080 --box 60,60,300,300 --out docs/img/compare.png

JPEG is Pillow's (4:2:0, optimised) at the highest quality that fits. The .irc file is decoded at T = 0 and 1.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import codec
from bench.figures.pictures import closest
from bench.peers.codecs import open_codec
from bench.runs.images import read_image
from codec.metrics.distortion import Image8, psnr

GAP, LABEL = 10, 26  #: pixels between pictures, and above them


def versions(photo: Image8, size: int) -> list[tuple[str, Image8]]:
    """Label and pixels of the photo and its three versions of at most `size` bytes."""
    jpeg = open_codec("jpeg")
    _, data = closest(jpeg, photo, size)
    decoded = jpeg.decode(data)
    file = codec.encode(photo, size=size, temperature=1)
    likely, drawn = (np.asarray(codec.decode(file, temperature=t)) for t in (0, 1))
    return [
        ("photo", photo),
        (f"JPEG, {len(data)} bytes, {psnr(photo, decoded):.1f} dB", decoded),
        (f"irc, {len(file)} bytes, {psnr(photo, likely):.1f} dB", likely),
        ("irc, T = 1, the same file", drawn),
    ]


def labelled(parts: list[tuple[str, Image8]]) -> Image.Image:
    """Pictures side by side, each below its label."""
    out = Image.new(
        "RGB", (sum(p.shape[1] + GAP for _, p in parts) - GAP, max(len(p) for _, p in parts) + LABEL), "white"
    )
    pen, font, left = ImageDraw.Draw(out), ImageFont.load_default(13), 0
    for label, pixels in parts:
        out.paste(Image.fromarray(np.ascontiguousarray(pixels)), (left, LABEL))
        pen.text((left + 4, 5), label, "black", font)
        left += pixels.shape[1] + GAP
    return out


def sheet(pictures: list[tuple[str, Image8]], box: tuple[int, int, int, int], scale: int) -> Image.Image:
    """The same part (x, y, width, height) of each picture side by side, enlarged without smoothing, labelled."""
    x, y, w, h = box
    return labelled([(label, p[y : y + h, x : x + w].repeat(scale, 0).repeat(scale, 1)) for label, p in pictures])


def main(argv: list[str] | None = None) -> int:
    """Run the program on its arguments (default: the command line's)."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.figures.readme_picture", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("photo", type=Path)
    parser.add_argument("--bytes", type=int, required=True, help="the most that a file may have")
    parser.add_argument("--box", required=True, help="x,y,width,height of the part to show")
    parser.add_argument("--scale", type=int, default=1, help="how many times it is enlarged (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="picture to write")
    a = parser.parse_args(argv)
    x, y, w, h = (int(v) for v in a.box.split(","))
    buffer = io.BytesIO()
    sheet(versions(read_image(a.photo), a.bytes), (x, y, w, h), a.scale).save(buffer, "PNG", optimize=True)
    a.out.write_bytes(buffer.getvalue())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
