"""z, what a file lost of its picture, made standard normal by what the decoder knows of it.

    z = (lost - most likely) / deviation

Of a dropped coefficient all of it is lost; of a kept one its place inside the bin of quantisation. Both the most likely
value and the deviation are the head's, given what is kept; in a file that was encoded to be drawn (temperature above 0)
they are corrected by the noise that the file holds of its picture (codec/coding/grain.py). If the model is right, z is
white: mean 0, deviation 1, and it says nothing of its neighbours or of what is kept. Then drawing z anew gives a
picture that could have been the one that was encoded.

    >>> photo = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    >>> import codec
    >>> [band.name for band in lost(photo, codec.encode(photo, 5)) if band.dropped]
    ['1/4 chroma', '1/2 chroma']
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from codec.api import Picturelike, picture_of
from codec.coding import windows
from codec.coding.ahead import Workers
from codec.coding.tiles import Reader
from codec.container.bitstream import DEFAULT_MAX_PIXELS
from codec.container.grid import UNITS
from codec.container.source import Source, read_source
from codec.errors import InputError
from codec.network import host
from codec.pictures import formats
from codec.pictures.formats import Pixels
from codec.pictures.hidden import filled
from entropy.config import BANDS, chroma, luma

__all__ = ["BINS", "Band", "Whitened", "around", "correlation", "groups", "lost", "whitened"]

NAMES = ("1/16", "1/8", "1/4", "1/2")
#: the edges of the bins of a band's histogram
BINS: NDArray[np.float64] = np.linspace(-4, 4, 81)


class Group(NamedTuple):
    """The channels of one level that are all dropped or all kept, and all luma or all chroma."""

    name: str  #: size and colour, as "1/4 luma"
    level: int  #: 0 for 1/16 to 3 for 1/2
    dropped: bool
    channels: list[int]


@dataclass(frozen=True)
class Band:
    """What was lost of a group of channels (`Group`)."""

    name: str  #: size and colour, as "1/4 luma"
    dropped: bool  #: whether nothing of it is in the file; else it is kept, rounded
    z: NDArray[np.float32]  #: channels,h,w, the part outside the picture left out
    level: int  #: 0 for 1/16 to 3 for 1/2
    correlation: float  #: the largest magnitude of z's with a kept coefficient at the same place, 0..1

    @classmethod
    def of(cls, found: Whitened, group: Group) -> Band:
        """One of the bands of what `whitened` found."""
        z = found.z[group.level][group.channels]
        return cls(group.name, group.dropped, z, group.level, correlation(z, around(found.k, group.level)))

    @property
    def mean(self) -> float:
        """Of z; 0 where the head's most likely values are right."""
        return float(self.z.mean(dtype=np.float64))

    @property
    def deviation(self) -> float:
        """Of z; 1 where the head's deviations are right."""
        return float(self.z.std(dtype=np.float64))

    @property
    def neighbours(self) -> float:
        """The correlation of z with its neighbour to the right or below, of the channel and direction where it is
        farthest from 0; -1..1.
        """
        z = self.z - self.z.mean((1, 2), keepdims=True)
        found = [0.0]
        for here, next_one in ((z[:, :, :-1], z[:, :, 1:]), (z[:, :-1], z[:, 1:])):
            product, a, b = ((x * y).sum((1, 2)) for x, y in ((here, next_one), (here, here), (next_one, next_one)))
            found += (product / np.sqrt(np.maximum(a * b, np.finfo(np.float32).tiny))).tolist()
        return float(max(found, key=abs))

    @property
    def histogram(self) -> NDArray[np.float64]:
        """The density of z in each of `BINS`, whose sum is the share of z within them over their width."""
        counts, edges = np.histogram(self.z, BINS)
        return counts / (self.z.size * np.diff(edges))


def lost(
    image: Picturelike,
    data: Source,
    *,
    own: bool = True,
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
    device: str = "cpu",
) -> list[Band]:
    """What the .irc file `data` lost of `image`, the picture that it was encoded from, as z, band by band.

    image: what `codec.encode` takes, treated as there; data: the file's bytes, its path or a file open for bytes. own:
    whether the noise that the file holds of its picture, if it does, is taken into account; False: z by the head alone.
    Bands come coarse to fine, luma before chroma, dropped before kept; alpha, which loses nothing, has none. Raises
    InputError (also where the sizes differ), DamagedError, WeightsError, TypeError.
    """
    colour = filled(*formats.split(picture_of(image).pixels))  # as it is coded
    found = whitened(colour, Reader.of(read_source(data), max_pixels, device), own)
    return [Band.of(found, group) for group in groups(found.dropped)]


