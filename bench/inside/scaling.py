"""How time and memory of encoding and decoding, or of rescaling, grow with the picture.

    python -m bench.inside.scaling photos --out scaling.json --plot scaling.svg
    python -m bench.inside.scaling photos --rescale 2 --threads 2 --out rescaling.json

Pictures of 1 to 100 megapixels are put together from photos, written as PNG, and taken through `irc encode` and
`irc decode`, each run in a process of its own whose processor time and largest resident memory are read when it ends.
With `--rescale` it is `irc downscale` and `irc upscale`, and Pillow's bicubic interpolation of the same files beside
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from bench.inside.program import parser as program
from bench.inside.program import timed
from bench.runs.images import list_images, middle, mosaic, read_image, write_json
from codec.metrics.distortion import Image8

SIDE = 512  #: of the pieces of a picture
SHIFT = 170  #: by which pieces are moved, so that they do not end where tiles end
PIECES = 64  #: at most; they are repeated
#: reads a picture, resizes it by a ratio and writes it, as `irc downscale` and `upscale` do
RESIZE = """
import sys
from PIL import Image
Image.MAX_IMAGE_PIXELS = None
source, out, more, less = sys.argv[1:]
with Image.open(source) as image:
    size = [side * int(more) // int(less) for side in image.size]
    image.resize(size, Image.Resampling.BICUBIC).save(out)
"""


def pieced(folder: Path, height: int, width: int) -> Image8:
    """Return a picture of the middles of a folder's photos."""
    pieces = [middle(read_image(path), SIDE, SIDE) for path in list_images(folder)[:PIECES]]
    return mosaic(pieces, height, width, SHIFT)


def measured(arguments: list[str]) -> dict[str, float]:
    """Wall and processor seconds and MB of resident memory of one run of Python."""
    ended = timed(arguments)
    return {"seconds": ended.wall, "cpu_seconds": ended.processor, "megabytes": ended.peak / 1e6}


def steps(folder: Path, scale: int, threads: int) -> dict[str, list[str]]:
    """What is done to folder/a.png, by name: Python's arguments. scale: of rescaling, 0 for coding."""
    source, coded, back = (str(folder / name) for name in ("a.png", "a.irc", "b.png"))
    common = ["--threads", str(threads), "--max-pixels", "1000000000"]
    if not scale:
        common += ["--device", "cpu"]
        return {
            "encode": ["-m", "codec", "encode", *common, source, coded],
            "decode": ["-m", "codec", "decode", *common, coded, back],
        }
    small = str(folder / "small.png")
    return {
        "downscale": ["-m", "codec", "downscale", "-s", str(scale), *common, source, small],
        "upscale": ["-m", "codec", "upscale", *common, small, back],
        "bicubic down": ["-c", RESIZE, source, small, "1", str(scale)],
        "bicubic up": ["-c", RESIZE, small, back, str(scale), "1"],
    }


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Processor time and memory against megapixels."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text, which is smaller
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    x = [row["megapixels"] for row in rows]
    for what in (name for name, value in rows[0].items() if isinstance(value, dict)):
        left.plot(x, [row[what]["cpu_seconds"] for row in rows], "o-", label=what)
        right.plot(x, [row[what]["megabytes"] for row in rows], "o-", label=what)
    left.set(xlabel="megapixels", ylabel="processor seconds", xscale="log", yscale="log")
    right.set(xlabel="megapixels", ylabel="largest resident memory, MB", xscale="log", ylim=0)
    for axes in (left, right):
        axes.grid(alpha=0.3, which="both")
        axes.legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main(arguments: list[str] | None = None) -> None:
    """Run the program on its arguments (default: the command line's)."""
    parser = program("bench.inside.scaling", __doc__)
    parser.add_argument("photos", type=Path, help="folder of photos")
    parser.add_argument("--out", type=Path, required=True, help="results, JSON; what it has is not measured again")
    parser.add_argument("--plot", type=Path, help="picture of the results, .svg or .png")
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 4, 12, 30, 100], help="sizes")
    parser.add_argument("--rescale", type=int, choices=(2, 4), default=0, help="rescale by this instead of coding")
    parser.add_argument("--threads", type=int, default=1, help="processor threads")
    args = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = json.loads(args.out.read_text()) if args.out.exists() else []
    for size in args.megapixels:
        if any(row["megapixels"] == size for row in rows):
            continue
        height = round((size * 1e6 * 3 / 4) ** 0.5)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            picture = pieced(args.photos, height, round(size * 1e6 / height))
            Image.fromarray(picture).save(folder / "a.png", compress_level=1)
            del picture
            row: dict[str, Any] = {"megapixels": size}
            for what, arguments in steps(folder, args.rescale, args.threads).items():
                row[what] = measured(arguments)
                if what == "encode":
                    row["bytes"] = (folder / "a.irc").stat().st_size
        rows = sorted([*rows, row], key=lambda r: float(r["megapixels"]))
        write_json(args.out, rows)
        print(json.dumps(row), flush=True)
    if args.plot:
        plot(rows, args.plot)


if __name__ == "__main__":
    main()
