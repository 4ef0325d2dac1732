"""How time and memory of encoding and decoding grow with the picture.

    python -m bench.inside.scaling photos --out scaling.json --plot scaling.svg

Pictures of 1 to 100 megapixels are put together from photos, written as PNG, and taken through `irc encode` and
`irc decode`, each run in a process of its own whose processor time and largest resident memory are read when it ends.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 512  #: of the pieces of a picture
SHIFT = 170  #: by which pieces are moved, so that they do not end where tiles end


def mosaic(photos: list[Path], height: int, width: int) -> NDArray[np.uint8]:
    """H,W,3 of 512x512 pieces of photos, repeated where there are too few."""
    pieces = [np.asarray(Image.open(p).convert("RGB").crop((0, 0, SIDE, SIDE))) for p in photos[:64]]
    out = np.empty((height, width, 3), np.uint8)
    number = 0
    for top in range(-SHIFT, height, SIDE):
        for left in range(-SHIFT, width, SIDE):
            here = out[max(0, top) : top + SIDE, max(0, left) : left + SIDE]
            y, x = max(0, -top), max(0, -left)
            here[:] = pieces[number % len(pieces)][y : y + here.shape[0], x : x + here.shape[1]]
            number += 1
    return out


def measured(arguments: list[str]) -> dict[str, float]:
    """Wall and processor seconds and MB of resident memory of one run of irc."""
    started = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "codec", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"irc {' '.join(arguments)} ended with {child.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes there, kilobytes elsewhere
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "megabytes": usage.ru_maxrss * unit / 1e6,
    }


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
    parser = argparse.ArgumentParser("bench.inside.scaling", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path, help="folder of photos")
    parser.add_argument("--out", type=Path, required=True, help="results, JSON; what it has is not measured again")
    parser.add_argument("--plot", type=Path, help="picture of the results, .svg or .png")
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 4, 12, 30, 100], help="sizes")
    parser.add_argument("--threads", type=int, default=1, help="processor threads")
    args = parser.parse_args(arguments)
    photos = sorted(p for p in args.photos.iterdir() if p.suffix in (".jpg", ".png"))
    if not photos:
        raise SystemExit(f"no photos in {args.photos}")
    rows: list[dict[str, Any]] = json.loads(args.out.read_text()) if args.out.exists() else []
    for size in args.megapixels:
        if any(row["megapixels"] == size for row in rows):
            continue
        height = round((size * 1e6 * 3 / 4) ** 0.5)
        with tempfile.TemporaryDirectory() as folder:
            source, coded, back = (str(Path(folder) / name) for name in ("a.png", "a.irc", "b.png"))
            picture = mosaic(photos, height, round(size * 1e6 / height))
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
        args.out.write_text(json.dumps(rows, indent=1) + "\n")
        print(json.dumps(row), flush=True)
    if args.plot:
        plot(rows, args.plot)


if __name__ == "__main__":
    main()
