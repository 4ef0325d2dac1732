"""What previews, regions and tiles cost and give, on a picture of 12 megapixels.

    python -m bench.inside.partial_decode photos --out parts.json

A picture of 4096x3072 is put together from photos (as in bench.inside.scaling) and encoded in tiles of 0, 1024 and 512;
it is decoded whole, in small and in part. Times are processor seconds of one call in process, how much of
the work is left out, not how long one waits. Decoded in small, it is compared with a Lanczos reduction of the original.
`--threads N` adds processor and wall seconds of the whole with N threads.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image

from bench.inside.program import parser as program
from bench.inside.scaling import pieced
from codec import api
from codec.metrics.distortion import psnr
from codec.network.session import open_session
from codec.pictures.formats import Pixels

HEIGHT, WIDTH, QUALITY = 3072, 4096, 75
REGION = 2000, 1000, 700, 500
T = TypeVar("T")


def timed(call: Callable[[], T]) -> tuple[T, dict[str, float]]:
    """What a call gives, and the seconds it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, {"cpu_seconds": time.process_time() - cpu, "seconds": time.perf_counter() - wall}


def decoded(data: bytes, **options: Any) -> tuple[np.ndarray, dict[str, float]]:
    """An array of 8 bits, and the seconds it took."""
    pixels: tuple[Pixels, dict[str, float]] = timed(lambda: api.decode(data, array=True, device="cpu", **options))
    return pixels[0].astype(np.uint8), pixels[1]


def main(arguments: list[str] | None = None) -> None:
    """Run the program on its arguments (default: the command line's)."""
    parser = program("bench.inside.partial_decode", __doc__)
    parser.add_argument("photos", type=Path, help="folder of photos")
    parser.add_argument("--out", type=Path, required=True, help="results, JSON lines")
    parser.add_argument("--threads", type=int, default=1, help="repeat the whole with so many threads")
    args = parser.parse_args(arguments)
    picture = pieced(args.photos, HEIGHT, WIDTH)
    torch.set_num_threads(1)
    open_session()

    def say(**row: Any) -> None:
        print(json.dumps(row), flush=True)
        with args.out.open("a") as file:
            file.write(json.dumps(row) + "\n")

    files = {}
    for tile in (1024, 512, 0):
        files[tile], took = timed(lambda tile=tile: api.encode(picture, QUALITY, tile=tile, device="cpu"))  # type: ignore[misc]
        say(what="encode", tile=tile, bytes=len(files[tile]), **took)
    data = files[1024]
    whole, took = decoded(data)
    say(what="decode", psnr=psnr(whole, picture), **took)
    for scale in (2, 4, 8, 16):
        small, took = decoded(data, scale=scale)
        size = WIDTH // scale, HEIGHT // scale
        lanczos = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
        say(what=f"decode --scale 1/{scale}", psnr_lanczos=psnr(small, lanczos), **took)
    x, y, w, h = REGION
    for tile in (1024, 512):
        part, took = decoded(files[tile], region=REGION)
        same = tile != 1024 or bool(np.array_equal(part, whole[y : y + h, x : x + w]))
        say(what=f"decode --region {w}x{h}", tile=tile, is_the_crop=same, **took)
    if args.threads > 1:
        torch.set_num_threads(args.threads)
        for what, call in (
            ("encode", lambda: api.encode(picture, QUALITY, tile=1024, device="cpu") == data),
            ("decode", lambda: bool(np.array_equal(api.decode(data, array=True, device="cpu"), whole))),
        ):
            same, took = timed(call)
            say(what=what, threads=args.threads, the_same=same, **took)


if __name__ == "__main__":
    main()
