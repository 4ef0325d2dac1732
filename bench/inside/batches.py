"""What a batch costs beside coding, and how it grows with workers.

    python -m bench.inside.batches photos --out batches.json --workers 1 2

A Dask scheduler and workers of one thread each are started on this computer. First they copy small files, and shards of
them, which is the overhead of a file and of a shard; then they encode pictures put together from photos.
"""

from __future__ import annotations

import argparse
import io
import json
import tarfile
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from PIL import Image

from bench.errors import BenchError
from bench.inside.program import parser as program
from bench.inside.scaling import pieced
from bench.runs.images import write_json
from codec.batch import Encoder, Made
from codec.batch.cluster import Cluster
from codec.batch.jobs import Job, Task
from codec.batch.places import Places
from codec.batch.shards import ShardTask
from codec.batch.task import FileTask

SMALL = 1000  #: bytes of a file that is copied
MEMBERS = 100  #: files of a shard of many


class Copy:
    """Work that is none."""

    def run(self, stream: BinaryIO, progress: Any = None) -> Made:
        """The bytes as they are."""
        return Made(stream.read(), {})


class Spent(NamedTuple):
    """Seconds that passed, and those of processors: of this process, in which the scheduler is, and of the workers."""

    wall: float
    processor: float


def spent(runner: Cluster, task: Task, jobs: Iterable[Job]) -> Spent:
    """What jobs cost."""
    before = _clocks(runner)
    for _, reports in runner.run(task, jobs):
        for report in reports:
            if report.error:
                raise BenchError(f"{report.source}: {report.error}")
    return Spent(*(after - start for after, start in zip(_clocks(runner), before)))


def _clocks(runner: Cluster) -> tuple[float, float]:
    return time.perf_counter(), time.process_time() + sum(runner.client.run(time.process_time).values())


def shards(folder: Path, count: int, members: int) -> list[Job]:
    """Jobs of `count` shards of so many small files each."""
    folder.mkdir()
    for number in range(count):
        with tarfile.open(folder / f"{number}.tar", "w") as tar:
            for name in range(members):
                entry = tarfile.TarInfo(f"{name}.bin")
                entry.size = SMALL
                tar.addfile(entry, io.BytesIO(bytes(SMALL)))
    return [Job(str(folder / f"{n}.tar"), str(folder / "out" / f"{n}.tar")) for n in range(count)]


def overhead(runner: Cluster, folder: Path, count: int) -> dict[str, float]:
    """Processor milliseconds beside coding: of a file on its own, of a shard, of a file in it."""
    jobs = [Job(str(folder / f"{n}.bin"), str(folder / "copies" / f"{n}.bin")) for n in range(count)]
    for job in jobs:
        Path(job.source).write_bytes(bytes(SMALL))
    single = spent(runner, FileTask(Copy(), irc=False, store=Places()), jobs).processor / count
    task = ShardTask(Copy(), takes=frozenset({".bin"}), suffix=".out")
    one = spent(runner, task, shards(folder / "one", count, 1)).processor / count
    many = spent(runner, task, shards(folder / "many", count, MEMBERS)).processor / count
    member = (many - one) / (MEMBERS - 1)
    return {"file": 1000 * single, "shard": 1000 * (one - member), "file in a shard": 1000 * member}


def main(arguments: list[str] | None = None) -> None:
    """Run the program on its arguments (default: the command line's)."""
    parser = program("bench.inside.batches", __doc__)
    parser.add_argument("photos", type=Path, help="folder of photos")
    parser.add_argument("--out", type=Path, required=True, help="results, JSON")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="numbers of workers")
    parser.add_argument("--megapixels", type=float, default=1.0, help="of the pictures that are encoded")
    parser.add_argument("--pictures", type=int, default=20, help="how many are encoded")
    parser.add_argument("--files", type=int, default=300, help="how many files and shards are copied")
    args = parser.parse_args(arguments)
    rows = [measured(args, workers) for workers in args.workers]
    write_json(args.out, rows)


def measured(args: argparse.Namespace, workers: int) -> dict[str, Any]:
    """Overhead and throughput with so many workers."""
    from distributed import LocalCluster

    height = round((args.megapixels * 1e6 * 3 / 4) ** 0.5)
    pixels = pieced(args.photos, height, round(args.megapixels * 1e6 / height))
    with (
        tempfile.TemporaryDirectory() as name,
        LocalCluster(workers, threads_per_worker=1, dashboard_address=None, local_directory=name) as local,
        Cluster(local.scheduler_address) as runner,
    ):
        folder = Path(name)
        Image.fromarray(pixels).save(folder / "picture.png", compress_level=1)
        runner.client.run(_warm, str(folder / "picture.png"))
        jobs = [Job(str(folder / "picture.png"), str(folder / "coded" / f"{n}.irc")) for n in range(args.pictures)]
        coding = spent(runner, FileTask(Encoder(threads=1), irc=False, store=Places()), jobs)
        megapixels = pixels.shape[0] * pixels.shape[1] / 1e6 * args.pictures
        row = {
            "workers": workers,
            "megapixels a second": megapixels / coding.wall,
            "core-seconds a megapixel": coding.processor / megapixels,
            "core-milliseconds": overhead(runner, folder, args.files),
        }
    print(json.dumps(row), flush=True)
    return row


def _warm(picture: str) -> None:
    """Load the weights in a worker."""
    Encoder(threads=1)(Path(picture).read_bytes())


if __name__ == "__main__":
    main()
