"""Rate-distortion curves: the published ones that come with the package, and measured ones."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from bench.errors import BenchError

__all__ = [
    "KODAK",
    "Curve",
    "find_curve",
    "load_document",
    "load_json",
    "load_kind",
    "load_measured",
    "load_published",
    "other_images",
]

KODAK = tuple(f"kodim{number:02}" for number in range(1, 25))
"""The images that the published curves are means over."""


@dataclass(frozen=True)
class Curve:
    """Points of a codec: bits per pixel and PSNR over RGB, lowest rate first."""

    key: str
    label: str
    bpp: tuple[float, ...]
    psnr: tuple[float, ...]
    published: bool
    source: str
    images: tuple[str, ...] = ()


def load_published() -> dict[str, Curve]:
    """Return the published Kodak curves by their keys."""
    text = resources.files("bench").joinpath("data/kodak_rd.json").read_text(encoding="utf-8")
    return {
        key: _curve(
            key,
            entry["name"],
            entry["points"]["bpp"],
            entry["points"]["psnr"],
            published=True,
            source=entry["source"],
            images=KODAK,
        )
        for key, entry in json.loads(text).items()
    }


def load_json(path: Path) -> Any:
    """Return what a JSON file holds; `BenchError` for one that is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:  # not JSON, or not even text
        raise BenchError(f"{path} is not JSON: {error}") from error


def load_kind(path: Path) -> str:
    """Return which command a result file is of: generations, speed, or rd."""
    document = load_json(path)
    kind = document.get("name") if isinstance(document, dict) and "results" not in document else None
    return kind if kind in ("generations", "speed") else "rd"


def load_document(path: Path) -> list[dict[str, Any]]:
    """Return the curves of a result file as they are stored in it.

    A file of one curve is that curve, in the form that CompressAI's tools read; a file of
    several has them in a list under `curves`.
    """
    document = load_json(path)
    stored = document.get("curves", [document]) if isinstance(document, dict) else None
    if not isinstance(stored, list) or not all(
        isinstance(curve, dict) and "name" in curve and isinstance(curve.get("results"), dict) for curve in stored
    ):
        raise BenchError(f"{path} holds no curves: each needs a name and results")
    return stored


def load_measured(paths: Iterable[Path]) -> list[Curve]:
    """Return the curves of result files; curves of one name are told apart by their file."""
    found: list[tuple[Path, Curve]] = []
    for path in paths:
        for stored in load_document(path):
            results = stored["results"]
            # CompressAI's files of classical codecs, from before it told RGB apart, say "psnr"
            psnr = results.get("psnr-rgb", results.get("psnr"))
            if "bpp" not in results or psnr is None:
                raise BenchError(f"{path}: {stored['name']} has no bpp and psnr-rgb")
            name = str(stored["name"])
            curve = _curve(
                name,
                name,
                results["bpp"],
                psnr,
                published=False,
                source=str(path),
                images=tuple(stored.get("images", ())),
            )
            found.append((path, curve))
    counts = Counter(curve.key for _, curve in found)
    return [
        replace(curve, key=f"{curve.key}@{path.stem}", label=f"{curve.label} ({path.stem})")
        if counts[curve.key] > 1
        else curve
        for path, curve in found
    ]


def find_curve(key: str, published: Mapping[str, Curve], measured: Sequence[Curve]) -> Curve:
    """Return the curve of a key; `published:KEY` and `measured:NAME` say which is meant."""
    where, colon, rest = key.partition(":")
    explicit = bool(colon) and where in ("published", "measured")
    name = rest if explicit else key
    hits: list[Curve] = []
    if name in published and not (explicit and where == "measured"):
        hits.append(published[name])
    if not (explicit and where == "published"):
        hits += [curve for curve in measured if curve.key == name]
    if not hits:
        names = ", ".join([curve.key for curve in measured] + sorted(published))
        raise BenchError(f"no curve is called {key!r}; there are {names}")
    if len(hits) > 1:
        raise BenchError(f"{name!r} is both published and measured: write published:{name} or measured:{name}")
    return hits[0]


def _curve(
    key: str,
    label: str,
    bpp: Sequence[float],
    psnr: Sequence[float],
    *,
    published: bool,
    source: str,
    images: tuple[str, ...] = (),
) -> Curve:
    if len(bpp) != len(psnr):
        raise BenchError(f"{source}: {key} has {len(bpp)} rates and {len(psnr)} PSNRs")
    points = sorted(zip(map(float, bpp), map(float, psnr), strict=True))
    return Curve(
        key,
        label,
        tuple(rate for rate, _ in points),
        tuple(quality for _, quality in points),
        published,
        source,
        images,
    )


def other_images(one: Curve, other: Curve) -> bool:
    """Return whether two curves are known to be of different images, by their files' names."""
    stems = [{Path(name).stem.lower() for name in each.images} for each in (one, other)]
    return all(stems) and stems[0] != stems[1]
