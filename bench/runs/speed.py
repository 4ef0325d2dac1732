"""Times and memory of codecs side by side: interleaved, encode and decode apart, over sizes and threads."""

import contextlib
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image
from tqdm import tqdm

from bench.runs.folder import Outcome, Run, readable
from bench.runs.images import list_images, mosaic, write_json
from bench.runs.pool import Failure
from bench.runs.workers import Finished, Worker, run_process
from codec.metrics.distortion import Image8

__all__ = ["KINDS", "SpeedPlan", "measure_speed", "sides"]

Row = dict[str, Any]

KINDS = ("encode", "decode", "process_encode", "process_decode")
_TINY = 64
_PATIENCE = 5  # by the processor's clock a call may wait for other work


@dataclass(frozen=True)
class SpeedPlan:
    """What is timed and when it is given up.

    A codec whose setting is not given takes the one of its own that comes nearest to `bpp`. What takes longer than
    `limit` seconds, or more than `memory` bytes, is recorded as such, and larger sizes are not tried; nor is a size
    tried at which a call would take longer than that by its time at the size before. A codec that has spent `budget`
    seconds on a size is not asked again; if its first run did, that run counts. `clock` is one of `workers.CLOCKS`.
    `processes` says whether whole processes are timed, too.
    """

    settings: Mapping[str, float]
    megapixels: Sequence[float]
    threads: Sequence[int]
    repeats: int
    bpp: float
    limit: float
    memory: int
    budget: float = math.inf
    clock: str = "wall"
    processes: bool = True

    @property
    def patience(self) -> float:
        """Seconds of the wall's clock that a call is waited for."""
        return self.limit if self.clock == "wall" else _PATIENCE * self.limit


def sides(megapixels: float) -> tuple[int, int]:
    """Return height and width of a picture of so many megapixels, 3:2."""
    height = max(8, round(math.sqrt(megapixels * 1e6 / 1.5)))
    return height, max(8, round(megapixels * 1e6 / height))


def measure_speed(run: Run, plan: SpeedPlan) -> tuple[dict[str, Any], Outcome]:
    """Time codecs on mosaics of a folder's photos; write all of it to the run's file after each size.

    Every codec has a process; they take turns, so that a slow minute of the machine is everybody's.
    """
    outcome = Outcome()
    names = [codec.name for codec in run.codecs]
    photos = [image for _, image in readable(list_images(run.folder), outcome, run.report)]
    if not photos:
        raise ValueError("none of the images can be read")
    document: dict[str, Any] = {
        "name": "speed",
        "folder": run.folder.resolve().name,
        **run.record(),
        "clock": plan.clock,
        "limit_seconds": plan.limit,
        "limit_bytes": plan.memory,
        "missing": dict(run.missing),
        "unreadable": outcome.unreadable,
        "rows": [],
    }
    write_json(run.out, document)
    sizes = sorted(plan.megapixels)
    with tqdm(total=len(plan.threads) * len(sizes) * len(names), unit="cell", dynamic_ncols=True) as bar:
        for count in plan.threads:
            with _workers(names, count, plan) as workers:
                chosen = _open(workers, mosaic(photos, *sides(sizes[0])), plan)
                stopped: dict[str, str] = {
                    name: setting.error for name, setting in chosen.items() if isinstance(setting, Failure)
                }
                for size in sizes:
                    image = mosaic(photos, *sides(size))
                    rows = _measure_size(image, workers, chosen, stopped, plan)
                    for row in rows:
                        row |= {"threads": count, "megapixels": size}
                    if plan.processes:
                        _measure_processes(image, rows, plan)
                    stopped |= _too_slow_next(rows, sizes, size, plan.limit)
                    for row in rows:
                        if "note" in row:
                            run.report(f"{row['codec']}, {size:g} MP, threads {count}: {row['note']}")
                    bar.update(len(rows))
                    document["rows"] += rows
                    outcome.measured += sum("note" not in row for row in rows)
                    write_json(run.out, document)
    return document, outcome


@contextlib.contextmanager
def _workers(codecs: Sequence[str], threads: int, plan: SpeedPlan) -> Iterator[dict[str, Worker]]:
    workers: dict[str, Worker] = {}
    try:
        for name in codecs:
            workers[name] = Worker(name, threads, plan.memory, plan.clock)
        yield workers
    finally:
        for worker in workers.values():
            worker.close()


