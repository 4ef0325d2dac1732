"""What many generations cost beyond the first, from results of `irc-bench generations`."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Series", "growth", "losses", "name", "panels"]

Series = Mapping[str, Any]


def first_counted(series: Series) -> list[Mapping[str, Any]]:
    """Return the means of the generations since each setting of the schedule has had its turn.

    What a lower quality took away earlier is no loss of generations: a high quality after it can't bring it back.
    """
    found: list[Mapping[str, Any]] = series["means"][len(set(series["schedule"])) - 1 :]
    return found


def losses(series: Series) -> list[tuple[int, float]]:
    """Return, for each generation, its mean PSNR against the original less that of the first at its setting, in dB.

    With changing settings it begins where each has had its turn.
    """
    first: dict[float, float] = {}
    points = []
    for mean in first_counted(series):
        if mean["psnr_original"] is None:  # lossless on an image: no mean
            continue
        start = first.setdefault(mean["setting"], mean["psnr_original"])
        points.append((mean["generation"], mean["psnr_original"] - start))
    return points


def growth(series: Series) -> float:
    """Return by how many per cent the last file is larger than the first at its setting that counts."""
    last = series["means"][-1]
    first = next(mean for mean in first_counted(series) or [last] if mean["setting"] == last["setting"])
    return float(100 * (last["bytes"] / first["bytes"] - 1))


def panels(documents: Sequence[Mapping[str, Any]]) -> list[list[Series]]:
    """Return the series that belong side by side: the first schedule of every codec, the second, ..."""
    by_codec: dict[str, list[Series]] = {}
    for document in documents:
        for series in document["series"]:
            if losses(series):
                by_codec.setdefault(series["codec"], []).append(series)
    count = max(map(len, by_codec.values()), default=0)
    return [[found[index] for found in by_codec.values() if index < len(found)] for index in range(count)]


def name(series: Series) -> str:
    """Return a series' codec and settings, and the PSNR that it starts from."""
    settings = "/".join(f"{setting:g}" for setting in series["schedule"])
    return f"{series['codec']} {settings} ({series['means'][0]['psnr_original']:.1f} dB)"
