"""Rate and distortion of codecs over a folder of images, into a file that can be resumed."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.metrics.curves import load_document
from bench.peers.codecs import Codec
from bench.runs.folder import Outcome, Run, readable, results
from bench.runs.images import fingerprint, list_images, write_json
from bench.runs.pool import Failure, Task
from codec.metrics import distortion
from codec.metrics.distortion import Image8

__all__ = ["SAVE_SECONDS", "averages", "measure"]

SAVE_SECONDS = 1.0
"""How often, at most, a growing result file is written."""

Row = dict[str, Any]
StoredCurve = dict[str, Any]

_REQUIRED = ("bpp", "psnr-rgb", "psnr-y", "encoding_time", "decoding_time")
_OPTIONAL = ("ms-ssim-rgb", "ssimulacra2")


def measure(
    run: Run, settings: Mapping[str, Sequence[float]], *, with_ms_ssim: bool = True, with_ssimulacra2: bool = True
) -> Outcome:
    """Measure the run's codecs on every image of its folder, and write their curves to its file.

    Rows that the file has already are kept, and it is written anew while it grows, so that what
    an interrupted run measured is never lost. `settings` gives the settings of a codec by its
    name (else the codec's own).
    An image that cannot be read, or a codec that fails on one, is reported and passed over.
    """
    folder, out, codecs, report = run.folder, run.out, run.codecs, run.report
    paths = list_images(folder)
    names = {path.name for path in paths}
    stored = {curve["name"]: curve for curve in load_document(out)} if out.exists() else {}
    this_run = run.record()
    chosen = {codec.name: list(dict.fromkeys(settings.get(codec.name, codec.settings))) for codec in codecs}
    for codec in codecs:
        stored[codec.name] = _open_curve(stored.get(codec.name), codec, folder, names, chosen[codec.name], out)

    ms_ssim_note = distortion.ms_ssim_missing() if with_ms_ssim else "it was not asked for"
    if ms_ssim_note:
        report(f"MS-SSIM is not measured: {ms_ssim_note}")

    def save() -> None:
        for codec in codecs:
            curve = stored[codec.name]
            curve["rows"].sort(key=lambda row: (row["image"], row["setting"]))  # they come as they are done
            curve["results"], curve["images"], curve["left_out"] = averages(curve["rows"])
            curve["unreadable"] = outcome.unreadable
        curves = list(stored.values())
        document: dict[str, Any] = curves[0] if len(curves) == 1 else {"curves": curves}
        write_json(out, {**document, "missing": dict(run.missing)})

    def tasks() -> Iterator[Task]:
        for name, image in readable(paths, outcome, report):
            pixels = fingerprint(image)
            for codec in codecs:
                kept = _keep_rows(stored[codec.name], name, pixels)
                for setting in chosen[codec.name]:
                    if setting in kept:
                        outcome.kept += 1
                        continue
                    arguments = (image, setting, ms_ssim_note is None, with_ssimulacra2)
                    label = f"{codec.name} at {setting:g}, {name}"
                    yield Task(label, (name, pixels, setting), codec.name, _measure_one, arguments)

    outcome = Outcome()
    save()  # a file that cannot be written is found out before anything is measured
    total = len(paths) * sum(map(len, chosen.values()))
    total -= sum(row["setting"] in chosen[codec.name] for codec in codecs for row in stored[codec.name]["rows"])
    saved = time.monotonic()
    try:
        for task, row in results(tasks(), total, codecs, run.jobs, outcome, report):
            curve = stored[task.codec]
            name, pixels, setting = task.key
            if isinstance(row, Failure):
                curve["failures"].append({"image": name, "setting": setting, "error": row.error})
                continue
            if this_run not in curve["runs"]:
                curve["runs"].append(this_run)
            place = {"image": name, "pixels": pixels}
            curve["rows"].append(place | row | {"run": curve["runs"].index(this_run)})
            if time.monotonic() - saved >= SAVE_SECONDS:
                save()
                saved = time.monotonic()
    finally:
        save()
    left_out: dict[str, list[str]] = {}
    for codec in codecs:
        for what, why in stored[codec.name]["left_out"].items():
            left_out.setdefault(f"{what} ({why})", []).append(codec.name)
    for what, names_of_curves in left_out.items():
        report(f"left out of {', '.join(names_of_curves)}: {what}")
    return outcome


def averages(rows: Sequence[Row]) -> tuple[dict[str, list[float]], list[str], dict[str, str]]:
    """Return a curve of per-image rows: its points, the images behind it, what was left out.

    Every point is a mean over the same images: those that have all the settings. Points are
    sorted by rate. A setting at which an image came back unchanged has no mean PSNR and makes
    no point.
    """
    settings = sorted({row["setting"] for row in rows})
    by_image: dict[str, dict[float, Row]] = {}
    for row in rows:
        by_image.setdefault(row["image"], {})[row["setting"]] = row
    whole = {name: found for name, found in by_image.items() if len(found) == len(settings)}
    left_out = {
        name: f"measured at {len(found)} of {len(settings)} settings"
        for name, found in by_image.items()
        if name not in whole
    }
    keys = list(_REQUIRED)
    rows_of_whole = [row for found in whole.values() for row in found.values()]
    for key in _OPTIONAL:
        lacking = sorted({row["image"] for row in rows_of_whole if row.get(key) is None})
        if not lacking:
            keys.append(key)
        elif len(lacking) < len(whole):
            left_out[key] = f"not measured on {lacking[0]}" + (f" and {len(lacking) - 1} more" if lacking[1:] else "")
    points: list[dict[str, float]] = []
    for setting in settings if whole else []:
        here = [found[setting] for found in whole.values()]
        if any(row[key] is None for row in here for key in ("psnr-rgb", "psnr-y")):
            left_out[f"setting {setting:g}"] = "lossless on an image: no mean PSNR"
            continue
        point = {key: math.fsum(row[key] for row in here) / len(here) for key in keys}
        points.append({"setting": setting} | point)
    points.sort(key=lambda point: point["bpp"])
    results = {key: [point[key] for point in points] for key in ["setting", *keys]}
    return results, sorted(whole), left_out


def _open_curve(
    stored: StoredCurve | None, codec: Codec, folder: Path, names: set[str], settings: Sequence[float], out: Path
) -> StoredCurve:
    """Return a curve to add rows to; refuse one whose rows would not belong together."""
    if stored is None:
        stored = {
            "name": codec.name,
            "description": codec.description,
            "results": {},
            "version": codec.version,
            "folder": folder.resolve().name,
            "images": [],
            "left_out": {},
            "failures": [],
            "runs": [],
            "rows": [],
        }
    lacking = [key for key in ("version", "description", "runs", "rows") if key not in stored]
    if lacking:
        raise BenchError(f"{out}: {codec.name} has no {lacking[0]}, it cannot be resumed")
    for key, now in (("version", codec.version), ("description", codec.description)):
        if stored[key] != now:
            raise BenchError(
                f"{out} has {codec.name} measured with {stored[key]!r}, here is {now!r}: write to another file"
            )
    strangers = sorted({row["image"] for row in stored["rows"]} - names)
    if strangers:
        raise BenchError(f"{out} has rows of {strangers[0]}, which is not in {folder}: write to another file")
    # what failed is tried again now, unless its setting is not asked for
    stored["failures"] = [failure for failure in stored.get("failures", []) if failure["setting"] not in settings]
    return stored


def _keep_rows(curve: StoredCurve, name: str, pixels: str) -> set[float]:
    """Drop the rows of an image that has changed; return the settings of those that stay."""
    curve["rows"] = [row for row in curve["rows"] if row["image"] != name or row["pixels"] == pixels]
    return {row["setting"] for row in curve["rows"] if row["image"] == name}


def _measure_one(codec: Codec, image: Image8, setting: float, with_ms_ssim: bool, with_ssimulacra2: bool) -> Row:
    start = time.perf_counter()
    data = codec.encode(image, setting)
    middle = time.perf_counter()
    decoded = codec.decode(data)
    end = time.perf_counter()
    height, width = image.shape[:2]
    rate = codec.rate_bytes(data)
    row: Row = {
        "width": width,
        "height": height,
        "setting": setting,
        "bytes": rate,
        "file_bytes": len(data),
        "bpp": 8 * rate / (width * height),
        "psnr-rgb": _finite(distortion.psnr(image, decoded)),
        "psnr-y": _finite(distortion.psnr_y(image, decoded)),
        "encoding_time": middle - start,
        "decoding_time": end - middle,
    }
    if with_ms_ssim:
        row["ms-ssim-rgb"] = distortion.ms_ssim(image, decoded)
    if with_ssimulacra2:
        row["ssimulacra2"] = distortion.ssimulacra2(image, decoded)
    return row


def _finite(value: float) -> float | None:
    """Return None for the infinite PSNR of identical images, which JSON cannot hold."""
    return value if math.isfinite(value) else None
