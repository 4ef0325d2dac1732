"""TIFF files of layouts that few programs write: planes, tiles, prediction, extra channels, either byte order."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np


def packbits(data: bytes) -> bytes:
    """PackBits, without looking for repetitions."""
    return b"".join(bytes([len(data[i : i + 128]) - 1]) + data[i : i + 128] for i in range(0, len(data), 128))


CODERS: dict[int, Callable[[bytes], bytes]] = {1: bytes, 8: zlib.compress, 32773: packbits}
_NUMBERS = {"photometric": 262}


def _blocks(plane: np.ndarray, rows: int, tile: tuple[int, int] | None) -> Iterator[np.ndarray]:
    """The strips or tiles of H,W,C samples; tiles are filled up."""
    height, width = plane.shape[:2]
    if tile is None:
        yield from (plane[top : top + rows] for top in range(0, height, rows))
        return
    for top, left in itertools.product(range(0, height, tile[0]), range(0, width, tile[1])):
        part = plane[top : top + tile[0], left : left + tile[1]]
        yield np.pad(part, ((0, tile[0] - part.shape[0]), (0, tile[1] - part.shape[1]), (0, 0)), "edge")


def tiff(
    samples: np.ndarray,
    *,
    order: str = "<",
    compression: int = 1,
    planar: bool = False,
    predictor: bool = False,
    tile: tuple[int, int] | None = None,
    **tags: int | tuple[int, ...],
) -> bytes:
    """A file of H,W[,C] samples of 8 or 16 bits in strips of 4 rows, or in tiles.

    order: "<" or ">"; tile: height and width; tags: `extra` (ExtraSamples; empty: no tag), `photometric`, `t274` and the
    like for any tag.
    """
    pixels = samples if samples.ndim == 3 else samples[..., None]
    height, width, count = pixels.shape
    extra = tags.pop("extra", (2,) if count in (2, 4) else ())
    extra = extra if isinstance(extra, tuple) else (extra,)
    planes = [pixels[..., [c]] for c in range(count)] if planar else [pixels]
    segments = []
    for block in itertools.chain.from_iterable(_blocks(plane, 4, tile) for plane in planes):
        if predictor:
            block = np.diff(block, axis=1, prepend=np.zeros_like(block[:, :1]))
        segments.append(CODERS[compression](block.astype(order + block.dtype.str[1:]).tobytes()))
    offsets = list(itertools.accumulate(map(len, segments), initial=8))
    values: dict[int, tuple[int, ...]] = {
        256: (width,), 257: (height,), 258: (8 * pixels.itemsize,) * count, 259: (compression,),
        262: (2 if count > 2 else 1,), 277: (count,), 284: (2 if planar else 1,), 317: (2 if predictor else 1,),
    }  # fmt: skip
    values |= {338: extra} if extra else {}
    names = (324, 325) if tile else (273, 279)
    values |= {names[0]: tuple(offsets[:-1]), names[1]: tuple(map(len, segments))}
    values |= {322: (tile[1],), 323: (tile[0],)} if tile else {278: (4,)}
    values |= {
        _NUMBERS.get(name) or int(name[1:]): value if isinstance(value, tuple) else (value,)
        for name, value in tags.items()
    }
    start = offsets[-1] + offsets[-1] % 2
    rest_at = start + 2 + 12 * len(values) + 4
    table, rest = struct.pack(order + "H", len(values)), b""
    for tag, numbers in sorted(values.items()):
        wide = tag in (*names,)
        data = struct.pack(f"{order}{len(numbers)}{'I' if wide else 'H'}", *numbers)
        table += struct.pack(order + "HHI", tag, 4 if wide else 3, len(numbers))
        table += data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(order + "I", rest_at + len(rest))
        rest += data + bytes(len(data) % 2) if len(data) > 4 else b""
    head = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, start)
    return head + b"".join(segments) + bytes(offsets[-1] % 2) + table + bytes(4) + rest
