"""Rate and distortion of codecs over a folder of images, into a file that can be resumed."""

import datetime
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import metrics
from bench.codecs import Codec
from bench.curves import load_document
from bench.errors import BenchError
from bench.images import fingerprint, list_images, machine, read_image, write_json
from bench.metrics import Image8

__all__ = ["Outcome", "averages", "describe_error", "measure"]

Row = dict[str, Any]
StoredCurve = dict[str, Any]

_REQUIRED = ("bpp", "psnr-rgb", "psnr-y", "encoding_time", "decoding_time")


@dataclass
class Outcome:
    """What a run did: rows measured and kept, and everything that did not work."""

    measured: int = 0
    kept: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every image was measured with every codec at every setting."""
        return not self.unreadable and not self.failures


def describe_error(error: BaseException) -> str:
    """Return an error as one line that names its type."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def measure(
    folder: Path,
    codecs: Sequence[Codec],
    out: Path,
    *,
    settings: Mapping[str, Sequence[float]] | None = None,
    missing: Mapping[str, str] | None = None,
    with_ms_ssim: bool = True,
    command: str = "",
    report: Callable[[str], None] = print,
) -> Outcome:
    """Measure codecs on every image of a folder and write their curves to `out`.

    Rows that `out` has already are kept, and it is written anew after each image, so that what
    an interrupted run measured is never lost. `settings` gives the settings of a codec by its
    name (else the codec's own); `missing` names codecs that could not be had, for the record.
    An image that cannot be read, or a codec that fails on one, is reported and passed over.
    """
    paths = list_images(folder)
    names = {path.name for path in paths}
    stored = {curve["name"]: curve for curve in load_document(out)} if out.exists() else {}
    this_run = {
        "command": command,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
    }
    chosen = {
        codec.name: list(dict.fromkeys((settings or {}).get(codec.name, codec.settings)))
        for codec in codecs
    }
    for codec in codecs:
        stored[codec.name] = _open_curve(
            stored.get(codec.name), codec, folder, names, chosen[codec.name], out
        )

    ms_ssim_note = metrics.ms_ssim_missing() if with_ms_ssim else "it was not asked for"
    if ms_ssim_note:
        report(f"MS-SSIM is not measured: {ms_ssim_note}")

    def save() -> None:
        for codec in codecs:
            curve = stored[codec.name]
            curve["results"], curve["images"], curve["left_out"] = averages(curve["rows"])
        curves = list(stored.values())
        document: dict[str, Any] = curves[0] if len(curves) == 1 else {"curves": curves}
        write_json(out, {**document, "missing": dict(missing or {})})

    outcome = Outcome()
    save()  # a file that cannot be written is found out before anything is measured
    try:
        for number, path in enumerate(paths, 1):
            prefix = f"[{number}/{len(paths)}] {path.name}"
            try:
                image = read_image(path)
            except Exception as error:  # whatever a broken file makes its reader raise
                outcome.unreadable[path.name] = describe_error(error)
                for codec in codecs:
                    stored[codec.name]["unreadable"][path.name] = describe_error(error)
                report(f"{prefix}: unreadable, skipped ({describe_error(error)})")
                continue
            for codec in codecs:
                curve = stored[codec.name]
                kept = _keep_rows(curve, path.name, fingerprint(image))
                wanted = [s for s in chosen[codec.name] if s not in kept]
                outcome.kept += len(chosen[codec.name]) - len(wanted)
                for setting in wanted:
                    try:
                        row = _measure_one(codec, image, setting, ms_ssim_note is None)
                    except (KeyboardInterrupt, SystemExit):
                        raise
                    # a panic of a codec written in Rust is no Exception
                    except BaseException as error:
                        text = describe_error(error)
                        curve["failures"].append(
                            {"image": path.name, "setting": setting, "error": text}
                        )
                        outcome.failures.append(f"{codec.name} at {setting:g}, {path.name}: {text}")
                        report(f"{prefix}: {codec.name} failed at {setting:g} ({text})")
                        continue
                    if this_run not in curve["runs"]:
                        curve["runs"].append(this_run)
                    place = {"image": path.name, "pixels": fingerprint(image)}
                    curve["rows"].append(place | row | {"run": curve["runs"].index(this_run)})
                    outcome.measured += 1
                report(f"{prefix}: {codec.name}, {len(wanted)} measured, {len(kept)} kept")
                if wanted:
                    save()
    finally:
        save()
    return outcome


def averages(
    rows: Sequence[Row],
) -> tuple[dict[str, list[float]], list[str], dict[str, str]]:
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
    if whole and all(
        row.get("ms-ssim-rgb") is not None for found in whole.values() for row in found.values()
    ):
        keys.append("ms-ssim-rgb")
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
    stored: StoredCurve | None,
    codec: Codec,
    folder: Path,
    names: set[str],
    settings: Sequence[float],
    out: Path,
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
                f"{out} has {codec.name} measured with {stored[key]!r}, here is {now!r}: "
                "write to another file"
            )
    strangers = sorted({row["image"] for row in stored["rows"]} - names)
    if strangers:
        raise BenchError(
            f"{out} has rows of {strangers[0]}, which is not in {folder}: write to another file"
        )
    # what failed is tried again now, unless its setting is not asked for
    stored["failures"] = [
        failure for failure in stored.get("failures", []) if failure["setting"] not in settings
    ]
    stored["unreadable"] = {}
    return stored


def _keep_rows(curve: StoredCurve, name: str, pixels: str) -> set[float]:
    """Drop the rows of an image that has changed; return the settings of those that stay."""
    curve["rows"] = [
        row for row in curve["rows"] if row["image"] != name or row["pixels"] == pixels
    ]
    return {row["setting"] for row in curve["rows"] if row["image"] == name}


def _measure_one(codec: Codec, image: Image8, setting: float, with_ms_ssim: bool) -> Row:
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
        "psnr-rgb": _finite(metrics.psnr(image, decoded)),
        "psnr-y": _finite(metrics.psnr_y(image, decoded)),
        "encoding_time": middle - start,
        "decoding_time": end - middle,
    }
    if with_ms_ssim:
        row["ms-ssim-rgb"] = metrics.ms_ssim(image, decoded)
    return row


def _finite(value: float) -> float | None:
    """Return None for the infinite PSNR of identical images, which JSON cannot hold."""
    return value if math.isfinite(value) else None
