"""The whole model: transform, quantisation at a quality, head, probability model."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from codec.network.head import MOST, Head, Lost
from codec.network.transform import Analysis
from entropy.config import BANDS, CHANNELS, Config
from entropy.levels import by_level
from entropy.prior import AtQuality, Interpolate, Prior

UNIT = 1 / 64  #: a pixel step in the network's units
MIDDLE = 127.5  #: the pixel value that is zero there
OCTAVE = (
    0.2  #: of the range of qualities, about: twice as fine (320 of 25600 in entropy/quantisation.py are a 16th of it)
)
#: RDOQ (rounding by cost) multiplies the distortion by this, linear in quality (0..1): 2.5 up to 0.2, 1.6 from 0.6;
#: above 1 because a zero also worsens later contexts and the head
CAUTION = (0.2, 0.6), (2.5, 1.6)


class Scaled(NamedTuple):
    """What the analysis transform makes of a picture, in steps of one quality; lists hold the four levels, coarse to
    fine.
    """

    k: list[Tensor]  #: N,C,H,W: coefficients in steps, not rounded
    coded: list[Tensor]  #: N,C,1,1: 1 where the band is coded, 0 where it is dropped
    gain: list[Tensor]  #: N,C,1,1: 1 / step
    deviation: list[Tensor]  #: 1,C,1,1: of the band channel over training photos, in the transform's units
    finer: Tensor | None = None  #: N,39: how many times as fine as the model's own the steps are; None: once


class Forward(NamedTuple):
    """What training sees of a batch of N."""

    x: Tensor | None  #: N,3,H,W: reconstruction, 0..255, not clipped
    bits: Tensor  #: N: estimated
    nll: Tensor  #: N: nats a pixel of the Gaussian likelihood of what is lost
    mse: Tensor  #: N: over pixels and channels, in 255^2


class Codec(nn.Module):
    """Invertible image codec (IRN, arXiv 2005.05650; MSINN-VRLIC, arXiv 2503.21284) with a gained fixed grid
    (gained VAE, arXiv 2003.02012) and a band-wise hyperprior.

        x --f--> y --gain--> k = round(g y) --prior--> bits
                 |             |
                 v (dropped)   head -> d, m, s
                               |
        x^ <-f^-1- (k + d + T s e) / g,  (m + T s e) sigma         (|d + T s e| < 1/2)

    x: pixels N,3,H,W in 0..255; f: analysis transform (`Analysis`), f^-1: synthesis
    y, v: coefficients of band channels that are coded at this quality, and of those that are dropped
    g: gain, 1 / step; sigma: deviation of a band channel; k: the integers in the file
    d, m, s: what the head says of the lost information (`Lost`)
    e: standard Gaussian noise, drawn from a seed; T: temperature, 0 for the most likely picture
    prior: probability model (`Prior`)
    """

    deviation: Tensor
    log_gain_start: Tensor

    def __init__(self, config: Config = Config(), prior: bool = True):
        """prior: with the floating-point probability model, which coding has no need of."""
        super().__init__()
        self.config = config
        self.f = Analysis(config)
        self.head = Head(config)
        if prior:
            self.prior = Prior(config)
        n = config.prior[0]
        self.side = nn.Sequential(
            nn.Conv2d(CHANNELS + BANDS[0], n, 1),
            nn.ReLU(),
            nn.Conv2d(n, n, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(n, config.side, 3, padding=1),
        )
        self.side_log_gain = nn.Parameter(torch.full((config.knots, config.side), 0.0))
        # at high rate the optimal step follows from the slope of D(R): step^2 = 10.4 / lambda (design)
        lambdas = torch.logspace(math.log10(config.lambda_min), math.log10(config.lambda_max), config.knots)
        log_gain = -0.5 * torch.log(10.4 / lambdas) - math.log(UNIT)
        self.log_gain = nn.Parameter(log_gain[:, None].repeat(1, CHANNELS))
        self.register_buffer("log_gain_start", self.log_gain.detach().clone())
        self.register_buffer("deviation", torch.ones(CHANNELS))

    # -- qualities ---------------------------------------------------------------------------
    def interpolator(self, quality: Tensor) -> Interpolate:
        """quality N in 0..1 -> a function that interpolates knots x C parameters to N x C."""
        position = quality.clamp(0, 1) * (self.config.knots - 1)
        index = position.floor().long().clamp(max=self.config.knots - 2)
        share = (position - index)[:, None]
        return lambda table: table[index] * (1 - share) + table[index + 1] * share

    def lambda_at(self, quality: Tensor) -> Tensor:
        """quality N in 0..1 -> weight N of the MSE (255^2) against bits a pixel."""
        low, high = math.log(self.config.lambda_min), math.log(self.config.lambda_max)
        return torch.exp(low + (high - low) * quality)

    # -- both directions -----------------------------------------------------------------------
    def analyse(self, x: Tensor, quality: Tensor) -> Scaled:
        """Pixels N,3,H,W in 0..255 (sides multiples of 32) at a quality N in 0..1."""
        return self.scaled(self.bands(x), quality)

    def bands(self, x: Tensor) -> list[Tensor]:
        """Pixels N,3,H,W in 0..255 (sides multiples of 32) -> bands N,C,h,w, coarse to fine."""
        return self.f((x - MIDDLE) * UNIT)

    def scaled(
        self, bands: list[Tensor], quality: Tensor, coded: Tensor | None = None, finer: Tensor | None = None
    ) -> Scaled:
        """Bands N,C,h,w, coarse to fine, in steps of a quality N in 0..1; coded: N,39, 1 or 0: which band channels are
        (None: as training decides it); finer: N,39, how many times as fine as the model's own the steps are.
        """
        at = self.interpolator(quality)
        if coded is None:
            coded = (at(self.log_gain_start) + torch.log(self.deviation) > math.log(self.config.drop)).float()
        gain = by_level(torch.exp(at(self.log_gain)) * (1 if finer is None else finer))
        return Scaled(
            [b * g for b, g in zip(bands, gain)], by_level(coded), gain, by_level(self.deviation[None]), finer
        )

    def lost(self, k: list[Tensor], scaled: Scaled, quality: Tensor, scales: bool = True) -> list[Lost]:
        """What the head says of the lost information; k: rounded, zero where dropped. scales: its deviation, too."""
        relative = [a / (g * d) for a, g, d in zip(k, scaled.gain, scaled.deviation)]
        return self.head(k, relative, self.interpolator(quality), scales)

    def restore(
        self,
        k: list[Tensor],
        scaled: Scaled,
        lost: list[Lost],
        z: list[Tensor] | None = None,
        grain: list[tuple[Tensor, ...]] | None = None,
    ) -> list[Tensor]:
        """Bands from rounded k and z (None: the most likely). A coded coefficient stays in its bin: encoding what was
        drawn gives k again. grain: of the picture itself (codec/coding/grain.py), at the temperature of z.
        """
        bands = []
        for i, (a, o) in enumerate(zip(k, lost)):
            offset, dropped = o.offset, o.mean
            if z is not None:
                mean, scale, floor = grain[i] if grain else (0.0, 1.0, o.mean.new_zeros(()))
                dropped = dropped + mean + torch.hypot(scale * torch.exp(o.log_scale), floor) * z[i]
                offset = (offset + scale * self.bin_deviation(o, scaled, i) * z[i]).clamp(-MOST, MOST)
            bands.append(torch.where(scaled.coded[i] > 0, (a + offset) / scaled.gain[i], dropped * scaled.deviation[i]))
        return bands

    @staticmethod
    def bin_deviation(lost: Lost, scaled: Scaled, level: int) -> Tensor:
        """Of coded coefficients around k + offset, in steps. exp(log_scale) counts in units that are deviations where
        steps are coarse, and steps where they are fine.
        """
        deviations = scaled.deviation[level] * scaled.gain[level]
        return torch.exp(lost.log_scale) * deviations / (1 + deviations)

    def synthesise(self, bands: list[Tensor]) -> Tensor:
        """Bands -> pixels N,3,H,W, not clipped."""
        return self.f.inverse(bands) / UNIT + MIDDLE

    def reduce(self, bands: list[Tensor], scale: int) -> Tensor:
        """The levels of bands that 1/scale needs -> pixels N,3,H/scale,W/scale, not clipped."""
        return self.f.reduced(bands, scale) / UNIT + MIDDLE

    def errors(self, k: list[Tensor], scaled: Scaled, lost: list[Lost]) -> list[tuple[Tensor, Tensor]]:
        """Of each level how far every coefficient is from the most likely one, and the head's deviation of it: of coded
        ones in steps, of dropped ones in channel deviations. The quotient is z, the Gaussian latent.
        """
        return [
            (
                torch.where(c > 0, y - a - o.offset, y / g / d - o.mean),
                torch.where(c > 0, self.bin_deviation(o, scaled, i), torch.exp(o.log_scale)),
            )
            for i, (a, y, g, d, c, o) in enumerate(zip(k, scaled.k, scaled.gain, scaled.deviation, scaled.coded, lost))
        ]

    def side_latent(self, k: list[Tensor], quality: Tensor) -> Tensor:
        """k (rounded) -> side latent at 1/32, not rounded."""
        signs = torch.asinh(k[0])
        pooled = [F.avg_pool2d(torch.asinh(a).abs(), 2**i) if i else torch.asinh(a).abs() for i, a in enumerate(k)]
        out = self.side(torch.cat([signs, *pooled], 1)).float()
        return out * torch.exp(self.interpolator(quality)(self.side_log_gain))[:, :, None, None]

    def prior_inputs(self, quality: Tensor, coded: list[Tensor], finer: Tensor | None = None) -> AtQuality:
        """What the probability model is told at a quality N in 0..1; coded, finer: as in `Scaled`."""
        at = self.interpolator(quality)
        own = (at(self.log_gain) + torch.log(self.deviation)) / math.log(2)
        mean = at(torch.exp(self.log_gain_start + torch.log(self.deviation)).clamp(max=6) + 0.2)
        if finer is None:
            return AtQuality(by_level(own), by_level(mean), coded, at)
        octaves = torch.log2(finer)
        near = [self.interpolator(quality + OCTAVE * o[:, 0, 0, 0]) for o in by_level(octaves)[1:]]
        return AtQuality(by_level(own + octaves), by_level(mean * finer), coded, at, tuple(near))

    def worth(self, scaled: Scaled, quality: Tensor) -> list[Tensor]:
        """Bits that a squared error of one step is worth in rounding, N,C,1,1 a level: lambda / 3 of its squared
        pixels, counted with caution. Where a file makes steps finer, a step counts as before, and an error more.
        """
        (low, high), (first, last) = CAUTION
        caution = first + (last - first) * ((quality - low) / (high - low)).clamp(0, 1)
        per_pixel = (caution * self.lambda_at(quality))[:, None, None, None] / 3
        own = scaled.gain if scaled.finer is None else [g / f for g, f in zip(scaled.gain, by_level(scaled.finer))]
        return [per_pixel / (UNIT * g) ** 2 for g in own]

    def forward(
        self,
        x: Tensor,
        quality: Tensor,
        hard: bool = False,
        pixels: bool = True,
        rate: bool = True,
        distortion: bool = True,
        caution: float = 0.0,
    ) -> Forward:
        """One pass with estimated bits; `hard`: true rounding in the rate too; `pixels`: distortion of the picture
        (otherwise of the bands: the wavelet is near orthonormal, and nothing has to be inverted). Without `rate` or
        `distortion` that part is 0, and its networks do not run. caution: if not 0, coefficients are rounded by cost,
        an error counting so many times what it counts in the encoder.
        """
        scaled = self.analyse(x, quality)
        soft = [a * c for a, c in zip(scaled.k, scaled.coded)]
        nearest = [a + (a.round() - a).detach() for a in soft]
        k = self.by_cost(soft, nearest, scaled, quality, caution) if caution else nearest
        zero = x.new_zeros(len(x))
        bits = self.rate(soft, nearest, k, scaled, quality, hard) if rate else zero
        if not distortion:
            return Forward(None, bits, zero, zero)
        lost = self.lost(k, scaled, quality)
        area, nll = x.shape[2] * x.shape[3], zero
        for error, deviation in self.errors(k, scaled, lost):
            scale = deviation.clamp(min=1e-3)
            nll = nll + (0.5 * (error.detach() / scale) ** 2 + torch.log(scale)).sum((1, 2, 3)) / area
        bands = self.restore(k, scaled, lost)
        if not pixels:
            squared = zero
            for a, g, b in zip(scaled.k, scaled.gain, bands):
                squared = squared + ((b - a / g) ** 2).sum((1, 2, 3))
            return Forward(None, bits, nll, squared / (3 * area * UNIT**2))
        out = self.synthesise(bands)
        return Forward(out, bits, nll, ((out - x) ** 2).mean((1, 2, 3)))

    def by_cost(
        self, soft: list[Tensor], nearest: list[Tensor], scaled: Scaled, quality: Tensor, caution: float
    ) -> list[Tensor]:
        """Coefficients rounded as the encoder does, with the gradient of the identity."""
        with torch.no_grad():
            side = self.side_latent(nearest, quality).round()
            weight = [caution * w for w in self.worth(scaled, quality)]
            ks = self.prior.rounded(side, soft, weight, self.prior_inputs(quality, scaled.coded))
        return [a + (k - a).detach() for a, k in zip(soft, ks)]

    def rate(
        self, soft: list[Tensor], nearest: list[Tensor], k: list[Tensor], scaled: Scaled, quality: Tensor, hard: bool
    ) -> Tensor:
        """Estimated bits an image: of k itself (`hard`), or of `soft` under uniform noise. The side latent is made
        from the nearest integers, before anything is known of costs.
        """
        side = self.side_latent(nearest, quality)
        rounded = side + (side.round() - side).detach()
        noisy = k if hard else [a + torch.rand_like(a) - 0.5 for a in soft]
        side_noisy = rounded if hard else side + torch.rand_like(side) - 0.5
        given = self.prior_inputs(quality, scaled.coded)
        return self.prior.side_bits(rounded, side_noisy, given.at) + self.prior(rounded, k, noisy, given)

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Set what is measured, not learned, from training crops N,3,H,W in 0..255."""
        self.f.start((x - MIDDLE) * UNIT)
        deviation = torch.cat([b.pow(2).mean((0, 2, 3)).sqrt() for b in self.bands(x)])
        self.deviation.copy_(deviation.clamp(min=0.01))
