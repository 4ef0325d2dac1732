"""The grain of a picture, its own noise: measured by the encoder, kept in the file for a decoder that draws.

The head (codec/network/head.py) says how unsure it is of each lost coefficient, in photos like those of its training.
Another camera or scanner has a grain of its own, of which quantised coefficients say nothing. So a file that is meant
to be drawn (temperature above 0) holds, for each band channel, what makes z white in it: of what was dropped

    v = m + mean + sqrt((scale s)^2 + floor^2) e,    e ~ N(0, 1)

by maximum likelihood, in channel deviations; of coded coefficients a scale of their deviation inside the bin. Video
codecs keep film grain in the same way (Norkin and Birkbeck, Film Grain Synthesis for AV1 Video Codec, DCC 2018).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.errors import DamagedError
from entropy.config import BANDS, CHANNELS
from entropy.levels import by_level

MEAN_UNIT = 1 / 128  #: of the mean's code, -128..127
OCTAVE = 16  #: codes of scale and floor to a factor of 2
SCALE_ONE, FLOOR_ONE = 128, 192  #: the codes of 1; the floor's code 0 is 0
LEAST = 64  #: coefficients of the coarsest level that are worth measuring
BINS, LOWEST = 256, -10  #: of the head's deviation: OCTAVE to a factor of 2, from 2^LOWEST
ROUNDS = 3  #: mean, then scale and floor, then again


class Grain(NamedTuple):
    """What makes z white in each of the 39 band channels; of coded ones mean and floor are 0."""

    mean: NDArray[np.float32]  #: in channel deviations
    scale: NDArray[np.float32]  #: of the head's deviation
    floor: NDArray[np.float32]  #: in channel deviations

    def at(self, temperature: float, device: torch.device) -> list[tuple[Tensor, ...]]:
        """Of each level mean (times the temperature), scale and floor, 1,C,1,1 each, for `Codec.restore`."""
        parts = (self.mean * np.float32(temperature), self.scale, self.floor)
        return list(zip(*(by_level(torch.from_numpy(a).to(device)[None]) for a in parts)))


def size(coded: NDArray[np.bool_]) -> int:
    """Bytes that grain takes in a file; coded: which of the 39 channels are."""
    return CHANNELS + 2 * int((~coded).sum())


def pack(codes: NDArray[np.int64], coded: NDArray[np.bool_]) -> bytes:
    """Codes (39 rows of mean, scale, floor) -> scales of all channels, then mean and floor of each dropped one."""
    return codes[:, 1].astype(np.uint8).tobytes() + codes[~coded][:, [0, 2]].astype(np.uint8).tobytes()


def unpack(payload: bytes, coded: NDArray[np.bool_]) -> Grain:
    """What `pack` made; DamagedError where the length is another."""
    if len(payload) != size(coded):
        raise DamagedError(f"chunk noIS has {len(payload)} bytes, not {size(coded)}")
    codes = np.frombuffer(payload, np.uint8)
    grain = Grain(*np.zeros((3, CHANNELS), np.float32))
    grain.scale[:] = _scale(codes[:CHANNELS])
    grain.mean[~coded] = codes[CHANNELS::2].astype(np.int8) * MEAN_UNIT
    grain.floor[~coded] = _floor(codes[CHANNELS + 1 :: 2])
    return grain


def _scale(codes: NDArray[np.integer]) -> NDArray[np.float64]:
    return 2 ** ((codes.astype(float) - SCALE_ONE) / OCTAVE)


def _floor(codes: NDArray[np.integer]) -> NDArray[np.float64]:
    return np.where(codes > 0, 2 ** ((codes.astype(float) - FLOOR_ONE) / OCTAVE), 0)


class Sums:
    """Of a picture, part by part: for each channel and bin of the head's deviation, how many coefficients there are,
    the sum of their errors and of the squares of these.
    """

    def __init__(self) -> None:
        self.sums = np.zeros((CHANNELS, 3, BINS))

    def add(self, level: int, error: Tensor, log_scale: Tensor) -> None:
        """C,h,w of a level each: distance from the most likely value, natural logarithm of its deviation."""
        bins = ((log_scale.double() / np.log(2) - LOWEST) * OCTAVE).clamp(0, BINS - 1).long().flatten(1).cpu().numpy()
        first = sum(BANDS[:level])
        for sums, where, e in zip(self.sums[first:], bins, error.double().flatten(1).cpu().numpy()):
            for row, values in zip(sums, (None, e, e * e)):
                row += np.bincount(where, values, BINS)

    def payload(self, coded: NDArray[np.bool_]) -> bytes | None:
        """What the file keeps; None where there is too little to measure."""
        if self.sums[0, 0].sum() < LEAST:
            return None
        return pack(np.array([_fit(sums, kept) for sums, kept in zip(self.sums, coded)]), coded)


def _fit(sums: NDArray[np.float64], coded: bool) -> tuple[int, int, int]:
    """Codes of mean, scale and floor that make the errors likeliest (the first and the last 0 where coded)."""
    used = sums[0] > 0
    count, error, squared = sums[:, used]
    deviation = 2 ** ((np.flatnonzero(used) + 0.5) / OCTAVE + LOWEST)
    mean, scale, floor = 0, SCALE_ONE, 0
    for _ in range(1 if coded else ROUNDS):
        if not coded:  # so that z, not the error, has a mean of zero
            spread = np.hypot(_scale(np.array(scale)) * deviation, _floor(np.array(floor)))
            mean = int(np.clip(round((error / spread).sum() / (count / spread).sum() / MEAN_UNIT), -128, 127))
        m = mean * MEAN_UNIT
        scale, floor = _likeliest(count, squared - 2 * m * error + m * m * count, deviation, coded)
    return mean, scale, floor


def _likeliest(
    count: NDArray[np.float64], energy: NDArray[np.float64], deviation: NDArray[np.float64], coded: bool
) -> tuple[int, int]:
    """Codes of scale and floor by search, coarse to fine: floors anew once the scale is nearly right."""

    def best(scales: NDArray[np.integer], floors: NDArray[np.integer]) -> tuple[int, int]:
        variance = (_scale(scales)[:, None, None] * deviation) ** 2 + _floor(floors)[None, :, None] ** 2
        cost = (count * np.log(variance) + energy / variance).sum(2)
        i, j = np.unravel_index(cost.argmin(), cost.shape)
        return int(scales[i]), int(floors[j])

    coarse, near = np.arange(0, 256, 8), np.arange(-8, 9)
    floors = coarse[:1] if coded else coarse
    scale, _ = best(coarse, floors)
    scale, floor = best((scale + near).clip(0, 255), floors)
    return best((scale + near).clip(0, 255), floors[:1] if coded else np.append((floor + near).clip(0, 255), 0))
