"""Rate-distortion curves: the published ones that come with the package, and measured ones."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.metrics.measures import MEASURES, Measure

__all__ = [
    "KODAK",
    "Curve",
    "default_anchor",
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
    """Points of a codec: bits per pixel and values of a measure (PSNR over RGB if published), lowest rate first."""

    key: str
    label: str
    bpp: tuple[float, ...]
    quality: tuple[float, ...]
    published: bool
    source: str
    images: tuple[str, ...] = ()

    @property
    def whose(self) -> str:
        """Whether it is "published" or "measured"."""
        return "published" if self.published else "measured"


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


def load_measured(paths: Iterable[Path], measure: Measure = MEASURES["psnr"]) -> list[Curve]:
    """Return the curves of result files by a measure; curves of one name are told apart by their file."""
    found: list[tuple[Path, Curve]] = []
    for path in paths:
        for stored in load_document(path):
            results = stored["results"]
            values = measure.values(results)
            if "bpp" not in results or values is None:
                raise BenchError(f"{path}: {stored['name']} has no bpp and {measure.results[0]}")
            name = str(stored["name"])
            curve = _curve(
                name,
                name,
                results["bpp"],
                values,
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
    """Return the curve of a key: the measured one where a name is both; `published:KEY`, `measured:NAME` say which."""
    where, colon, rest = key.partition(":")
    explicit = bool(colon) and where in ("published", "measured")
    name = rest if explicit else key
    hits = [curve for curve in measured if curve.key == name and not (explicit and where == "published")]
    if name in published and not (explicit and where == "measured"):
        hits.append(published[name])
    if not hits:
        names = ", ".join([curve.key for curve in measured] + sorted(published))
        raise BenchError(f"no curve is called {key!r}; there are {names}")
    return hits[0]


def default_anchor(measured: Sequence[Curve], measure: Measure) -> str:
    """Return the key of the curve to compare with unless another is asked for.

    It is the published one of BPG 4:4:4 where PSNR is compared and the images may be Kodak's; else one of the measured:
    AVIF, JPEG, or the first.
    """
    kodak = {name.lower() for name in KODAK}
    strange = any(curve.images and {Path(name).stem.lower() for name in curve.images} != kodak for curve in measured)
    if measure.name == "psnr" and not strange or not measured:
        return "published:bpg444"
    keys = [curve.key for curve in measured]
    return "measured:" + next((key for key in ("avif-iq", "avif", "jpeg") if key in keys), keys[0])


def _curve(
    key: str,
    label: str,
    bpp: Sequence[float],
    quality: Sequence[float],
    *,
    published: bool,
    source: str,
    images: tuple[str, ...] = (),
) -> Curve:
    if len(bpp) != len(quality):
        raise BenchError(f"{source}: {key} has {len(bpp)} rates and {len(quality)} qualities")
    points = sorted(zip(map(float, bpp), map(float, quality), strict=True))
    return Curve(
        key, label, tuple(rate for rate, _ in points), tuple(value for _, value in points), published, source, images
    )


def other_images(one: Curve, other: Curve) -> bool:
    """Return whether two curves are known to be of different images, by their files' names."""
    stems = [{Path(name).stem.lower() for name in each.images} for each in (one, other)]
    return all(stems) and stems[0] != stems[1]
