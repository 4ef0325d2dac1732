"""Times and memory of codecs side by side: interleaved, encode and decode apart, over sizes and threads."""

import contextlib
import datetime
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from bench.metrics.distortion import Image8
from bench.runs.folder import Outcome, Report, readable
from bench.runs.images import list_images, machine, write_json
from bench.runs.pool import Failure
from bench.runs.workers import Finished, Worker, run_process

__all__ = ["measure_speed", "mosaic"]

Row = dict[str, Any]

KINDS = ("encode", "decode", "process_encode", "process_decode")
_TINY = 64
_PATIENCE = 5  # by the processor's clock a call may wait for other work


def mosaic(photos: Sequence[Image8], megapixels: float) -> Image8:
    """Return a picture of so many megapixels, 3:2, of whole photos side by side, cropped at its edges.

    A photo larger than the picture is cropped to its centre, so that detail stays at its scale.
    """
    height = max(8, round(math.sqrt(megapixels * 1e6 / 1.5)))
    width = max(8, round(megapixels * 1e6 / height))
    result = np.empty((height, width, 3), np.uint8)
    number, top = 0, 0
    while top < height:
        left, row = 0, height
        while left < width:
            photo = photos[number % len(photos)]
            number += 1
            down, right = (max(0, (photo.shape[i] - (height, width)[i]) // 2) for i in (0, 1))
            part = photo[down : down + height - top, right : right + width - left]
            # a row of photos is as high as its lowest
            row = min(row, len(part))
            result[top : top + len(part), left : left + part.shape[1]] = part
            left += part.shape[1]
        top += row
    return result


def measure_speed(
    folder: Path,
    codecs: Sequence[str],
    out: Path,
    *,
    settings: Mapping[str, float],
    megapixels: Sequence[float],
    threads: Sequence[int],
    repeats: int,
    bpp: float,
    limit: float,
    memory: int,
    budget: float = math.inf,
    clock: str = "wall",
    processes: bool = True,
    missing: Mapping[str, str] | None = None,
    command: str = "",
    report: Report = print,
) -> tuple[dict[str, Any], Outcome]:
    """Time codecs on mosaics of a folder's photos; write all of it to `out` after each size.

    Every codec has a process; they take turns, so that a slow minute of the machine is everybody's. A codec
    whose setting is not given takes the one of its own that comes nearest to `bpp`. What takes longer than
    `limit` seconds, or more than `memory` bytes, is recorded as such, and larger sizes are not tried; nor is a
    size tried at which a call would take longer than that by its time at the size before. A codec that has spent
    `budget` seconds on a size is not asked again; if its first run did, that run counts. `clock` is one of
    `workers.CLOCKS`.
    """
    outcome = Outcome()
    photos = [image for _, image in readable(list_images(folder), outcome, report)]
    if not photos:
        raise ValueError("none of the images can be read")
    document: dict[str, Any] = {
        "name": "speed",
        "folder": folder.resolve().name,
        "command": command,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
        "clock": clock,
        "limit_seconds": limit,
        "limit_bytes": memory,
        "missing": dict(missing or {}),
        "unreadable": outcome.unreadable,
        "rows": [],
    }
    write_json(out, document)
    sizes = sorted(megapixels)
    patience = limit if clock == "wall" else _PATIENCE * limit
    total = len(threads) * len(sizes) * len(codecs)
    with tqdm(total=total, unit="cell", dynamic_ncols=True) as bar:
        for count in threads:
            with _workers(codecs, count, memory, clock) as workers:
                chosen = _open(workers, settings, mosaic(photos, sizes[0]), bpp, patience)
                stopped: dict[str, str] = {
                    name: setting.error for name, setting in chosen.items() if isinstance(setting, Failure)
                }
                for size in sizes:
                    image = mosaic(photos, size)
                    rows = _measure_size(image, workers, chosen, stopped, repeats, patience, budget)
                    for row in rows:
                        row |= {"threads": count, "megapixels": size}
                    if processes:
                        _measure_processes(image, rows, repeats, patience, memory, budget, clock)
                    stopped |= _too_slow_next(rows, sizes, size, limit)
                    for row in rows:
                        if "note" in row:
                            report(f"{row['codec']}, {size:g} MP, threads {count}: {row['note']}")
                    bar.update(len(rows))
                    document["rows"] += rows
                    outcome.measured += sum("note" not in row for row in rows)
                    write_json(out, document)
    return document, outcome


@contextlib.contextmanager
def _workers(codecs: Sequence[str], threads: int, memory: int, clock: str) -> Iterator[dict[str, Worker]]:
    workers: dict[str, Worker] = {}
    try:
        for name in codecs:
            workers[name] = Worker(name, threads, memory, clock)
        yield workers
    finally:
        for worker in workers.values():
            worker.close()


def _open(
    workers: Mapping[str, Worker], given: Mapping[str, float], image: Image8, bpp: float, limit: float
) -> dict[str, Any]:
    """Return the setting of each codec, with its version; a `Failure` for one that cannot start."""
    chosen: dict[str, Any] = {}
    for name, worker in workers.items():
        opened = worker.ask("open")
        if isinstance(opened, Failure):
            chosen[name] = opened
            continue
        version, settings = opened
        worker.ask("image", image)
        candidates = [given[name]] if name in given else settings
        distances: dict[float, float] = {}
        failed: Failure | None = None
        for setting in candidates if len(candidates) > 1 else ():
            reply = worker.ask("encode", setting, limit)
            if isinstance(reply, Failure):
                failed = reply
                break
            distances[setting] = abs(math.log(8e-6 * reply[1] / (image.size / 3e6) / bpp))
        setting = min(distances, key=distances.__getitem__) if distances else candidates[0]
        chosen[name] = failed or (setting, version)
    return chosen


def _measure_size(
    image: Image8,
    workers: Mapping[str, Worker],
    chosen: Mapping[str, Any],
    stopped: dict[str, str],
    repeats: int,
    limit: float,
    budget: float,
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
    for turn in range(repeats + 1):
        for name, row in rows.items():
            if "note" in row or spent[name] > budget:
                continue
            encoded = workers[name].ask("encode", row["setting"], limit)
            decoded = encoded if isinstance(encoded, Failure) else workers[name].ask("decode", None, limit)
            if isinstance(decoded, Failure):
                row["note"] = decoded.error
                stopped[name] = f"{decoded.error} at {width * height / 1e6:.3g} MP"
                continue
            seconds, row["bytes"] = encoded
            row["bpp"] = 8 * row["bytes"] / (width * height)
            spent[name] += seconds + decoded
            # the first turn warms up, unless there won't be another
            if turn or spent[name] > budget:
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


def _measure_processes(
    image: Image8, rows: Sequence[Row], repeats: int, limit: float, memory: int, budget: float, clock: str
) -> None:
    """Add times of whole processes, in turn, and their peak memory above that of a tiny picture."""
    with tempfile.TemporaryDirectory() as folder:
        for stem, pixels in (("image", image), ("tiny", image[:_TINY, :_TINY])):
            Image.fromarray(pixels).save(Path(folder, f"{stem}.ppm"))
        spent = dict.fromkeys((row["codec"] for row in rows), 0.0)
        for turn in range(repeats + 1):
            for row in rows:
                # the first turn is the tiny picture; it also warms up
                if "note" in row or (turn > 1 and spent[row["codec"]] > budget):
                    continue
                for kind in ("encode", "decode"):
                    finished = _run_once(row, kind, Path(folder), "image" if turn else "tiny", limit, memory, clock)
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


def _run_once(
    row: Row, kind: str, folder: Path, stem: str, limit: float, memory: int, clock: str
) -> Finished | Failure:
    picture, coded, decoded = folder / f"{stem}.ppm", folder / f"{row['codec']}.{stem}", folder / "decoded.ppm"
    arguments = ["encode", f"{row['setting']:g}", str(picture), str(coded)]
    if kind == "decode":
        arguments = ["decode", "-", str(coded), str(decoded)]
    common = ["--threads", str(row["threads"]), "--memory", str(memory)]
    return run_process([row["codec"], *arguments, *common], limit, clock)
