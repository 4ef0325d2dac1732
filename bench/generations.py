"""Generation loss: an image encoded, decoded to 8 bit and encoded again, many times."""

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from bench.codecs import Codec
from bench.errors import BenchError
from bench.images import fingerprint, list_images, machine, read_image, write_json
from bench.metrics import Image8, psnr
from bench.rd import Outcome, describe_error

__all__ = ["Generation", "Schedule", "measure_generations", "run_generations", "schedules"]

Schedule = tuple[float, ...]
"""Settings that the generations go through in turn, over and over."""


@dataclass(frozen=True)
class Generation:
    """One generation: its file, and its pixels against the original and generation 1.

    A PSNR of None is that of identical pixels.
    """

    generation: int
    setting: float
    bytes: int
    psnr_original: float | None
    psnr_first: float | None
    same_bytes_as_first: bool
    same_bytes_as_first_at_setting: bool


def schedules(settings: Sequence[float], alternate: bool) -> list[Schedule]:
    """Return each setting alone and, where asked, all of them in turn."""
    result: list[Schedule] = [(setting,) for setting in settings]
    if alternate and len(settings) > 1:
        result.append(tuple(settings))
    return result


def run_generations(
    codec: Codec, image: Image8, schedule: Schedule, count: int
) -> list[Generation]:
    """Encode an image `count` times, each time what the last file decoded to."""
    if count < 1 or not schedule:
        raise ValueError("at least one generation at one setting is needed")
    result: list[Generation] = []
    first_files: dict[float, bytes] = {}
    first_data, first_pixels = b"", image
    pixels = image
    for number, setting in enumerate(islice(cycle(schedule), count), 1):
        data = codec.encode(pixels, setting)
        pixels = codec.decode(data)
        if pixels.dtype != np.uint8:
            raise ValueError(f"decoded to {pixels.dtype}, not to 8 bit")
        if number == 1:
            first_data, first_pixels = data, pixels
        first_of_setting = first_files.setdefault(setting, data)
        result.append(
            Generation(
                generation=number,
                setting=setting,
                bytes=len(data),
                psnr_original=_finite(psnr(image, pixels)),
                psnr_first=_finite(psnr(first_pixels, pixels)),
                same_bytes_as_first=data == first_data,
                same_bytes_as_first_at_setting=data == first_of_setting,
            )
        )
    return result


def measure_generations(
    folder: Path,
    codecs: Sequence[Codec],
    plan: Mapping[str, Sequence[Schedule]],
    count: int,
    out: Path,
    *,
    missing: Mapping[str, str] | None = None,
    command: str = "",
    report: Callable[[str], None] = print,
) -> tuple[dict[str, Any], Outcome]:
    """Run every schedule of every codec on every image of a folder; write all of it to `out`.

    `plan` has the schedules of each codec by its name. The file is written after each image.
    Returns what was written, and what did not work.
    """
    if out.exists():
        # a run starts from nothing: it would put an empty file in the place of a finished one
        raise BenchError(f"{out} is there already: write to another file")
    paths = list_images(folder)
    series: list[dict[str, Any]] = [
        {
            "codec": codec.name,
            "description": codec.description,
            "version": codec.version,
            "schedule": list(schedule),
            "means": [],
            "images": {},
        }
        for codec in codecs
        for schedule in plan[codec.name]
    ]
    outcome = Outcome()
    document: dict[str, Any] = {
        "name": "generations",
        "folder": folder.resolve().name,
        "generations": count,
        "command": command,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
        "missing": dict(missing or {}),
        "unreadable": outcome.unreadable,
        "failures": outcome.failures,
        "series": series,
    }
    by_name = {codec.name: codec for codec in codecs}

    def save() -> None:
        for entry in series:
            entry["means"] = _means([found["rows"] for found in entry["images"].values()])
        write_json(out, document)

    save()
    try:
        for number, path in enumerate(paths, 1):
            prefix = f"[{number}/{len(paths)}] {path.name}"
            try:
                image = read_image(path)
            except Exception as error:  # whatever a broken file makes its reader raise
                outcome.unreadable[path.name] = describe_error(error)
                report(f"{prefix}: unreadable, skipped ({describe_error(error)})")
                continue
            for entry in series:
                schedule = tuple(entry["schedule"])
                label = f"{entry['codec']} at {'/'.join(f'{s:g}' for s in schedule)}"
                try:
                    rows = run_generations(by_name[entry["codec"]], image, schedule, count)
                except (KeyboardInterrupt, SystemExit):
                    raise
                # a panic of a codec written in Rust is no Exception
                except BaseException as error:
                    outcome.failures.append(f"{label}, {path.name}: {describe_error(error)}")
                    report(f"{prefix}: {label} failed ({describe_error(error)})")
                    continue
                entry["images"][path.name] = {
                    "pixels": fingerprint(image),
                    "rows": [asdict(row) for row in rows],
                }
                outcome.measured += 1
                report(f"{prefix}: {label}, {count} generations")
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
        mean["psnr_first_worst"] = min(
            (row["psnr_first"] for row in rows if row["psnr_first"] is not None), default=None
        )
        mean["identical_to_first"] = sum(row["psnr_first"] is None for row in rows)
        result.append(mean)
    return result


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
