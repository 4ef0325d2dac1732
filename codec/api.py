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
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from codec import bitstream, kinds, network
from codec.errors import DamagedError, InputError, IrcError, TargetError
from codec.kinds import Pixels
from codec.network import Codec, Latent
from codec.weights import Weights, load
from entropy.coder import CorruptStream
from entropy.config import BANDS, MULTIPLE
from entropy.integer import CLIP
from entropy.integer import Latent as Coded

QUALITY_STEPS = 25600  #: qualities are multiples of 1/256
ROUNDS = 12            #: of settling, at most


def checksum(latent: Coded) -> int:
    """CRC-32 over side latent and coefficients, little-endian int32, coarse to fine."""
    value = 0
    for array in (latent.side, *latent.k):
        value = zlib.crc32(np.ascontiguousarray(array, "<i4"), value)
    return value


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
    return kinds.planes(np.pad(colour, [(0, -h % MULTIPLE), (0, -w % MULTIPLE), *rest], "edge"))[None]


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

    def quantise(self, bands: list[torch.Tensor], quality: int) -> Coded:
        """Bands -> integers on the fixed grid."""
        latent, q = self.latent(bands, quality)
        k = [(a * c).round().clamp(-CLIP, CLIP) for a, c in zip(latent.k, latent.coded)]
        side = self.model.side_latent(k, q).round().clamp(-CLIP, CLIP)
        whole = lambda t: t[0].cpu().numpy().astype(np.int32)  # noqa: E731
        return Coded(whole(side), [whole(a) for a in k])

    def picture(self, coded: Coded, quality: int, height: int, width: int, temperature: float, seed: int,
                grey: bool, depth: int) -> Pixels:
        """Integers -> H,W or H,W,3 samples; z is drawn from `seed` where the temperature is above 0."""
        k = [torch.from_numpy(a.astype(np.float32))[None].to(self.device) for a in coded.k]
        latent, q = self.latent(k, quality)
        z = None
        if temperature > 0:
            random = np.random.Generator(np.random.PCG64(seed))
            z = [torch.from_numpy(random.standard_normal(a.shape, np.float32) * np.float32(temperature)).to(self.device)
                 for a in k]
        bands = self.model.restore(k, latent, self.model.lost(k, latent, q), z)
        return kinds.samples(self.model.synthesise(bands)[0, :, :height, :width], grey, depth)


def network_to(weights: Weights, device: torch.device) -> Codec:
    """The float networks on another device."""
    return copy.deepcopy(weights.model).to(device)


@functools.lru_cache(maxsize=8)
def _session(name: bytes | None, device: torch.device) -> _Session:
    return _Session(load(name), device)


def _settle(session: _Session, coded: Coded, quality: int, shape: tuple[int, ...], mode: int) -> Coded:
    """A latent that its own decoded picture encodes to again, reached by doing just that.

    The grid is fixed and offsets stay inside the bins, so only clipping and rounding of samples move a coefficient;
    a few rounds end it. After `ROUNDS` without an end the last latent is kept: it is as good, only not a fixed point.
    """
    held = session.prior.encode(coded, quality)[1]
    for _ in range(ROUNDS):
        pixels = session.picture(held, quality, shape[0], shape[1], 0.0, 0, kinds.is_grey(mode), kinds.depth_of(mode))
        again = session.prior.encode(session.quantise(session.bands(pixels), quality), quality)[1]
        if checksum(again) == checksum(held):
            break
        held = again
    return held


def _file(session: _Session, coded: Coded, quality: int, shape: tuple[int, ...], temperature: float, seed: int,
          extras: Mapping[str, bytes], mode: int = 1) -> tuple[bytes, Coded]:
    stream, held = session.prior.encode(coded, quality)
    header = bitstream.Header.of(shape[1], shape[0], quality / 256, mode=mode, temperature=temperature, seed=seed,
                                 weights=session.name, checksum=checksum(held))
    return bitstream.write(header, [stream], dict(extras)), held


def _search(measure: Callable[[int], float], target: float, at_most: bool, what: str) -> int:
    """The highest quality whose measure is at most the target, or the lowest whose measure reaches it.

    The measure grows with quality; TargetError names the nearest value that can be had.
    """
    first, last = measure(0), measure(QUALITY_STEPS)
    if at_most and first > target:
        raise TargetError(f"{what} {target:g} cannot be reached: the least is {first:g}", first)
    if not at_most and last < target:
        raise TargetError(f"{what} {target:g} cannot be reached: the most is {last:g}", last)
    if at_most and last <= target:
        return QUALITY_STEPS
    if not at_most and first >= target:
        return 0
    low, high = 0, QUALITY_STEPS  # measure(low) on one side of the target, measure(high) on the other
    while high - low > 1:
        middle = (low + high) // 2
        value = measure(middle)
        if (value <= target) if at_most else (value < target):
            low = middle
        else:
            high = middle
    return low if at_most else high


