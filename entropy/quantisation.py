"""How finely a picture is quantised: a quality, and what a file adds to the steps that its weights have there.

>>> Quantisation.of(75 * 256).quality, Quantisation.of(75 * 256).plain
(19200, True)
>>> Quantisation(0, (16,) * CHANNELS).scaled([100] * CHANNELS)[0]  # an octave finer
200
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from entropy.config import BANDS, CHANNELS

OCTAVE = 16  #: offsets to a factor of 2
MOST = 64  #: magnitude of an offset, four octaves
SAME = 320  #: qualities (in 1/256) that make the weights' own steps finer by a sixteenth of an octave, about
HIGHEST = 25600  #: quality, in 1/256
LARGEST_GAIN = 4096  #: of a mean, where steps are finer: times 4095 it stays below 2^24, so that floats are exact
#: 2^(i / 16) in units of 2^-14
POWERS = (
    16384, 17109, 17867, 18658, 19484, 20347, 21247, 22188, 23170, 24196, 25268, 26386, 27554, 28774, 30048, 31379
)  # fmt: skip


class Quantisation(NamedTuple):
    """A quality, and the 39 offsets of a file with steps of its own."""

    quality: int  #: 0..25600, in 1/256
    offsets: tuple[int, ...] = ()  #: of each band channel, -64..64: sixteenths of an octave by which steps are finer

    @classmethod
    def of(cls, quality: int | Quantisation) -> Quantisation:
        """That of a quality alone, whose steps are the weights' own, or what was given."""
        return quality if isinstance(quality, Quantisation) else cls(quality)

    @property
    def plain(self) -> bool:
        """Whether the steps are the weights' own."""
        return not any(self.offsets)

    @property
    def shifts(self) -> tuple[int, ...]:
        """The 39 offsets, 0 where there are none."""
        return self.offsets or (0,) * CHANNELS

    @property
    def level_qualities(self) -> list[int]:
        """Of the four levels, coarse to fine, the quality whose own steps are about those of the level (of its first
        channel): what the probability model is told when it comes there. The coarsest is told the file's.
        """
        first = [sum(BANDS[:level]) for level in range(len(BANDS))]
        near = [min(max(self.quality + SAME * self.shifts[i], 0), HIGHEST) for i in first]
        return [self.quality, *near[1:]]

    @property
    def factors(self) -> list[float]:
        """Of 1 / step, for each of the 39 channels."""
        return [2.0 ** (shift / OCTAVE) for shift in self.shifts]

    def scaled(self, gain: Sequence[int]) -> list[int]:
        """What means are multiplied with, 39 integers of at least 0, times the factors: exactly, rounded down."""
        return [_scaled(value, shift) if shift else value for value, shift in zip(gain, self.shifts)]


def _scaled(value: int, shift: int) -> int:
    octave, part = divmod(shift, OCTAVE)
    finer = value * POWERS[part] >> 14
    return min(finer << octave if octave >= 0 else finer >> -octave, LARGEST_GAIN)
