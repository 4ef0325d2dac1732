"""Pictures to .irc bytes and back.

>>> import numpy as np, codec
>>> photo = np.full((40, 60, 3), 90, np.uint8)
>>> data = codec.encode(photo, quality=75)
>>> codec.decode(data).size
(60, 40)
"""

from __future__ import annotations

import copy
import functools
import math
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from codec.coding import draw, grain, windows
from codec.coding.progress import Meter, Progress
from codec.coding.quality_search import PASSES, QUALITY_STEPS, search
from codec.coding.salvage import Salvager, read_damaged
from codec.coding.tiles import Coded, Reader, Source, check, checksum, combined, join
from codec.container import bitstream, grid
from codec.container.grid import SCALES, Box, automatic, region_box
from codec.errors import DamagedError, IrcError
from codec.network import model as network
from codec.network.model import Codec, Latent
from codec.network.weights import Weights, load
from codec.pictures import formats
from codec.pictures.formats import Pixels
from entropy.config import BANDS, MULTIPLE
from entropy.integer import CLIP, Report
from entropy.integer import Latent as Held

if TYPE_CHECKING:
    from codec.coding.latent_search import Searcher

#: median error of one of our own pictures, in steps, at most; of any other picture it is about 0.2
OWN = 0.1
OWN_LEAST = 16  #: coefficients that say so, at least
ROUNDS = 12  #: of settling, at most
SETTLING = 7  #: that settling takes as a rule: there, then back and there again three times
#: of the work on a picture of one tile, what the coding of its latent takes (measured on 4 megapixels)
CODING, DECODING = 0.85, 0.5
SEARCHING = 0.95  #: of the coding, what a search takes

__all__ = ["checksum", "decode", "encode", "latent", "verify"]


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise IrcError("no CUDA device is available")
    return torch.device(name)


def _tensor(colour: Pixels) -> torch.Tensor:
    """1,3,H,W float32, last row and column repeated to multiples of 32 (mirroring costs more bits)."""
    h, w = colour.shape[:2]
    rest = [(0, 0)] * (colour.ndim - 2)
    return formats.planes(np.pad(colour, [(0, -h % MULTIPLE), (0, -w % MULTIPLE), *rest], "edge"))[None]


