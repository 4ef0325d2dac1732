"""One self-contained HTML page from result files: nothing in it is fetched from anywhere."""

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from statistics import median
from typing import Any

from bench.errors import BenchError, NotComparable
from bench.figures.pictures import order, version_task
from bench.metrics.bdrate import bd_rate
from bench.metrics.curves import (
    Curve,
    default_anchor,
    find_curve,
    load_document,
    load_kind,
    load_measured,
    load_published,
    other_images,
)
from bench.metrics.generation_loss import growth, losses, name, panels
from bench.metrics.measures import MEASURES, PSNR_BAND
from bench.peers.codecs import Codec
from bench.runs.folder import Outcome, Report, readable, results
from bench.runs.generations import load_generations
from bench.runs.images import list_images
from bench.runs.pool import Failure, Task
from codec.compare.page import assembled, data_uri, part_of_web

__all__ = ["collect", "make_pictures", "page"]

_SCRIPTS = ("chart.js", "table.js", "viewer.js")


def collect(files: Sequence[Path], published: Sequence[str], anchor: str | None = None) -> dict[str, Any]:
    """Return what the page shows of result files of rd, generations and speed, and of published curves."""
    kinds = {path: load_kind(path) for path in files}
    rd_files = [path for path in files if kinds[path] == "rd"]
    stored = [curve for path in rd_files for curve in load_document(path)]
    measured = load_measured(rd_files)
    known, psnr = load_published(), MEASURES["psnr"]
    chosen = [find_curve(f"published:{key}", known, []) for key in published]
    generations = [load_generations(path) for path in files if kinds[path] == "generations"]
    speed = [json.loads(path.read_text(encoding="utf-8")) for path in files if kinds[path] == "speed"]
    return {
        "about": "Measured by irc-bench. All of this page is in its file: nothing is fetched from anywhere.",
        "metrics": [{"key": m.name, "label": m.axis, "digits": m.digits} for m in MEASURES.values()],
        "curves": [
            *(_measured_curve(curve, entry["results"]) for curve, entry in zip(measured, stored, strict=True)),
            *(_published_curve(curve) for curve in chosen),
        ],
        "bdrate": _bdrates(measured + chosen, find_curve(anchor or default_anchor(measured, psnr), known, measured)),
        "generations": _generations(generations),
        "speed": [_speed_row(row) for document in speed for row in document["rows"]],
        "sources": [*_sources(measured, stored), *(_source_of(curve) for curve in chosen)],
        "pictures": [],
    }


def make_pictures(
    folder: Path, codecs: Sequence[Codec], bpp: float, count: int, jobs: int, outcome: Outcome, report: Report
) -> list[dict[str, Any]]:
    """Return up to `count` pictures of a folder with each codec's version at `bpp`, and the original."""
    images = dict(readable(list_images(folder)[:count], outcome, report))

    def tasks() -> Iterator[Task]:
        for picture, image in images.items():
            for codec in codecs:
                yield version_task(codec, picture, image, bpp)

    versions: dict[str, list[dict[str, Any]]] = {picture: [] for picture in images}
    for task, version in results(tasks(), len(images) * len(codecs), codecs, jobs, outcome, report):
        if not isinstance(version, Failure):
            versions[task.key[0]].append(version)
    return [
        {
            "name": picture,
            "width": image.shape[1],
            "height": image.shape[0],
            "versions": [
                *order(versions[picture], codecs),
                {"name": "original", "caption": "original", "uri": data_uri(image)},
            ],
        }
        for picture, image in images.items()
    ]


def page(data: Mapping[str, Any], title: str) -> str:
    """Return the page of what `collect` found; `BenchError` if that is nothing."""
    if not any(data[key] for key in ("curves", "generations", "speed", "pictures")):
        raise BenchError("there is nothing to report")
    folder = resources.files("bench").joinpath("page")
    scripts = [*(part_of_web(script) for script in _SCRIPTS), folder.joinpath("main.js")]
    return assembled(folder.joinpath("page.html"), scripts, data, title)