def _open(workers: Mapping[str, Worker], image: Image8, plan: SpeedPlan) -> dict[str, Any]:
    """Return the setting of each codec, with its version; a `Failure` for one that cannot start."""
    chosen: dict[str, Any] = {}
    for name, worker in workers.items():
        opened = worker.ask("open")
        if isinstance(opened, Failure):
            chosen[name] = opened
            continue
        version, settings = opened
        worker.ask("image", image)
        candidates = [plan.settings[name]] if name in plan.settings else settings
        distances: dict[float, float] = {}
        failed: Failure | None = None
        for setting in candidates if len(candidates) > 1 else ():
            reply = worker.ask("encode", setting, plan.patience)
            if isinstance(reply, Failure):
                failed = reply
                break
            distances[setting] = abs(math.log(8e-6 * reply[1] / (image.size / 3e6) / plan.bpp))
        setting = min(distances, key=distances.__getitem__) if distances else candidates[0]
        chosen[name] = failed or (setting, version)
    return chosen


def _measure_size(
    image: Image8, workers: Mapping[str, Worker], chosen: Mapping[str, Any], stopped: dict[str, str], plan: SpeedPlan
) -> list[Row]:
    """Return a row for each codec; in process, in turn, after one run that is not counted."""
    height, width = image.shape[:2]
    rows: dict[str, Row] = {}
    for name, worker in workers.items():
        rows[name] = {"codec": name, "width": width, "height": height}
        if name in stopped:
            rows[name]["note"] = f"not tried: {stopped[name]}"
            continue
        rows[name] |= {"setting": chosen[name][0], "version": chosen[name][1], "encode": [], "decode": []}
        worker.ask("image", image)
    spent = dict.fromkeys(rows, 0.0)
    for turn in range(plan.repeats + 1):
        for name, row in rows.items():
            if "note" in row or spent[name] > plan.budget:
                continue
            encoded = workers[name].ask("encode", row["setting"], plan.patience)
            decoded = encoded if isinstance(encoded, Failure) else workers[name].ask("decode", None, plan.patience)
            if isinstance(decoded, Failure):
                row["note"] = decoded.error
                stopped[name] = f"{decoded.error} at {width * height / 1e6:.3g} MP"
                continue
            seconds, row["bytes"] = encoded
            row["bpp"] = 8 * row["bytes"] / (width * height)
            spent[name] += seconds + decoded
            # the first turn warms up, unless there won't be another
            if turn or spent[name] > plan.budget:
                row["encode"].append(seconds)
                row["decode"].append(decoded)
    return list(rows.values())


def _too_slow_next(rows: Sequence[Row], sizes: Sequence[float], size: float, limit: float) -> dict[str, str]:
    """Return, by codec, why the size after this one is not tried: times grow at least as pixels do."""
    following = sizes[sizes.index(size) + 1 :]
    growth = following[0] / size if following else 0.0
    slowest = {row["codec"]: max(median(row["encode"]), median(row["decode"])) for row in rows if "note" not in row}
    return {
        name: f"would take {growth * seconds:.0f} s at {following[0]:g} MP by its time at {size:g} MP"
        for name, seconds in slowest.items()
        if growth * seconds > limit
    }


def _measure_processes(image: Image8, rows: Sequence[Row], plan: SpeedPlan) -> None:
    """Add times of whole processes, in turn, and their peak memory above that of a tiny picture."""
    with tempfile.TemporaryDirectory() as folder:
        for stem, pixels in (("image", image), ("tiny", image[:_TINY, :_TINY])):
            Image.fromarray(pixels).save(Path(folder, f"{stem}.ppm"))
        spent = dict.fromkeys((row["codec"] for row in rows), 0.0)
        for turn in range(plan.repeats + 1):
            for row in rows:
                # the first turn is the tiny picture; it also warms up
                if "note" in row or (turn > 1 and spent[row["codec"]] > plan.budget):
                    continue
                for kind in ("encode", "decode"):
                    finished = _run_once(row, kind, Path(folder), "image" if turn else "tiny", plan)
                    if isinstance(finished, Failure):
                        row["note"] = f"as a process: {finished.error}"
                        break
                    if turn:
                        spent[row["codec"]] += finished.seconds
                        row.setdefault(f"process_{kind}", []).append(finished.seconds)
                        row[f"peak_{kind}"] = max(finished.peak, row.get(f"peak_{kind}", 0))
                    else:
                        row[f"peak_{kind}_tiny"] = finished.peak
    for row in rows:
        for kind in ("encode", "decode"):
            if f"peak_{kind}" in row:
                above = row[f"peak_{kind}"] - row[f"peak_{kind}_tiny"]
                row[f"bytes_per_pixel_{kind}"] = above / (row["width"] * row["height"])


def _run_once(row: Row, kind: str, folder: Path, stem: str, plan: SpeedPlan) -> Finished | Failure:
    picture, coded, decoded = folder / f"{stem}.ppm", folder / f"{row['codec']}.{stem}", folder / "decoded.ppm"
    arguments = ["encode", f"{row['setting']:g}", str(picture), str(coded)]
    if kind == "decode":
        arguments = ["decode", "-", str(coded), str(decoded)]
    common = ["--threads", str(row["threads"]), "--memory", str(plan.memory)]
    return run_process([row["codec"], *arguments, *common], plan.patience, plan.clock)
