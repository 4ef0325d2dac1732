"""Generation loss: an image encoded, decoded to 8 bit and encoded again, many times."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import BenchError
from bench.metrics.curves import load_json
from bench.peers.codecs import Codec
from bench.runs.folder import Outcome, Run, readable, results
from bench.runs.images import fingerprint, list_images, middle, write_json
from bench.runs.pool import Failure, Task
from codec.metrics.distortion import Image8, psnr

__all__ = ["Generation", "Schedule", "load_generations", "measure_generations", "run_generations", "schedules"]

Schedule = tuple[float, ...]
"""Settings that the generations go through in turn, over and over."""


@dataclass(frozen=True)
class Generation:
    """One generation: its file, and its pixels against the original and generation 1.

    A PSNR of None is that of identical pixels. `same_latent_as_first_at_setting` is None for a codec
    that does not say what its latent is.
    """

    generation: int
    setting: float
    bytes: int
    psnr_original: float | None
    psnr_first: float | None
    same_bytes_as_first: bool
    same_bytes_as_first_at_setting: bool
    same_latent_as_first_at_setting: bool | None


def schedules(settings: Sequence[float], alternate: bool) -> list[Schedule]:
    """Return each setting alone and, where asked, all of them in turn."""
    result: list[Schedule] = [(setting,) for setting in settings]
    if alternate and len(settings) > 1:
        result.append(tuple(settings))
    return result


def run_generations(codec: Codec, image: Image8, schedule: Schedule, count: int) -> list[Generation]:
    """Encode an image `count` times, each time what the last file decoded to.

    Codecs are deterministic: what the same pixels were coded to before, at the same setting, is taken from there,
    so that a series that has settled costs nothing.
    """
    if count < 1 or not schedule:
        raise ValueError("at least one generation at one setting is needed")
    result: list[Generation] = []
    first_files: dict[float, bytes] = {}
    first_data, first_pixels = b"", image
    pixels = image
    done: dict[tuple[float, str], tuple[bytes, Image8]] = {}
    for number, setting in enumerate(islice(cycle(schedule), count), 1):
        key = setting, fingerprint(pixels)
        if key not in done:
            data = codec.encode(pixels, setting)
            done[key] = data, codec.decode(data)
        data, pixels = done[key]
        if pixels.dtype != np.uint8:
            raise ValueError(f"decoded to {pixels.dtype}, not to 8 bit")
        if number == 1:
            first_data, first_pixels = data, pixels
        first_of_setting = first_files.setdefault(setting, data)
        latent = codec.latent(data)
        result.append(
            Generation(
                generation=number,
                setting=setting,
                bytes=len(data),
                psnr_original=_finite(psnr(image, pixels)),
                psnr_first=_finite(psnr(first_pixels, pixels)),
                same_bytes_as_first=data == first_data,
                same_bytes_as_first_at_setting=data == first_of_setting,
                same_latent_as_first_at_setting=None if latent is None else latent == codec.latent(first_of_setting),
            )
        )
    return result


def load_generations(path: Path) -> dict[str, Any]:
    """Return a result file of generations; `BenchError` for anything else."""
    document = load_json(path)
    if not isinstance(document, dict) or document.get("name") != "generations":
        raise BenchError(f"{path} is no result of generations")
    found: dict[str, Any] = document
    return found


def measure_generations(
    run: Run, plan: Mapping[str, Sequence[Schedule]], count: int, crop: tuple[int, int] | None = None
) -> tuple[dict[str, Any], Outcome]:
    """Run every schedule of every codec on every image of a folder; write all of it to the run's file.

    `plan` has the schedules of each codec by its name. The file is written after each image of a
    schedule, and what it has already is kept if codec, schedule, number and pixels are the same. Of images larger
    than `crop` (width, height) only the middle is taken.
    Returns what was written, and what did not work.
    """
    folder, out, codecs, report = run.folder, run.out, run.codecs, run.report
    paths = list_images(folder)
    before: dict[str, Any] = load_generations(out) if out.exists() else {"series": [], "generations": count}
    if before["generations"] != count:
        raise BenchError(f"{out} has {before['generations']} generations, not {count}: write to another file")
    series: list[dict[str, Any]] = []
    for codec in codecs:
        for schedule in plan[codec.name]:
            entry = {
                "codec": codec.name,
                "description": codec.description,
                "version": codec.version,
                "schedule": list(schedule),
            }
            kept = [old for old in before["series"] if entry.items() <= old.items()]
            series.append(kept[0] if kept else {**entry, "means": [], "images": {}})
    others = [old for old in before["series"] if not any(old is entry for entry in series)]
    outcome = Outcome()
    document: dict[str, Any] = {
        "name": "generations",
        "folder": folder.resolve().name,
        "generations": count,
        "crop": list(crop) if crop else None,
        **run.record(),
        "missing": dict(run.missing),
        "unreadable": outcome.unreadable,
        "failures": outcome.failures,
        "series": others + series,
    }

    def save() -> None:
        for entry in series:
            entry["images"] = dict(sorted(entry["images"].items()))
            entry["means"] = _means([found["rows"] for found in entry["images"].values()])
        write_json(out, document)

    def tasks() -> Iterator[Task]:
        for name, whole in readable(paths, outcome, report):
            image = middle(whole, *crop) if crop else whole
            pixels = fingerprint(image)
            for index, entry in enumerate(series):
                if entry["images"].get(name, {}).get("pixels") == pixels:
                    outcome.kept += 1
                    continue
                schedule = tuple(entry["schedule"])
                label = f"{entry['codec']} at {'/'.join(f'{s:g}' for s in schedule)}, {name}"
                yield Task(label, (index, name, pixels), entry["codec"], run_generations, (image, schedule, count))

    save()
    try:
        for task, rows in results(tasks(), len(paths) * len(series), codecs, run.jobs, outcome, report):
            index, name, pixels = task.key
            if isinstance(rows, Failure):
                continue
            series[index]["images"][name] = {"pixels": pixels, "rows": [asdict(row) for row in rows]}
            save()
    finally:
        save()
    return document, outcome


def _means(images: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return the mean over images of each generation; a mean PSNR is None if one is infinite."""
    result: list[dict[str, Any]] = []
    for rows in zip(*images, strict=True):
        mean: dict[str, Any] = {key: rows[0][key] for key in ("generation", "setting")}
        for key in ("bytes", "psnr_original", "psnr_first"):
            values = [row[key] for row in rows]
            known = None not in values
            mean[key] = math.fsum(values) / len(values) if known else None
        for key in ("same_bytes_as_first", "same_bytes_as_first_at_setting"):
            mean[key] = sum(row[key] for row in rows)
        latents = [row["same_latent_as_first_at_setting"] for row in rows]
        mean["same_latent_as_first_at_setting"] = None if None in latents else sum(latents)
        mean["psnr_first_worst"] = min(
            (row["psnr_first"] for row in rows if row["psnr_first"] is not None), default=None
        )
        mean["identical_to_first"] = sum(row["psnr_first"] is None for row in rows)
        result.append(mean)
    return result


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