def _measured_curve(curve: Curve, stored: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    points: list[dict[str, Any]] = []
    by_measure = {name: measure.values(stored) for name, measure in MEASURES.items()}
    settings = stored.get("setting", [None] * len(stored["bpp"]))
    for index, bpp in enumerate(stored["bpp"]):
        point: dict[str, Any] = {"bpp": bpp, "setting": settings[index]}
        point |= {name: values[index] for name, values in by_measure.items() if values}
        points.append(point)
    return {"name": curve.label, "published": False, "points": sorted(points, key=lambda point: point["bpp"])}


def _published_curve(curve: Curve) -> dict[str, Any]:
    points = [{"bpp": bpp, "psnr": psnr} for bpp, psnr in zip(curve.bpp, curve.quality, strict=True)]
    return {"name": curve.label, "published": True, "points": points}


def _bdrates(curves: Sequence[Curve], anchor: Curve, band: tuple[float, float] = PSNR_BAND) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for curve in curves:
        row: dict[str, Any] = {"name": f"{curve.label} (published)" if curve.published else curve.label}
        notes: list[str] = []
        try:
            common = bd_rate(anchor.bpp, anchor.quality, curve.bpp, curve.quality)
            row |= {"common": common.percent, "over": f"{common.low:.1f}–{common.high:.1f} dB"}
            inside = bd_rate(anchor.bpp, anchor.quality, curve.bpp, curve.quality, band)
            row["band"] = inside.percent
            if (inside.low, inside.high) != band:
                notes.append(f"band: {inside.low:.1f}–{inside.high:.1f} dB only")
        except NotComparable as error:
            notes.append(str(error))
        if other_images(anchor, curve):
            notes.append("not of the same images")
        rows.append(row | {"note": "; ".join(notes)})
    return {
        "rows": rows,
        "band": f"{band[0]:g}–{band[1]:g} dB",
        "note": f"Change of rate at equal PSNR over RGB against {anchor.label} ({anchor.whose}); minus is better.",
    }


def _generations(documents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    shown = []
    for group in panels(documents):
        labels = [f"{series['codec']} {'/'.join(f'{s:g}' for s in series['schedule'])}" for series in group]
        shown.append({"label": ", ".join(labels), "series": [_series(series) for series in group]})
    return shown


def _series(series: Mapping[str, Any]) -> dict[str, Any]:
    lost = dict(losses(series))
    means, images = series["means"], len(series["images"])
    last = means[-1]
    latents = last.get("same_latent_as_first_at_setting")
    return {
        "name": name(series),
        "points": [
            {
                "generation": mean["generation"],
                "setting": mean["setting"],
                "loss": lost.get(mean["generation"]),
                "psnr": mean["psnr_original"],
                "first": mean.get("psnr_first"),
                "bytes": mean["bytes"],
            }
            for mean in means
        ],
        "first": means[0]["psnr_original"],
        "last": last["psnr_original"],
        "change": lost.get(last["generation"]),
        "growth": growth(series),
        "files": f"{last.get('same_bytes_as_first_at_setting', 0)} of {images}",
        "latents": "" if latents is None else f"{latents} of {images}",
    }


def _speed_row(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: row.get(key) for key in ("codec", "threads", "megapixels", "bpp", "note")}
    for key in ("encode", "decode", "process_encode", "process_decode"):
        times = row.get(key)
        kept[key] = [min(times), median(times), max(times)] if times else None
    for kind in ("encode", "decode"):
        kept[f"memory_{kind}"] = row.get(f"bytes_per_pixel_{kind}")
    return kept


def _sources(curves: Sequence[Curve], stored: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for curve, entry in zip(curves, stored, strict=True):
        runs = entry.get("runs") or [{}]
        machine = runs[-1].get("machine", {})
        yield {
            "name": curve.label,
            "description": entry.get("description", ""),
            "version": entry.get("version", ""),
            "command": runs[-1].get("command", ""),
            "date": runs[-1].get("date", "")[:10],
            "machine": f"{machine['processor']}, {machine['cores']} cores" if machine else "",
        }


def _source_of(curve: Curve) -> dict[str, Any]:
    empty = {"command": "", "date": "", "machine": ""}
    return {"name": curve.label, "description": "published, Kodak", "version": curve.source, **empty}