class Whitened(NamedTuple):
    """z and what is kept of a picture, the part of them outside the picture left out; C,h,w a level, coarse to fine."""

    z: list[NDArray[np.float32]]
    k: list[NDArray[np.float32]]  #: kept integers
    dropped: list[NDArray[np.bool_]]  #: which channels are dropped; C a level


@host.plainly
def whitened(colour: Pixels, reader: Reader, own: bool = True) -> Whitened:
    """z of samples H,W or H,W,3 and the file that they were encoded to; own: as in `lost`."""
    header, session = reader.file.header, reader.session
    if colour.shape[:2] != (header.height, header.width):
        raise InputError(
            f"the picture has {colour.shape[1]} x {colour.shape[0]} pixels, the file {header.width} x {header.height}: "
            "it is not of this picture"
        )
    grain = reader.grain() if own else None
    corrections = None if grain is None else grain.at(1.0, session.device)
    shapes = [(c, -(-header.height // unit), -(-header.width // unit)) for c, unit in zip(BANDS, UNITS)]
    z = [np.empty(shape, np.float32) for shape in shapes]
    k = [np.empty(shape, np.float32) for shape in shapes]
    with Workers() as workers:
        for part in windows.errors(session, colour, reader.layout, reader.tile, reader.file.quantisation, workers):
            for level, unit in enumerate(UNITS):
                error, deviation = part.error[level], part.deviation[level]
                if corrections is not None:
                    mean, scale, floor = (a[0] for a in corrections[level])
                    error, deviation = error - mean, torch.hypot(scale * deviation, floor)
                _put(z[level], (error / deviation).cpu().numpy(), part.block.top // unit, part.block.left // unit)
                _put(k[level], part.k[level], part.block.top // unit, part.block.left // unit)
    return Whitened(z, k, np.split(~session.prior.coded(reader.file.quantisation), np.cumsum(BANDS)[:-1]))


def _put(whole: NDArray[np.float32], part: NDArray[np.float32], top: int, left: int) -> None:
    """Put a part into its place; what is outside the picture is left out."""
    room = whole[:, top : top + part.shape[1], left : left + part.shape[2]]
    room[...] = part[:, : room.shape[1], : room.shape[2]]


def groups(dropped: list[NDArray[np.bool_]]) -> Iterator[Group]:
    """The bands of a file, coarse to fine, luma before chroma, dropped before kept."""
    for level, lost in enumerate(dropped):
        for colour, members in (("luma", luma(len(lost))), ("chroma", chroma(len(lost)))):
            for wanted in (True, False):
                channels = [c for c in members if lost[c] == wanted]
                if channels:
                    yield Group(f"{NAMES[level]} {colour}", level, wanted, channels)


def around(k: list[NDArray[np.float32]], level: int) -> Iterator[NDArray[np.float32]]:
    """What the file holds at each place of a level, h,w each: its own coefficients and the coarser level's."""
    yield from k[level]
    height, width = k[level].shape[1:]
    for plane in k[level - 1] if level else ():
        yield plane.repeat(2, 0).repeat(2, 1)[:height, :width]


def correlation(z: NDArray[np.float32], known: Iterable[NDArray[np.float32]]) -> float:
    """The largest magnitude of the correlation of any channel of z (n,...) with any known plane (as many values) that
    varies; 0 where none does.
    """
    rows = z.reshape(len(z), -1)
    rows = rows - rows.mean(1, keepdims=True)
    sizes = np.linalg.norm(rows, axis=1)
    largest = 0.0
    for plane in known:
        other = plane.ravel() - plane.mean()
        size = float(np.linalg.norm(other))
        if size > 0:
            found = np.abs(rows @ other)[sizes > 0] / (sizes[sizes > 0] * size)
            largest = max(largest, float(found.max(initial=0)))
    return min(largest, 1.0)
