"""The batch commands beside one process that codes the same pictures in a Python loop.

    python -m bench.inside.batch_speed photos --out batch.json --processors 0,1

Two folders are made of the photos: 20 pictures of 512 x 384 pixels and 50 of two megapixels, as JPEG. For each, three
programs take turns, each in a process of its own, after one turn that does not count: the loop on as many threads as
there are processors, the loop on one thread, and `irc encode` with --out-dir. The times include the start. What is
asked for: the small ones take at most 1.3 times the time of the loop, the large ones at least 1.7 times less than that
of the loop on one thread. With --processors the programs run on these alone.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image

from bench.inside.program import parser as program
from bench.inside.program import timed
from bench.inside.scaling import pieced
from bench.runs.child import Ended
from bench.runs.images import write_json

LOOP = """
import sys, pathlib, torch
torch.set_num_threads(int(sys.argv[3]))
import codec
from PIL import Image
out = pathlib.Path(sys.argv[2])
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    (out / path.name).with_suffix(".irc").write_bytes(codec.encode(Image.open(path).convert("RGB"), device="cpu"))
"""
#: name, pictures, height and width of each, and what is asked for of the ratio of the loop's time to the command's
FOLDERS = (("small", 20, 384, 512, 1 / 1.3), ("large", 50, 1224, 1632, 1.7))


def make(photos: Path, folder: Path, count: int, height: int, width: int) -> None:
    """Put that many pictures into a folder, cut from one mosaic of the photos."""
    whole = pieced(photos, 2 * height, 2 * width)
    for n in range(count):
        top, left = n * height // count, n * width // count
        part = Image.fromarray(whole[top : top + height, left : left + width])
        part.save(folder / f"{n:03}.jpg", quality=92)


def compared(source: Path, jobs: int | None, threads: int, repeats: int) -> dict[str, list[Ended]]:
    """The runs of each program over a folder."""
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "PYTHONDONTWRITEBYTECODE")}
    runs: dict[str, list[Ended]] = {}
    for turn in range(repeats + 1):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            for name in ("loop", "loop-1", "batch"):
                (out / name).mkdir()
            command = ["-m", "codec", "encode", str(source), "--out-dir", str(out / "batch"), "--device", "cpu"]
            programs = {
                "loop": ["-c", LOOP, str(source), str(out / "loop"), str(threads)],
                "loop of one thread": ["-c", LOOP, str(source), str(out / "loop-1"), "1"],
                "irc encode": [*command, *(["--jobs", str(jobs)] if jobs else [])],
            }
            for name, arguments in programs.items():
                ended = timed(arguments, environment)
                if turn:
                    runs.setdefault(name, []).append(ended)
    return runs


def main(arguments: list[str] | None = None) -> None:
    """Run the program on its arguments (default: the command line's)."""
    parser = program("bench.inside.batch_speed", __doc__)
    parser.add_argument("photos", type=Path, help="folder of photos")
    parser.add_argument("--out", type=Path, required=True, help="results, JSON")
    parser.add_argument("--jobs", type=int, help="of irc encode (default its own choice)")
    parser.add_argument("--processors", help="run on these alone, as 0,1 (default all there are)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (default 3)")
    parser.add_argument("--divide", type=int, default=1, help="only one of N pictures of each folder, to try it out")
    args = parser.parse_args(arguments)
    if args.processors:
        os.sched_setaffinity(0, {int(number) for number in args.processors.split(",")})
    threads = len(os.sched_getaffinity(0))
    rows: list[dict[str, Any]] = []
    for name, count, height, width, asked in FOLDERS:
        with tempfile.TemporaryDirectory() as folder:
            make(args.photos, Path(folder), count // args.divide, height, width)
            runs = compared(Path(folder), args.jobs, threads, args.repeats)
        seconds = {what: [round(run.wall, 3) for run in of] for what, of in runs.items()}
        processor = {what: [round(run.processor, 3) for run in of] for what, of in runs.items()}
        base = "loop" if asked < 1 else "loop of one thread"
        ratio = median(seconds[base]) / median(seconds["irc encode"])
        row = {"folder": name, "pictures": count // args.divide, "height": height, "width": width, "threads": threads,
               "seconds": seconds, "processor_seconds": processor, "base": base, "speed": round(ratio, 3),
               "asked": round(asked, 3)}  # fmt: skip
        rows.append(row)
        print(f"{name}: {row['pictures']} pictures of {width} x {height}, {threads} processors")
        for what in runs:
            wall, busy = median(seconds[what]), median(processor[what])
            print(f"    {what:<20} {wall:8.2f} s, {busy:8.2f} s of processor time")
        print(
            f"    {ratio:.2f} times the speed of the {base}, {'as' if ratio >= asked else 'NOT as'} asked ({asked:.2f})"
        )
        write_json(args.out, rows)


if __name__ == "__main__":
    main()
