"""A whole picture: its tiles encoded, settled or measured and put into a file; its blocks decoded and assembled."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import torch

from codec.coding import draw, grain, windows
from codec.coding.ahead import Ahead, Workers
from codec.coding.latent_search import Searcher
from codec.coding.options import EncodeOptions
from codec.coding.progress import Meter, Progress
from codec.coding.quality_search import PASSES, SCORE_SLOPE, search
from codec.coding.tiles import EncodedTile, Reader, Source
from codec.coding.tunes import TUNES, is_smooth
from codec.coding.windows import View
from codec.container import bitstream
from codec.container.damaged import combined
from codec.container.grid import LEVELS, Box, Layout
from codec.errors import InputError
from codec.metrics.ssimulacra2 import MIN_SIDE, ssimulacra2
from codec.network.session import Session
from codec.pictures import formats, hidden
from codec.pictures.formats import Pixels
from entropy.latent import Latent
from entropy.quantisation import Quantisation

ROUNDS = 12  #: of settling, at most
SETTLING = 7  #: that settling takes as a rule: there, then back and there again three times
#: Of the work on a picture of one tile, what the coding of its latent takes (measured on 4 megapixels).
ENCODING, DECODING = 0.85, 0.5


class Part(NamedTuple):
    """What a file keeps of an encoded tile. Its latent is not kept: those of a large picture take more memory than its
    pixels.
    """

    stream: bytes
    checksum: int


def assembled(shape: tuple[int, int], pieces: Iterable[tuple[Box, torch.Tensor]], mode: int) -> Pixels:
    """Samples of a mode from the pieces of a picture or of a part of it, whose upper left piece comes first."""
    grey, depth = formats.is_grey(mode), formats.depth_of(mode)
    whole = shape if grey else (*shape, 3)
    out: Pixels = np.empty(whole, np.uint8) if depth == 8 else np.empty(whole, np.uint16)
    origin: Box | None = None
    for box, x in pieces:
        origin = origin or box
        here = box.within(Box(origin.top, origin.left, origin.top + shape[0], origin.left + shape[1]))
        out[here] = formats.samples(x, grey, depth)
    return out


class PictureEncoder:
    """A picture on its way into a file.

    pixels: colour, H,W or H,W,3 samples of 8 or 16 bits, and alpha, H,W or None. extras: the file's ancillary chunks,
    alpha and the picture's grain left out.
    """

    def __init__(
        self,
        session: Session,
        pixels: tuple[Pixels, Pixels | None],
        options: EncodeOptions,
        extras: Mapping[str, bytes],
        workers: Workers,
    ):
        self.alpha, colour = pixels[1], hidden.filled(*pixels)
        self.tune, self.smooth = TUNES[options.tune], is_smooth(colour)
        height, width = colour.shape[:2]
        automatic = Layout.automatic(height, width)
        self.session, self.colour, self.options, self.extras = session, colour, options, dict(extras)
        if self.alpha is not None:
            self.extras[bitstream.ALPHA] = formats.pack_alpha(self.alpha)
        self.layout = automatic if options.tile is None else Layout(height, width, options.tile)
        self.header = bitstream.Header.of(
            width,
            height,
            options.quality,
            mode=formats.mode_of(colour),
            temperature=options.temperature,
            seed=options.seed,
            tile_size=self.layout.tile_size,
            weights=session.name,
        )
        # a decoded picture has lost its grain: in a file that is to be a fixed point there is none
        self.drawn = self.header.temperature_code > 0 and not options.stable
        self.tiles, self.blocks = len(self.layout.tiles), len(self.layout.blocks())
        rounds = PASSES * options.searched + SETTLING * options.stable or 1
        self.meter = Meter(options.progress, self.tiles, rounds, ENCODING if self.tiles == 1 else 0)
        self.source = Source(
            session,
            colour,
            self.layout,
            workers,
            self.meter.part,
            Searcher(session, options.effort) if options.effort else None,
            options.searched,
            self._unfilled(pixels[0], colour),
            self.tune.masked,
        )

    def encode(self) -> bytes:
        """The file that the options ask for; TargetError where there is none."""
        quality, data = self._searched() if self.options.searched else (self.header.quality_code, None)
        if self.options.stable:
            data = self._file(self._settled(quality), quality)
        elif self.drawn:
            data = self._measured(quality)
        elif data is None:
            data = self._file(self._encoded(quality), quality)
        self.meter.end()
        return data

    def _file(self, tiles: Iterable[EncodedTile | Part], quality: int, own: bytes | None = None) -> bytes:
        """The bytes of the file of these tiles; own: the picture's grain."""
        parts = [Part(tile.stream, tile.checksum) for tile in tiles]
        checksums = [part.checksum for part in parts]
        header = dataclasses.replace(self.header, quality_code=quality, checksum=combined(checksums))
        steps = self.tune.steps(quality, self.smooth)
        extras = self.extras if own is None else self.extras | {bitstream.NOISE: own}
        if header.temperature:
            extras = extras | {bitstream.DRAW: bytes([draw.VERSION])}
        return bitstream.write(header, [part.stream for part in parts], extras, checksums, steps)

    @staticmethod
    def _unfilled(given: Pixels, filled: Pixels) -> Pixels | None:
        """What a source knows of colour under alpha 0."""
        return None if filled is given else given

    def _quantised(self, quality: int) -> Quantisation:
        """How finely a quality quantises this picture."""
        steps = self.tune.steps(quality, self.smooth)
        return Quantisation(quality, steps.offsets if steps else ())

    def _encoded(self, quality: int) -> Iterable[EncodedTile]:
        return self.meter.watch(self.source.encode(self._quantised(quality)), self.tiles)

    def _measured(self, quality: int) -> bytes:
        """All tiles encoded, and the grain of the picture measured, in one walk."""
        parts: dict[int, Part] = {}
        quantised = self._quantised(quality)

        def load(number: int) -> Latent:
            tile = self.source.tile(number, quantised)
            parts[number] = Part(tile.stream, tile.checksum)
            return tile.latent

        walk = windows.measure(self.session, self.colour, self.layout, load, quantised, self.source.workers)
        *_, sums = self.meter.watch(walk, self.blocks)
        own = sums.payload(self.session.prior.coded(quantised))
        return self._file([parts[i] for i in range(self.tiles)], quality, own)

    def _settled(self, quality: int) -> list[EncodedTile]:
        """Tiles that their own decoded picture encodes to again, reached by doing just that.

        The grid is fixed and offsets stay inside the bins, so only clipping, rounding of samples and, rarely, rounding
        by cost move a coefficient; a few rounds end it. After `ROUNDS` without an end the last ones are kept: as good,
        only not a fixed point.
        """
        tiles, quantised = list(self._encoded(quality)), self._quantised(quality)
        for _ in range(ROUNDS):
            latents = [tile.latent for tile in tiles]
            pieces = windows.pictures(
                self.session, self.layout, latents.__getitem__, View(quantised), self.source.workers
            )
            shape = self.layout.height, self.layout.width
            back = assembled(shape, self.meter.watch(pieces, self.blocks), self.header.mode)
            colour = hidden.filled(back, self.alpha)
            if is_smooth(colour) != self.smooth:  # its noise is gone, and it would be encoded with other steps
                self.smooth = not self.smooth
                tiles, quantised = list(self._encoded(quality)), self._quantised(quality)
                continue
            decoded = dataclasses.replace(
                self.source, pixels=colour, unfilled=self._unfilled(back, colour), refiner=None, keep=False
            )
            again = list(self.meter.watch(decoded.encode(quantised), self.tiles))
            settled = [tile.checksum for tile in again] == [tile.checksum for tile in tiles]
            tiles = again
            if settled:
                break
        return tiles

    def _decoded(self, quality: int) -> Iterable[tuple[Box, torch.Tensor]]:
        """What the file of a quality decodes to at temperature 0, piece by piece."""
        quantised = self._quantised(quality)
        latent = lambda number: self.source.tile(number, quantised).latent  # noqa: E731
        pieces = windows.pictures(self.session, self.layout, latent, View(quantised), self.source.workers)
        return self.meter.watch(pieces, self.blocks)

    def _psnr(self, quality: int) -> float:
        """PSNR in dB over all samples of the picture decoded at temperature 0; those under alpha 0 do not count."""
        grey, depth = formats.is_grey(self.header.mode), formats.depth_of(self.header.mode)
        error, seen = 0.0, None if self.alpha is None else self.alpha > 0
        for box, x in self._decoded(quality):
            given = self.colour[box.top : box.bottom, box.left : box.right]
            out = formats.samples(x, grey, depth)
            squared = (out.astype(np.float32) - given) ** 2
            if seen is not None:
                squared = squared[seen[box.top : box.bottom, box.left : box.right]]
            error += float(squared.sum(dtype=np.float64))
        error /= self.colour.size if seen is None else max(1, int(seen.sum())) * (1 if grey else 3)
        return 10 * math.log10(np.iinfo(self.colour.dtype).max ** 2 / error) if error else math.inf

    def _score(self, quality: int) -> float:
        """SSIMULACRA2 of the picture decoded at temperature 0, in 8 bits; where alpha is 0 it has no errors."""
        out = assembled(self.colour.shape[:2], self._decoded(quality), self.header.mode)
        if self.alpha is not None:
            out[self.alpha == 0] = self.colour[self.alpha == 0]
        three = lambda a: np.broadcast_to(np.atleast_3d(formats.to_depth(a, 8)), (*out.shape[:2], 3))  # noqa: E731
        return ssimulacra2(three(self.colour), three(out))

    def _searched(self) -> tuple[int, bytes | None]:
        """The quality that meets the target, and the file where it has been made on the way."""
        options = self.options
        if options.psnr is not None:
            return search(self._psnr, options.psnr, False, "PSNR"), None
        if options.ssimulacra2 is not None:
            if min(self.layout.height, self.layout.width) < MIN_SIDE:
                raise InputError(f"SSIMULACRA2 needs a picture of at least {MIN_SIDE} pixels a side")
            return search(self._score, options.ssimulacra2, False, "SSIMULACRA2", SCORE_SLOPE), None
        pixels = self.layout.height * self.layout.width
        if options.size is not None:
            what, limit, unit = "size", options.size, 1.0
        elif options.bpp is not None:
            what, limit, unit = "bpp", int(options.bpp * pixels / 8), 8 / pixels
        else:
            raise ValueError("there is no target")
        best: bytes | None = None  # the file of the highest quality so far that fits

        def large(quality: int) -> float:
            nonlocal best
            # of the size that it will have
            own = bytes(grain.size(self.session.prior.coded(self._quantised(quality)))) if self.drawn else None
            data = self._file(self._encoded(quality), quality, own)
            if len(data) <= limit:
                best = data
            return len(data) * unit

        return search(large, limit * unit, True, what), best