@torch.no_grad()
def encode(image: Image.Image | NDArray[Any], quality: float = 75.0, *, bpp: float | None = None,
           size: int | None = None, psnr: float | None = None, temperature: float = 0.0, seed: int = 0,
           extras: Mapping[str, bytes] | None = None, stable: bool = False, device: str = "auto") -> bytes:
    """Encode a picture to the bytes of an .irc file.

    image: PIL image (L, LA, RGB, RGBA, I;16) or uint8 or uint16 array: H,W (grey), H,W,2 (grey, alpha), H,W,3 (RGB) or
    H,W,4 (RGB, alpha). Alpha is kept without loss, whatever the quality. quality: 0..100. Instead of it, one of bpp
    (bits a pixel of the whole file, at most), size (bytes, at most), psnr (dB over grey or RGB, at least; at
    temperature 0). temperature (0..2) and seed (0..65535) are kept in the file for the decoder. extras: chunk types to
    payloads (codec.bitstream).
    stable: encode, decode and encode until the file is a fixed point, so that encoding its decoded picture (at
    temperature 0) at the same quality gives the same file; takes several times as long.
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
    colour, alpha = kinds.split(kinds.of_image(image) if isinstance(image, Image.Image) else image)
    extras, mode = dict(extras or {}), kinds.mode_of(colour)
    if alpha is not None:
        extras[bitstream.ALPHA] = kinds.pack_alpha(alpha)
    session = _session(None, _device(device))
    bands = session.bands(colour)
    shape, kind = colour.shape, (kinds.is_grey(mode), kinds.depth_of(mode))

    def make(code: int) -> tuple[bytes, Coded]:
        return _file(session, session.quantise(bands, code), code, shape, temperature, seed, extras, mode)

    if psnr is not None:
        def reached(code: int) -> float:
            out = session.picture(make(code)[1], code, shape[0], shape[1], 0.0, 0, *kind)
            error = float(((out.astype(np.float32) - colour) ** 2).mean())
            return 10 * math.log10(np.iinfo(colour.dtype).max ** 2 / error) if error else math.inf
        code = _search(reached, psnr, False, "PSNR")
    elif bpp is not None or size is not None:
        limit = size if size is not None else int(bpp * shape[0] * shape[1] / 8)  # type: ignore[operator]
        unit = 1.0 if size is not None else 8 / (shape[0] * shape[1])
        code = _search(lambda c: len(make(c)[0]) * unit, limit * unit, True, "size" if size is not None else "bpp")
    else:
        code = round(quality * 256)
    if stable:
        settled = _settle(session, session.quantise(bands, code), code, shape, mode)
        return _file(session, settled, code, shape, temperature, seed, extras, mode)[0]
    return make(code)[0]


def _read(data: bytes, max_pixels: int | None, device: str) -> tuple[_Session, bitstream.File, Coded]:
    file = bitstream.read(data, max_pixels)
    h = file.header
    if h.tile_size:
        raise InputError("the file uses tiles, which this version does not decode")
    session = _session(h.weights, _device(device))
    try:
        coded = session.prior.decode(file.tiles[0], h.quality_code, h.height + -h.height % MULTIPLE,
                                     h.width + -h.width % MULTIPLE)
    except CorruptStream as error:
        raise DamagedError(str(error)) from error
    if checksum(coded) != h.checksum:
        raise DamagedError("the decoded latent is not the one that was encoded (checksum differs)")
    return session, file, coded


@overload
def decode(data: bytes, *, temperature: float | None = ..., seed: int | None = ..., array: Literal[False] = ...,
           depth: int = ..., device: str = ..., max_pixels: int | None = ...) -> Image.Image: ...
@overload
def decode(data: bytes, *, temperature: float | None = ..., seed: int | None = ..., array: Literal[True],
           depth: int = ..., device: str = ..., max_pixels: int | None = ...) -> Pixels: ...
@torch.no_grad()
def decode(data: bytes, *, temperature: float | None = None, seed: int | None = None, array: bool = False,
           depth: int = 8, device: str = "auto",
           max_pixels: int | None = bitstream.DEFAULT_MAX_PIXELS) -> Image.Image | Pixels:
    """Decode the bytes of an .irc file to a PIL image, or (array=True) to an array of the shapes that `encode` takes.

    depth: 8 or 16 bits a sample, whatever was encoded; colour of 16 bits and 16 bits with alpha only as an array.
    temperature and seed override the file's: 0 gives the most likely picture (best PSNR), 1 draws what was lost.
    Raises InputError, DamagedError, WeightsError, ValueError.

        >>> import numpy as np
        >>> decode(encode(np.full((5, 7, 3), 200, np.uint8), 90)).size
        (7, 5)
    """
    if temperature is not None and not 0 <= temperature <= 2:
        raise ValueError(f"temperature must be in 0..2, not {temperature}")
    if depth not in kinds.DEPTHS:
        raise ValueError(f"depth must be 8 or 16, not {depth}")
    session, file, coded = _read(data, max_pixels, device)
    h = file.header
    alpha = file.extras.get(bitstream.ALPHA)
    pixels = kinds.join(
        session.picture(coded, h.quality_code, h.height, h.width, h.temperature if temperature is None else temperature,
                        h.seed if seed is None else seed, kinds.is_grey(h.mode), depth),
        None if alpha is None else kinds.unpack_alpha(alpha, h.width, h.height))
    return pixels if array else kinds.to_image(pixels)


def verify(data: bytes, *, max_pixels: int | None = bitstream.DEFAULT_MAX_PIXELS) -> None:
    """Decode latent and alpha, compare the latent's checksum; raises what `decode` would, else returns nothing.

        >>> import numpy as np
        >>> verify(encode(np.zeros((8, 8, 3), np.uint8)))
    """
    file = _read(data, max_pixels, "cpu")[1]
    if (alpha := file.extras.get(bitstream.ALPHA)) is not None:
        kinds.unpack_alpha(alpha, file.header.width, file.header.height)


def latent(data: bytes) -> Coded:
    """The integers that a file holds: side latent and four levels (for tests and research)."""
    return _read(data, None, "cpu")[2]
