"""Versions of pictures at equal bytes, for looking at: each codec's best file that fits."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.peers.codecs import Codec
from bench.runs.pool import Task
from codec.compare.page import data_uri
from codec.metrics.distortion import Image8, psnr

__all__ = ["closest", "version_of", "version_task"]


def grid(codec: Codec) -> list[float]:
    """Return the settings to choose among, finely from the first to the last of the codec's own."""
    low, high = min(codec.settings), max(codec.settings)
    if all(1 <= setting <= 9 for setting in codec.settings):  # a network each
        return sorted(codec.settings)
    step = 0.25 if codec.name.startswith(("irc", "jpeg2000")) else 1
    return [float(setting) for setting in np.arange(low, high + step / 2, step)]


def closest(codec: Codec, image: Image8, size: int) -> tuple[float, bytes]:
    """Return the setting and file of the most bytes up to `size`; the smallest file if none is that small."""
    settings = grid(codec)
    if codec.rate_bytes(codec.encode(image, settings[0])) > codec.rate_bytes(codec.encode(image, settings[-1])):
        settings.reverse()
    fits, beyond = 0, len(settings)
    best = settings[0], codec.encode(image, settings[0])
    # settings[fits] fits (or is the smallest), settings[beyond] does not
    while beyond - fits > 1:
        middle = (fits + beyond) // 2
        data = codec.encode(image, settings[middle])
        if codec.rate_bytes(data) <= size:
            fits, best = middle, (settings[middle], data)
        else:
            beyond = middle
    return best


def version_of(codec: Codec, image: Image8, size: int) -> dict[str, Any]:
    """Return a codec's version of an image for the page: name, caption, pixels."""
    setting, data = closest(codec, image, size)
    decoded = codec.decode(data)
    count = codec.rate_bytes(data)
    bpp = 8 * count / (image.shape[0] * image.shape[1])
    caption = f"{codec.name} {setting:g}: {count:,} bytes, {bpp:.3f} bpp, {psnr(image, decoded):.2f} dB"
    if count > size:
        caption += " (its smallest file, beyond the bytes asked for)"
    return {"name": codec.name, "caption": caption, "bytes": count, "uri": data_uri(decoded)}


def version_task(codec: Codec, name: str, image: Image8, bpp: float) -> Task:
    """Return the task of making a version of at most so many bits per pixel."""
    size = int(bpp * image.shape[0] * image.shape[1] / 8)
    return Task(f"{codec.name}, {name}", (name, codec.name), codec.name, version_of, (image, size))


def order(versions: Sequence[dict[str, Any]], codecs: Sequence[Codec]) -> list[dict[str, Any]]:
    """Return versions in the order of the codecs."""
    names = [codec.name for codec in codecs]
    return sorted(versions, key=lambda version: names.index(version["name"]))