def decode(reader: Reader, view: View, depth: int, workers: Workers, progress: Progress | None = None) -> Pixels:
    """What a view shows of a file: samples of 8 or 16 bits (depth), h,w or h,w,3, alpha appended; DamagedError."""
    header, layout = reader.file.header, reader.layout
    region = view.region or layout.picture
    small = region.reduced(view.scale)
    blocks, levels = len(layout.blocks(view.scale, region)), LEVELS[view.scale]
    meter = Meter(progress, blocks, parts=DECODING if len(layout.tiles) == 1 else 0)
    reader.progress = meter.part
    pieces = windows.pictures(reader.session, layout, lambda i: reader.tile(i, levels), view, workers)
    mode = (not formats.is_grey(header.mode)) + 2 * formats.DEPTHS.index(depth)
    colour = assembled((small.height, small.width), meter.watch(pieces, blocks), mode)
    meter.end()
    alpha = reader.alpha()
    return formats.join(colour, None if alpha is None else formats.reduce(alpha, region, view.scale))


def verify(reader: Reader, workers: Workers, progress: Progress | None = None) -> None:
    """Decode the integers of every tile, alpha and grain, without making a picture; DamagedError."""
    reader.alpha()
    reader.grain()
    if reader.file.header.temperature:
        draw.check(reader.file.draw)
    count = len(reader.layout.tiles)
    meter = Meter(progress, count, parts=1 if count == 1 else 0)
    reader.progress = meter.part
    for _ in meter.watch(Ahead(reader.tile, [[i] for i in range(count)], workers), count):
        pass
    meter.end()
