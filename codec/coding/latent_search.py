"""Search at encode time: the latent that codes a picture best, not the one that the networks give at once.

Stochastic Gumbel annealing (Yang, Bamler, Mandt, "Improving inference for neural image compression", arXiv 2006.04240,
section 3.3): each coefficient is drawn from its two neighbouring integers, by chances that follow the gradient of
bits + lambda x squared error through probability model, head and synthesis, and that harden while it goes on. The
decoder knows nothing of it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from codec.container.grid import UNITS, Box
from codec.network import host, model
from codec.network.session import Session
from entropy.config import MULTIPLE
from entropy.float_copy import float_copy
from entropy.integer import Report
from entropy.latent import Latent
from entropy.levels import by_level

STEPS = (0, 20, 30, 40, 60, 80, 100, 130, 170, 220)  #: of the gradient, by effort
BLOCK = 512  #: pixels a side, at most, that are searched at once: some 2 GB
MARGIN = 64  #: pixels around them whose coefficients stay as they are, but count
RATE = 0.02  #: Adam's, in steps of quantisation
HOT, COLD = 0.5, 0.1  #: temperature, first and last
NEAR = 1e-5  #: distance to an integer that is taken for none: atanh(1) is infinite


def relaxed(v: Tensor, temperature: float, random: torch.Generator) -> Tensor:
    """A draw between the integers around v, softened so that it has a gradient."""
    low = v.detach().floor()
    above = (v - low).clamp(NEAR, 1 - NEAR)
    logits = torch.stack((-torch.atanh(above), -torch.atanh(1 - above))) / temperature
    noise = torch.rand(logits.shape, generator=random, dtype=torch.float32).clamp(1e-9, 1 - 1e-7).to(v.device)
    share = torch.softmax((logits - torch.log(-torch.log(noise))) / temperature, 0)
    return low + share[1]


def parts(length: int, most: int = BLOCK) -> list[int]:
    """Cuts of a length (a multiple of 32) into as few and as equal parts as possible, each of at most `most`; what is
    coded first of each 2x2 cell of the side latent stays so.
    """
    cells, count = -(-length // (2 * MULTIPLE)), -(-length // most)
    return [min(2 * MULTIPLE * (cells * i // count), length) for i in range(count + 1)]


class Searcher:
    """Refines latents for one set of weights, with an effort of 1..9: the refiner that `Session.encode` takes."""

    share = 0.95

    def __init__(self, session: Session, effort: int):
        self.model: model.Codec = copy.deepcopy(session.model)
        self.model.prior = float_copy(session.prior).to(session.device)
        self.steps = STEPS[effort]

    def __call__(self, scaled: model.Scaled, start: Latent, quality: Tensor, progress: Report | None = None) -> Latent:
        """Refine a tile's side latent and coefficients.

        scaled: what the picture is; start: where the search begins, coefficients not rounded. Returns the same, with
        coefficients (float32) near the integers that were chosen. The outcome depends on nothing but the arguments:
        torch runs on one thread here, since sums differ between numbers of threads.
        """
        device = quality.device
        values = [torch.from_numpy(a)[None].to(device).clone() for a in start.k]
        values.append(torch.from_numpy(start.side)[None].to(device, torch.float32))
        picture = Box(0, 0, *(n * MULTIPLE for n in start.side.shape[1:]))
        rows, columns = parts(picture.height), parts(picture.width)
        with host.torch_threads(1):
            for top, bottom in zip(rows, rows[1:]):
                for left, right in zip(columns, columns[1:]):
                    block = Box(top, left, bottom, right)
                    window = picture.meet(Box(top - MARGIN, left - MARGIN, bottom + MARGIN, right + MARGIN)) or block
                    self._block(scaled, values, quality, block, window)
                    if progress:
                        progress(block.height * block.width / (picture.height * picture.width))
        *y, side = (v[0].cpu().numpy() for v in values)
        return Latent(side.round().astype(start.side.dtype), y)

    @torch.enable_grad()
    def _block(self, scaled: model.Scaled, values: list[Tensor], quality: Tensor, block: Box, window: Box) -> None:
        """Refine, in place, what lies in the block: of four levels and, the last of `values`, of the side latent."""
        model, random = self.model, torch.Generator().manual_seed(0)
        cut = [(..., *window.within(Box(0, 0, *window[2:]), unit)) for unit in (*UNITS, MULTIPLE)]
        inner = [(..., *block.within(window, unit)) for unit in (*UNITS, MULTIPLE)]
        fixed = [v[c].round() for v, c in zip(values, cut)]
        free = [v[c][i].clone().requires_grad_() for v, c, i in zip(values, cut, inner)]
        here = scaled._replace(k=[a[c] for a, c in zip(scaled.k, cut)])
        given = model.prior_inputs(quality, here.coded, here.finer)
        distance = self._distance(here)
        weight = model.lambda_at(quality) / 3
        optimiser = torch.optim.Adam(free, lr=RATE, betas=(0.9, 0.99))
        for step in range(self.steps):
            temperature = HOT * (COLD / HOT) ** (step / max(1, self.steps - 1))
            drawn = [f.clone() for f in fixed]
            for whole, part, v in zip(drawn, inner, free):
                whole[part] = relaxed(v, temperature, random)
            k = [a * c for a, c in zip(drawn[:4], here.coded)]
            bits = model.prior.side_bits(drawn[4], drawn[4], given.at) + model.prior(drawn[4], k, k, given)
            cost = bits + weight * distance(model.restore(k, here, model.lost(k, here, quality)))
            optimiser.zero_grad()
            cost.sum().backward()
            optimiser.step()
        with torch.no_grad():
            for v, c, i, refined in zip(values, cut, inner, free):
                v[c][i] = refined

    @torch.no_grad()
    def _distance(self, here: model.Scaled) -> Callable[[list[Tensor]], Tensor]:
        """What bands are away from the picture's, N: squared pixels; where a file has steps of its own, squared errors
        of bands (the transform is near orthonormal), each counted as its steps have it.
        """
        picture = [a / g for a, g in zip(here.k, here.gain)]
        if here.finer is None:
            wanted = self.model.synthesise(picture)
            return lambda bands: ((self.model.synthesise(bands) - wanted) ** 2).sum((1, 2, 3))
        worth = [(f / model.UNIT) ** 2 for f in by_level(here.finer)]
        return lambda bands: torch.stack(
            [(w * (a - b) ** 2).sum((1, 2, 3)) for w, a, b in zip(worth, bands, picture)]
        ).sum(0)
