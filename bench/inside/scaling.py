"""How time and memory of encoding and decoding grow with the picture.

    python -m bench.inside.scaling photos --out scaling.json --plot scaling.svg

Pictures of 1 to 100 megapixels are put together from photos, written as PNG, and taken through `irc encode` and
`irc decode`, each run in a process of its own whose processor time and largest resident memory are read when it ends.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from bench.inside.program import parser as program
from bench.inside.program import timed
from bench.metrics.distortion import Image8
from bench.runs.images import list_images, middle, mosaic, read_image, write_json

SIDE = 512  #: of the pieces of a picture
SHIFT = 170  #: by which pieces are moved, so that they do not end where tiles end
PIECES = 64  #: at most; they are repeated


def pieced(folder: Path, height: int, width: int) -> Image8:
    """Return a picture of the middles of a folder's photos."""
    pieces = [middle(read_image(path), SIDE, SIDE) for path in list_images(folder)[:PIECES]]
    return mosaic(pieces, height, width, SHIFT)


def measured(arguments: list[str]) -> dict[str, float]:
    """Wall and processor seconds and MB of resident memory of one run of irc."""
    ended = timed(["-m", "codec", *arguments])
    return {"seconds": ended.wall, "cpu_seconds": ended.processor, "megabytes": ended.peak / 1e6}


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Processor time and memory against megapixels."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text, which is smaller
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    x = [row["megapixels"] for row in rows]
    for what in ("encode", "decode"):
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
    parser.add_argument("--threads", type=int, default=1, help="processor threads")
    args = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = json.loads(args.out.read_text()) if args.out.exists() else []
    for size in args.megapixels:
        if any(row["megapixels"] == size for row in rows):
            continue
        height = round((size * 1e6 * 3 / 4) ** 0.5)
        with tempfile.TemporaryDirectory() as folder:
            source, coded, back = (str(Path(folder) / name) for name in ("a.png", "a.irc", "b.png"))
            picture = pieced(args.photos, height, round(size * 1e6 / height))
            Image.fromarray(picture).save(source, compress_level=1)
            del picture
            common = ["--threads", str(args.threads), "--device", "cpu", "--max-pixels", "1000000000"]
            row = {
                "megapixels": size,
                "encode": measured(["encode", *common, source, coded]),
                "bytes": os.path.getsize(coded),
                "decode": measured(["decode", *common, coded, back]),
            }
        rows = sorted([*rows, row], key=lambda r: float(r["megapixels"]))
        write_json(args.out, rows)
        print(json.dumps(row), flush=True)
    if args.plot:
        plot(rows, args.plot)


if __name__ == "__main__":
    main()
