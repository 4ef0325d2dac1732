"""Web pages in one file: nothing in them is fetched from anywhere. The page of `irc compare`."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec.compare.comparison import GAIN, TEMPERATURES, Comparison, difference, z_map
from codec.compare.lost import BINS, Band
from codec.container.grid import Box

__all__ = ["assembled", "comparison_page", "data_uri", "part_of_web"]

LARGEST_PART = 2048, 2048  #: height and width that a page shows, unless another part is asked for


def part_of_web(name: str) -> Traversable:
    """A file of the folder of what pages are made of."""
    return resources.files("codec").joinpath("compare", "web", name)


def assembled(template: Traversable, scripts: Sequence[Traversable], data: Any, title: str) -> str:
    """A page: its template with style, viewer, scripts and data in it, which the scripts find as JSON."""
    text = "".join(script.read_text(encoding="utf-8") for script in scripts)
    return Template(template.read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        style=part_of_web("style.css").read_text(encoding="utf-8"),
        viewer=part_of_web("viewer.html").read_text(encoding="utf-8"),
        script=text.replace('"use strict";\n', "").strip(),
        # no text in the data can end the script element
        data=json.dumps(data, allow_nan=False).replace("<", "\\u003c"),
    )


def data_uri(image: NDArray[np.uint8], icc: bytes | None = None) -> str:
    """The exact pixels, h,w or h,w,3, as a link that holds them: lossless WebP."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", lossless=True, quality=50, icc_profile=icc or b"")
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def comparison_page(found: Comparison, name: str, region: Sequence[int] | None = None) -> bytes:
    """The page of a comparison; name: what to call the picture; region: the part (x, y, width, height) to show."""
    part = found.part(region, LARGEST_PART)
    cut = slice(part.top, part.bottom), slice(part.left, part.right)
    versions = [{"name": "original", "caption": "original", "uri": data_uri(found.original[cut], found.icc)}]
    for temperature, decoded, scores in zip(TEMPERATURES, found.decoded, found.scores):
        label = f"T = {temperature}"
        caption = f"{label}: {scores.text()}"
        versions.append({"name": label, "caption": caption, "uri": data_uri(decoded[cut], found.icc)})
    for temperature, decoded in zip(TEMPERATURES, found.decoded):
        label = f"difference at T = {temperature}"
        caption = f"{label} less the original, {GAIN} times; grey is none"
        versions.append({"name": label, "caption": caption, "uri": data_uri(difference(found.original, decoded)[cut])})
    data = {
        "facts": found.facts(),
        "notes": _notes(found, part),
        "picture": {"name": name, "width": part.width, "height": part.height, "versions": versions},
        "bands": [_band(band, part) for band in found.bands],
        "centres": ((BINS[1:] + BINS[:-1]) / 2).round(3).tolist(),
    }
    scripts = [part_of_web(script) for script in ("chart.js", "table.js", "viewer.js", "compare.js")]
    return assembled(part_of_web("compare.html"), scripts, data, f"What was lost of {name}").encode()


def _notes(found: Comparison, part: Box) -> list[str]:
    notes = list(found.notes)
    if (part.height, part.width) != found.original.shape[:2]:
        notes.append(
            f"shown is the part {part.left},{part.top},{part.width},{part.height}; figures and histograms are of all"
        )
    return notes


def _band(band: Band, part: Box) -> dict[str, Any]:
    return {
        "name": f"{band.name}, {'dropped' if band.dropped else 'kept'}",
        "uri": data_uri(z_map(band, part)),
        "histogram": band.histogram.round(4).tolist(),
    }
