"""The measures of quality that curves are drawn and compared by, one table for every command."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["MEASURES", "PSNR_BAND", "Measure"]

PSNR_BAND = (29.5, 36.5)
"""The PSNR band, in dB, that nearly every published Kodak curve covers."""


@dataclass(frozen=True)
class Measure:
    """A measure of quality: its name on the command line, in result files and on axes.

    `unit` is that of the values that `values` returns, `band` the interval that BD-rates are over (None: the range that
    two curves share), `digits` how many decimals mean something.
    """

    name: str
    results: tuple[str, ...]
    label: str
    unit: str
    digits: int
    band: tuple[float, float] | None = None

    @property
    def axis(self) -> str:
        """Its name with its unit, as beside an axis."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def values(self, stored: Mapping[str, Sequence[float]]) -> list[float] | None:
        """Return the values of a stored curve's results, None where it has none; MS-SSIM in dB, -10 log10(1 - x)."""
        found = next((stored[key] for key in self.results if stored.get(key)), None)
        if found is None or self.name != "ms-ssim":
            return None if found is None else list(found)
        # MS-SSIM crowds near 1: decibels keep curves apart
        return [-10 * math.log10(1 - value) if value < 1 else math.inf for value in found]


MEASURES = {
    measure.name: measure
    for measure in (
        # CompressAI's files of classical codecs, from before it told RGB apart, say "psnr"
        Measure("psnr", ("psnr-rgb", "psnr"), "PSNR over RGB", "dB", 2, PSNR_BAND),
        Measure("psnr-y", ("psnr-y",), "PSNR-Y", "dB", 2),
        Measure("ms-ssim", ("ms-ssim-rgb",), "MS-SSIM", "dB", 2),
        Measure("ssimulacra2", ("ssimulacra2",), "SSIMULACRA2", "", 1),
    )
}
"""By their names on the command line."""
