"""Weights at work on one device: a piece of a picture to coefficients and to a stream, integers back to pixels.

>>> session = open_session()
>>> bands = session.bands(np.full((40, 60, 3), 90, np.uint8))
>>> [tuple(band.shape) for band in bands]
[(1, 12, 4, 4), (1, 9, 8, 8), (1, 9, 16, 16), (1, 9, 32, 32)]
>>> stream, latent = session.encode(bands, quality=75 * 256)
>>> session.render([k.astype(np.float32) for k in latent.k], 75 * 256).shape
torch.Size([1, 3, 64, 64])

Qualities are integers in the header's units (`codec.container.bitstream.QUALITY_STEPS` is the highest), or a
`Quantisation`: one of these and what a file adds to the steps.
"""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray

from codec.container.bitstream import QUALITY_STEPS
from codec.errors import IrcError
from codec.network import masking, model
from codec.network.weights import Weights, load
from codec.pictures import formats
from codec.pictures.beyond import beyond
from codec.pictures.formats import Pixels
from entropy.config import MULTIPLE
from entropy.integer import Report
from entropy.latent import CLIP, Latent
from entropy.quantisation import Quantisation

#: A picture was decoded from a file of ours where its coefficients lie this near, in steps of quantisation, to where
#: the head puts them (the median of their distances). Of any other picture the median is about 0.2.
OWN = 0.1
#: Coded coefficients of the coarsest level other than zero, at least, that it takes to say so.
OWN_LEAST = 16


class Refiner(Protocol):
    """A search for a better latent than the networks give at once (codec/coding/latent_search.py)."""

    share: float  #: of the work on a latent, what the search takes

    def __call__(self, scaled: model.Scaled, start: Latent, quality: torch.Tensor, progress: Report | None) -> Latent:
        """scaled: what the picture is; start: where to begin, coefficients not rounded. Returns the same kind."""