class _Session:
    """A weights file at work on one device."""

    def __init__(self, weights: Weights, device: torch.device):
        self.prior, self.device, self.name = weights.prior, device, weights.name
        self.model: Codec = weights.model if device.type == "cpu" else network_to(weights, device)

    def bands(self, colour: Pixels) -> list[torch.Tensor]:
        """H,W or H,W,3 samples of 8 or 16 bits -> bands, in float32."""
        return self.model.f((_tensor(colour).to(self.device) - network.MIDDLE) * network.UNIT)

    def latent(self, bands: list[torch.Tensor], quality: int) -> tuple[Latent, torch.Tensor]:
        """Bands at a quality (in 1/256); which bands are coded is the integer model's word."""
        q = torch.tensor([quality / QUALITY_STEPS], device=self.device)
        at = self.model.interpolator(q)
        split = lambda v: list(v[:, :, None, None].split(BANDS, 1))  # noqa: E731
        gain = split(torch.exp(at(self.model.log_gain)))
        coded = split(torch.from_numpy(self.prior.coded(quality).astype(np.float32)).to(self.device)[None])
        return Latent([b * g for b, g in zip(bands, gain)], coded, gain, split(self.model.deviation[None])), q

    def coefficients(self, latent: Latent, q: torch.Tensor) -> tuple[Held, NDArray[np.float32]]:
        """What `latent` gives -> side latent, coefficients that are not rounded (float32), and what
        `IntegerPrior.encode` wants to know to round them."""
        # what is not a number comes from crafted weights
        y = [(a * c).clamp(-CLIP, CLIP).nan_to_num() for a, c in zip(latent.k, latent.coded)]
        side = self.model.side_latent([a.round() for a in y], q).round().clamp(-CLIP, CLIP).nan_to_num()
        weight = torch.cat([w.flatten() for w in self.model.worth(latent, q)])
        return (Held(side[0].cpu().numpy().astype(np.int32), [a[0].cpu().numpy() for a in y]), weight.cpu().numpy())

    def quantise(self, bands: list[torch.Tensor], quality: int) -> Held:
        """Bands -> the nearest integers on the fixed grid."""
        held, _ = self.coefficients(*self.latent(bands, quality))
        return self.nearest(held)

    @staticmethod
    def nearest(held: Held) -> Held:
        return Held(held.side, [np.rint(a).astype(np.int32) for a in held.k])

    def recognises(self, latent: Latent, q: torch.Tensor) -> bool:
        """Whether the coefficients at 1/16 lie where this head would put them: the picture was decoded from a file of
        this quality (at temperature 0), and only its samples were rounded and clipped since."""
        y, coded = latent.k[0], latent.coded[0] > 0
        k = y.round() * coded
        said = self.model.lost([k], latent, q, scales=False)[0]
        error = (y - k - said.offset).abs()[coded & (k != 0)]
        return len(error) >= OWN_LEAST and error.median().item() < OWN

    def code(
        self, bands: list[torch.Tensor], quality: int, effort: int = 0, report: Report | None = None
    ) -> tuple[bytes, Held]:
        """Bands -> stream and the latent that it holds, each coefficient rounded by cost; effort: 0..9."""
        latent, q = self.latent(bands, quality)
        held, weight = self.coefficients(latent, q)
        if self.recognises(latent, q):  # its latent is known: anything else would be a generation of loss
            return self.prior.encode(self.nearest(held), quality, report=report)
        if effort:
            held = self.searcher.refine(latent, held, q, effort, report and (lambda share: report(SEARCHING * share)))
        walked = report and (lambda share: report((1 - SEARCHING) * share)) if effort else report
        return self.prior.encode(held, quality, weight, walked)

    @functools.cached_property
    def searcher(self) -> Searcher:
        from codec.coding.latent_search import Searcher  # most encoders never search

        return Searcher(self)

    def _on_device(self, arrays: list[NDArray[np.float32]]) -> list[torch.Tensor]:
        return [torch.from_numpy(a)[None].to(self.device) for a in arrays]

    def errors(
        self, bands: list[torch.Tensor], k: list[NDArray[np.float32]], quality: int
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """What rounding took from bands whose integers are k, as `Codec.errors` has it."""
        values = self._on_device(k)
        latent, q = self.latent(bands, quality)
        return self.model.errors(values, latent, self.model.lost(values, latent, q))

    def render(
        self,
        k: list[NDArray[np.float32]],
        quality: int,
        z: list[NDArray[np.float32]] | None,
        scale: int = 1,
        noise: list[tuple[torch.Tensor, ...]] | None = None,
    ) -> torch.Tensor:
        """Integers C,h,w of the levels that 1/scale needs, z (times the temperature) and the picture's noise at that
        temperature -> pixels 1,3,H,W, not clipped."""
        values = self._on_device(k)
        latent, q = self.latent(values, quality)
        drawn = None if z is None else self._on_device(z)
        bands = self.model.restore(values, latent, self.model.lost(values, latent, q, z is not None), drawn, noise)
        return self.model.synthesise(bands) if scale == 1 else self.model.reduce(bands, scale)


def network_to(weights: Weights, device: torch.device) -> Codec:
    """The float networks on another device."""
    return copy.deepcopy(weights.model).to(device)


@functools.lru_cache(maxsize=8)
def _session(name: bytes | None, device: torch.device) -> _Session:
    return _Session(load(name), device)


def _assembled(shape: tuple[int, int], pieces: Iterable[tuple[Box, torch.Tensor]], mode: int) -> Pixels:
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


def _settle(source: Source, quality: int, meter: Meter) -> list[Coded]:
    """Tiles that their own decoded picture encodes to again, reached by doing just that.

    The grid is fixed and offsets stay inside the bins, so only clipping, rounding of samples and, rarely, rounding by
    cost move a coefficient; a few rounds end it. After `ROUNDS` without an end the last ones are kept: as good, only
    not a fixed point.
    """
    height, width = source.pixels.shape[:2]
    mode = formats.mode_of(source.pixels)
    count, blocks = len(source.tiles), len(grid.blocks(height, width))
    held = list(meter.watch(source.code(quality), count))
    for _ in range(ROUNDS):
        latents = [t.latent for t in held]
        pieces = windows.pictures(source.session, height, width, source.tile_size, latents.__getitem__, quality, 0.0, 0)
        back = _assembled((height, width), meter.watch(pieces, blocks), mode)
        decoded = Source(source.session, back, source.tile_size, source.workers)
        decoded.report = source.report
        again = list(meter.watch(decoded.code(quality), count))
        settled = [t.checksum for t in again] == [t.checksum for t in held]
        held = again
        if settled:
            break
    return held


class _Part(NamedTuple):
    """What a file keeps of a coded tile. Its latent is not kept: those of a large picture take more memory than its
    pixels."""

    stream: bytes
    checksum: int


def _measured(source: Source, quality: int, meter: Meter) -> tuple[list[_Part], bytes | None]:
    """All tiles coded, and the noise of the picture, in one walk."""
    parts: dict[int, _Part] = {}

    def load(number: int) -> Held:
        tile = source.tile(number, quality)
        parts[number] = _Part(tile.stream, tile.checksum)
        return tile.latent

    walk = windows.measure(source.session, source.pixels, source.tile_size, load, quality, source.workers)
    *_, sums = meter.watch(walk, len(grid.blocks(*source.pixels.shape[:2])))
    return [parts[i] for i in range(len(parts))], sums.payload(source.session.prior.coded(quality))


def _file(
    session: _Session,
    parts: Iterable[_Part | Coded],
    quality: int,
    shape: tuple[int, ...],
    tile_size: int,
    temperature: float,
    seed: int,
    extras: Mapping[str, bytes],
    mode: int = 1,
) -> bytes:
    streams, checksums = zip(*((part.stream, part.checksum) for part in parts))
    header = bitstream.Header.of(
        shape[1],
        shape[0],
        quality / 256,
        mode=mode,
        temperature=temperature,
        seed=seed,
        tile_size=tile_size,
        weights=session.name,
        checksum=combined(checksums),
    )
    if header.temperature:
        extras = {**extras, bitstream.DRAW: bytes([draw.VERSION])}
    return bitstream.write(header, streams, extras, checksums)


@torch.no_grad()
def encode(
    image: Image.Image | NDArray[Any],
    quality: float = 75.0,
    *,
    bpp: float | None = None,
    size: int | None = None,
    psnr: float | None = None,
    temperature: float = 0.0,
    seed: int = 0,
    extras: Mapping[str, bytes] | None = None,
    stable: bool = False,
    effort: int = 0,
    device: str = "auto",
    tile: int | None = None,
    progress: Progress | None = None,
) -> bytes:
    """Encode a picture to the bytes of an .irc file.

    image: PIL image (L, LA, RGB, RGBA, I;16) or uint8 or uint16 array: H,W (grey), H,W,2 (grey, alpha), H,W,3 (RGB) or
    H,W,4 (RGB, alpha). Alpha is kept without loss, whatever the quality. quality: 0..100. Instead of it, one of bpp
    (bits a pixel of the whole file, at most), size (bytes, at most), psnr (dB over grey or RGB, at least; at
    temperature 0). temperature (0..2) and seed (0..65535) are kept in the file for the decoder, above 0 together with
    the noise of the picture (codec/coding/grain.py; not with `stable`). extras: chunk types to payloads.
    stable: encode, decode and encode until the file is a fixed point, so that encoding its decoded picture (at
    temperature 0) at the same quality gives the same file; takes several times as long.
    effort: 0 is one pass; 1..9 search for a better latent by gradient steps (coding/latent_search.py), which takes
    seconds to minutes a megapixel; not with bpp, size or psnr. A picture decoded from a file of this quality is
    recognised, and keeps its latent at any effort.
    tile: side in pixels of tiles that are coded independently, a multiple of 32; 0: one tile, in memory as a whole;
    None: 0 up to 4 megapixels, 1024 beyond. progress: called with (work done, work in all), now and then.
    Raises InputError, TargetError, WeightsError, ValueError.

        >>> import numpy as np
        >>> data = encode(np.zeros((8, 8, 3), np.uint8), quality=50)
        >>> decode(data, array=True).shape
        (8, 8, 3)
    """
    if sum(v is not None for v in (bpp, size, psnr)) > 1:
        raise ValueError("at most one of bpp, size and psnr")
    for name, value, high in (("quality", quality, 100), ("temperature", temperature, 2), ("seed", seed, 65535)):
        if not (math.isfinite(value) and 0 <= value <= high):
            raise ValueError(f"{name} must be in 0..{high}, not {value}")
    for name, target in (("bpp", bpp), ("size", size), ("psnr", psnr)):
        if target is not None and not math.isfinite(target):
            raise ValueError(f"{name} must be finite, not {target}")
    if effort not in range(10):
        raise ValueError(f"effort must be in 0..9, not {effort}")
    searched = psnr is not None or bpp is not None or size is not None
    if effort and searched:
        raise ValueError("effort goes with a quality, not with bpp, size or psnr")
    if tile is not None and not (0 <= tile <= 65535 and tile % MULTIPLE == 0):
        raise ValueError(f"tile must be 0 or a multiple of {MULTIPLE} up to 65535, not {tile}")
    colour, alpha = formats.split(formats.of_image(image) if isinstance(image, Image.Image) else image)
    extras, mode = dict(extras or {}), formats.mode_of(colour)
    if alpha is not None:
        extras[bitstream.ALPHA] = formats.pack_alpha(alpha)
    # a decoded picture has lost its noise: in a file that is to be a fixed point there is none
    drawn = round(64 * temperature) > 0 and not stable
    for kind in (bitstream.NOISE, bitstream.DRAW):  # of another file
        extras.pop(kind, None)
    session = _session(None, _device(device))
    shape = colour.shape
    tile_size = automatic(*shape[:2]) if tile is None else tile
    source = Source(session, colour, tile_size, windows.default_workers(), searched, effort)
    count, blocks = len(source.tiles), len(grid.blocks(*shape[:2]))
    rounds = PASSES * searched + SETTLING * stable or 1
    meter = Meter(progress, count, rounds, CODING if count == 1 else 0)
    source.report = meter.part

    def file(parts: Iterable[_Part | Coded], code: int, own: bytes | None = None) -> bytes:
        more = extras if own is None else extras | {bitstream.NOISE: own}
        return _file(session, parts, code, shape, tile_size, temperature, seed, more, mode)

    def make(code: int, measured: bool = drawn) -> bytes:
        if measured:
            parts, own = _measured(source, code, meter)
            return file(parts, code, own)
        tiles = meter.watch(source.code(code), count)
        return file(tiles, code, bytes(grain.size(session.prior.coded(code))) if drawn else None)

    fitting: list[bytes] = []  # the file of the highest quality so far whose size fits
    if psnr is not None:

        def reached(code: int) -> float:
            pieces = windows.pictures(
                session,
                shape[0],
                shape[1],
                tile_size,
                lambda i: source.tile(i, code).latent,
                code,
                0.0,
                0,
                workers=source.workers,
            )
            error = 0.0
            for box, x in meter.watch(pieces, blocks):
                given = colour[box.top : box.bottom, box.left : box.right]
                out = formats.samples(x, formats.is_grey(mode), formats.depth_of(mode))
                error += float(((out.astype(np.float32) - given) ** 2).sum(dtype=np.float64))
            error /= colour.size
            return 10 * math.log10(np.iinfo(colour.dtype).max ** 2 / error) if error else math.inf

        code = search(reached, psnr, False, "PSNR")
    elif bpp is not None or size is not None:
        limit = size if size is not None else int(bpp * shape[0] * shape[1] / 8)  # type: ignore[operator]
        unit = 1.0 if size is not None else 8 / (shape[0] * shape[1])

        def large(code: int) -> float:
            data = make(code, measured=False)  # of the size that it will have
            if len(data) <= limit and not drawn:
                fitting[:] = [data]
            return len(data) * unit

        code = search(large, limit * unit, True, "size" if size is not None else "bpp")
    else:
        code = round(quality * 256)
    if stable:
        data = file(_settle(source, code, meter), code)
    else:
        data = fitting[0] if fitting else make(code)
    meter.end()
    return data


def _read(data: bytes, max_pixels: int | None, device: str) -> Reader:
    file = bitstream.read(data, max_pixels)
    check(file)
    return _reader(file, device)


def _reader(file: bitstream.File, device: str) -> Reader:
    return Reader(_session(file.header.weights, _device(device)), file)


@overload
def decode(
    data: bytes,
    *,
    temperature: float | None = ...,
    seed: int | None = ...,
    array: Literal[False] = ...,
    depth: int = ...,
    device: str = ...,
    max_pixels: int | None = ...,
    region: tuple[int, int, int, int] | None = ...,
    scale: int = ...,
    salvage: bool = ...,
    notes: list[str] | None = ...,
    progress: Progress | None = ...,
) -> Image.Image: ...
@overload
def decode(
    data: bytes,
    *,
    temperature: float | None = ...,
    seed: int | None = ...,
    array: Literal[True],
    depth: int = ...,
    device: str = ...,
    max_pixels: int | None = ...,
    region: tuple[int, int, int, int] | None = ...,
    scale: int = ...,
    salvage: bool = ...,
    notes: list[str] | None = ...,
    progress: Progress | None = ...,
) -> Pixels: ...
@torch.no_grad()
def decode(
    data: bytes,
    *,
    temperature: float | None = None,
    seed: int | None = None,
    array: bool = False,
    depth: int = 8,
    device: str = "auto",
    max_pixels: int | None = bitstream.DEFAULT_MAX_PIXELS,
    region: tuple[int, int, int, int] | None = None,
    scale: int = 1,
    salvage: bool = False,
    notes: list[str] | None = None,
    progress: Progress | None = None,
) -> Image.Image | Pixels:
    """Decode the bytes of an .irc file to a PIL image, or (array=True) to an array of the shapes that `encode` takes.

    depth: 8 or 16 bits a sample, whatever was encoded; colour of 16 bits and 16 bits with alpha only as an array.
    temperature and seed override the file's: 0 gives the most likely picture (best PSNR), 1 draws what was lost.
    region: (x, y, width, height) in pixels; only the tiles it needs are decoded, and it equals the crop of the
    whole picture. scale: 1, 2, 4, 8 or 16; only the coarse levels are decoded, sides are divided by it and rounded up.
    salvage: decode what is whole of a damaged file of several tiles and fill the rest from around it; what is lost is
    appended to `notes`, one line (without `notes`, a warning). progress: called with (work done, work in all).
    Raises InputError, DamagedError, WeightsError, ValueError.

        >>> import numpy as np
        >>> data = encode(np.full((50, 70, 3), 200, np.uint8), 90)
        >>> decode(data).size, decode(data, region=(60, 0, 10, 5)).size, decode(data, scale=8).size
        ((70, 50), (10, 5), (9, 7))
    """
    if temperature is not None and not 0 <= temperature <= 2:
        raise ValueError(f"temperature must be in 0..2, not {temperature}")
    if depth not in formats.DEPTHS:
        raise ValueError(f"depth must be 8 or 16, not {depth}")
    if scale not in SCALES:
        raise ValueError(f"scale must be one of {', '.join(map(str, SCALES))}, not {scale}")
    tiles: Reader | Salvager
    if salvage:
        found = read_damaged(data, max_pixels)
        reader = _reader(found.file, device)
        tiles = Salvager(reader, found)
    else:
        tiles = reader = _read(data, max_pixels, device)
    h = reader.file.header
    box = Box(0, 0, h.height, h.width) if region is None else region_box(region, h.height, h.width)
    levels = windows.LEVELS[scale]
    pieces = windows.pictures(
        reader.session,
        h.height,
        h.width,
        h.tile_size,
        lambda i: tiles.tile(i, levels),
        h.quality_code,
        h.temperature if temperature is None else temperature,
        h.seed if seed is None else seed,
        box,
        scale,
        windows.default_workers(),
        tiles.noise(),
        reader.file.draw,
    )
    shape = -(-box.bottom // scale) - box.top // scale, -(-box.right // scale) - box.left // scale
    blocks = sum(1 for b in grid.blocks(h.height, h.width, scale) if b.meet(box))
    meter = Meter(progress, blocks, parts=DECODING if len(reader.tiles) == 1 else 0)
    reader.report = meter.part
    colour = _assembled(
        shape, meter.watch(pieces, blocks), (not formats.is_grey(h.mode)) + 2 * formats.DEPTHS.index(depth)
    )
    packed = reader.file.extras.get(bitstream.ALPHA)
    meter.end()
    alpha = None if packed is None else tiles.alpha(packed)
    pixels = formats.join(colour, None if alpha is None else formats.reduce(alpha, box, scale))
    if isinstance(tiles, Salvager) and len(tiles.lost) == len(reader.tiles):
        raise DamagedError("no tile decodes")
    if isinstance(tiles, Salvager) and (report := tiles.report(box)):
        if notes is None:
            warnings.warn(report, stacklevel=2)
        else:
            notes.append(report)
    return pixels if array else formats.to_image(pixels)


@torch.no_grad()
def verify(
    data: bytes, *, max_pixels: int | None = bitstream.DEFAULT_MAX_PIXELS, progress: Progress | None = None
) -> None:
    """Decode latent and alpha, compare the latent's checksum; raises what `decode` would, else returns nothing.

    >>> import numpy as np
    >>> verify(encode(np.zeros((8, 8, 3), np.uint8)))
    """
    reader = _read(data, max_pixels, "cpu")
    count = len(reader.tiles)
    if (alpha := reader.file.extras.get(bitstream.ALPHA)) is not None:
        reader.alpha(alpha)
    reader.noise()
    if reader.file.header.temperature:
        draw.check(reader.file.draw)
    steps = [[i] for i in range(count)]
    meter = Meter(progress, count, parts=1 if count == 1 else 0)
    reader.report = meter.part
    for _ in meter.watch(windows.Ahead(reader.tile, steps, windows.default_workers()), count):
        pass
    meter.end()


def latent(data: bytes) -> Held:
    """The integers that a file holds: side latent and four levels, tiles put together (for tests and research)."""
    reader = _read(data, None, "cpu")
    return join([reader.tile(i) for i in range(len(reader.tiles))], reader.tiles)
