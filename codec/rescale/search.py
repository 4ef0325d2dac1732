"""A search at use time: the small picture that is made large best, not the one that the network gives at once.

Gradient steps on the samples of the small picture, rounded to 8 bits on the way, down the objective of training; the
network stays as it is, and enlarging knows nothing of it. The idea is that of HCD (arXiv 2211.10643, section 3.3).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from codec.rescale.network import Rescaler
from codec.rescale.objective import bicubic, errors, objective

STEPS = (0, 8, 12, 20, 30, 45, 65, 100, 150, 220)  #: of the gradient, by effort
SIDE = 256  #: pixels of the photo, a side, that are searched at once, beside the network's reach: some 1 GB
RATE = 0.6 / 255  #: Adam's, at first; of full scale
COLOUR, GUIDANCE, FLOOR = 2.0, 300.0, 1e-6  #: of the objective


@torch.enable_grad()
def searched(network: Rescaler, x: Tensor, small: Tensor, steps: int) -> Tensor:
    """A photo 1,3,H,W in 0..1 and the small picture 1,3,h,w that the network makes of it -> a better small picture, or
    the same one where none was found.
    """
    plain = bicubic(x, network.shape.scale)
    first = small.detach().clamp(0, 1)
    found = first.clone().requires_grad_()
    optimiser = torch.optim.Adam([found], betas=(0.9, 0.95))

    def loss(candidate: Tensor) -> Tensor:
        return objective(errors(network, x, candidate, plain), COLOUR, GUIDANCE, FLOOR)

    for step in range(steps):
        # the rate falls to nothing, so that rounding no longer changes its mind at the end
        optimiser.param_groups[0]["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        optimiser.zero_grad()
        loss(found).backward()  # type: ignore[no-untyped-call]  # torch's stub
        optimiser.step()
    with torch.no_grad():
        return found.detach() if loss(found) < loss(first) else first