def device_of(name: str) -> torch.device:
    """The device that a user names, "auto" being the GPU where there is one.

    ValueError for a name that torch does not know, IrcError where a GPU is missing.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device must be cpu, cuda, auto or another that torch knows, not {name!r}") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise IrcError("no CUDA device is available")
    return device


def _tensor(colour: Pixels) -> torch.Tensor:
    """1,3,H,W float32, last row and column repeated to multiples of 32 (mirroring costs more bits), flat white and
    black a little past the ends of the range (codec/pictures/beyond.py).
    """
    h, w = colour.shape[:2]
    margins = [(0, -h % MULTIPLE), (0, -w % MULTIPLE), *[(0, 0)] * (colour.ndim - 2)]
    padded = cast(Pixels, np.pad(colour, margins, "edge"))  # of the same type of samples
    return beyond(formats.planes(padded))[None]


def _part_of(progress: Report | None, share: float) -> Report | None:
    """What tells of a part of the work, given what tells of the whole and the share of the part."""
    return progress and (lambda done: progress(share * done))


class Session:
    """A weights file at work on one device."""

    def __init__(self, weights: Weights, device: torch.device):
        self.prior, self.device, self.name = weights.prior, device, weights.name
        self.model = weights.model if device.type == "cpu" else copy.deepcopy(weights.model).to(device)

    def bands(self, colour: Pixels) -> list[torch.Tensor]:
        """H,W or H,W,3 samples of 8 or 16 bits -> bands (1,C,h,w float32, coarse to fine) of the padded picture."""
        return self.model.bands(_tensor(colour).to(self.device))

    def scaled(self, bands: list[torch.Tensor], quality: int | Quantisation) -> tuple[model.Scaled, torch.Tensor]:
        """Bands in steps of a quality, and that quality as the networks take it (1 float32 in 0..1). Which bands are
        coded is the integer model's word.
        """
        at = Quantisation.of(quality)
        q = torch.tensor([at.quality / QUALITY_STEPS], dtype=torch.float32, device=self.device)
        coded = torch.from_numpy(self.prior.coded(at).astype(np.float32)).to(self.device)
        finer = None if at.plain else torch.tensor([at.factors], dtype=torch.float32, device=self.device)
        return self.model.scaled(bands, q, coded[None], finer), q

    def coefficients(self, scaled: model.Scaled, q: torch.Tensor) -> tuple[Latent, NDArray[np.float32]]:
        """What `scaled` gives -> side latent and coefficients that are not rounded (float32), and what
        `IntegerPrior.encode` wants to know to round them.
        """
        # what is not a number comes from crafted weights
        y = [(a * c).clamp(-CLIP, CLIP).nan_to_num() for a, c in zip(scaled.k, scaled.coded)]
        side = self.model.side_latent([a.round() for a in y], q).round().clamp(-CLIP, CLIP).nan_to_num()
        weight = torch.cat([w.flatten() for w in self.model.worth(scaled, q)])
        return Latent(side[0].cpu().numpy().astype(np.int32), [a[0].cpu().numpy() for a in y]), weight.cpu().numpy()

    def quantise(self, bands: list[torch.Tensor], quality: int | Quantisation) -> Latent:
        """Bands -> the nearest integers on the fixed grid."""
        unrounded, _ = self.coefficients(*self.scaled(bands, quality))
        return self.nearest(unrounded)

    @staticmethod
    def nearest(latent: Latent) -> Latent:
        """Coefficients rounded to the nearest integers."""
        return Latent(latent.side, [np.rint(a).astype(np.int32) for a in latent.k])

    def recognises(self, scaled: model.Scaled, q: torch.Tensor) -> bool:
        """Whether the coefficients at 1/16 lie where this head would put them: the picture was decoded from a file of
        this quality (at temperature 0), and only its samples were rounded and clipped since.
        """
        y, coded = scaled.k[0], scaled.coded[0] > 0
        k = y.round() * coded
        lost = self.model.lost([k], scaled, q, scales=False)[0]
        error = (y - k - lost.offset).abs()[coded & (k != 0)]
        return len(error) >= OWN_LEAST and error.median().item() < OWN

    def encode(
        self,
        bands: list[torch.Tensor],
        quality: int | Quantisation,
        refiner: Refiner | None = None,
        progress: Report | None = None,
        masked: bool = False,
    ) -> tuple[bytes, Latent]:
        """Bands -> stream and the latent that it holds, each coefficient rounded by cost, after a search where there is
        a refiner. progress: told what share of the work has been done since the last call. masked: errors count by what
        the eye sees of them (codec/network/masking.py).
        """
        scaled, q = self.scaled(bands, quality)
        latent, weight = self.coefficients(scaled, q)
        if self.recognises(scaled, q):  # its latent is known: anything else would be a generation of loss
            return self.prior.encode(self.nearest(latent), quality, None, progress)
        if refiner is not None:
            latent = refiner(scaled, latent, q, _part_of(progress, refiner.share))
            progress = _part_of(progress, 1 - refiner.share)
        seen = [mask.cpu().numpy() for mask in masking.masks(bands)] if masked else None
        return self.prior.encode(latent, quality, weight, progress, seen)

    def _on_device(self, arrays: list[NDArray[np.float32]]) -> list[torch.Tensor]:
        return [torch.from_numpy(a)[None].to(self.device) for a in arrays]

    def errors(
        self, bands: list[torch.Tensor], k: list[NDArray[np.float32]], quality: int | Quantisation
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """What rounding took from bands whose integers are k (C,h,w a level), as `Codec.errors` has it."""
        values = self._on_device(k)
        scaled, q = self.scaled(bands, quality)
        return self.model.errors(values, scaled, self.model.lost(values, scaled, q))

    def render(
        self,
        k: list[NDArray[np.float32]],
        quality: int | Quantisation,
        z: list[NDArray[np.float32]] | None = None,
        scale: int = 1,
        grain: list[tuple[torch.Tensor, ...]] | None = None,
    ) -> torch.Tensor:
        """Integers C,h,w of the levels that 1/scale needs, z (times the temperature; None: the most likely picture) and
        the picture's grain at that temperature -> pixels 1,3,H,W in 0..255, not clipped.
        """
        values = self._on_device(k)
        scaled, q = self.scaled(values, quality)
        drawn = None if z is None else self._on_device(z)
        bands = self.model.restore(values, scaled, self.model.lost(values, scaled, q, z is not None), drawn, grain)
        return self.model.synthesise(bands) if scale == 1 else self.model.reduce(bands, scale)


@functools.lru_cache(maxsize=8)
def open_session(weights: bytes | str | Path | None = None, device: str = "cpu") -> Session:
    """The weights of this name or path (None: the default of those installed) on a device, as `device_of` takes it.
    The last eight are kept. WeightsError where they are missing or unusable, IrcError where the device is.
    """
    return Session(load(weights), device_of(device))
