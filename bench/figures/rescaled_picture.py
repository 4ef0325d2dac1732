"""README's picture of rescaling: a photo; bicubic down and Lanczos up; irc down and up, with both small pictures.

    python -m bench.figures.rescaled_picture photo.png --scale 4 --box 60,60,240,240 --out docs/img/rescaled.png

All at 100 %: a pixel of the sheet is a pixel of the photo, or of the small picture.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from bench.figures.readme_picture import labelled
from bench.metrics.rescaling import mean_square
from bench.runs.images import read_image
from bench.runs.rescaling import METHODS, decibels, whole
from codec.metrics.distortion import Image8

LABELS = {"lanczos": "bicubic down, Lanczos up", "irc": "irc down and up"}


def versions(photo: Image8, scale: int, box: tuple[int, int, int, int]) -> list[tuple[str, Image8]]:
    """Label and part of the photo and of each way down and up: the small picture, left, in the corner of its own."""
    x, y, w, h = (n // scale * scale for n in box)
    out = [("photo", photo[y : y + h, x : x + w])]
    for name, label in LABELS.items():
        down, up = METHODS[name]
        small = down(photo, scale)
        back = up(small, scale, 0.0, 0)
        part = small[y // scale : (y + h) // scale, x // scale : (x + w) // scale]
        error = decibels(mean_square(photo, back, scale, True))
        out.append((f"by {scale}: small", part))
        out.append((f"{label}, {error:.1f} dB", back[y : y + h, x : x + w]))
    return out


def main(argv: list[str] | None = None) -> int:
    """Run the program on its arguments (default: the command line's)."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.figures.rescaled_picture", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("photo", type=Path)
    parser.add_argument("--scale", type=int, choices=(2, 4), default=2, help="of the reduction (default: %(default)s)")
    parser.add_argument("--box", required=True, help="x,y,width,height of the part to show")
    parser.add_argument("--out", type=Path, required=True, help="picture to write")
    a = parser.parse_args(argv)
    x, y, w, h = (int(v) for v in a.box.split(","))
    buffer = io.BytesIO()
    labelled(versions(whole(read_image(a.photo), a.scale), a.scale, (x, y, w, h))).save(buffer, "PNG", optimize=True)
    a.out.write_bytes(buffer.getvalue())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
