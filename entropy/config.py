"""The configuration of a model: what its weights file says about its shape."""
from __future__ import annotations

from dataclasses import dataclass

BANDS = (12, 9, 9, 9)          #: band channels of the levels 1/16 (with the low band), 1/8, 1/4, 1/2
CHANNELS = sum(BANDS)
MULTIPLE = 32                  #: sides are padded to a multiple of this: the grid of the side latent
PHASES = ((0, 0), (1, 1), (0, 1), (1, 0))  #: order in which the positions of a 2x2 cell are coded


def luma(band: int) -> list[int]:
    """The channels of a level that belong to the first colour axis; the wavelet keeps colours innermost."""
    return list(range(0, band, 3))


def chroma(band: int) -> list[int]:
    """The other channels of a level."""
    return [c for c in range(band) if c % 3]


@dataclass(frozen=True)
class Config:
    """Shape of the model. All widths in channels."""

    hidden_quarter: int = 48                             #: couplings at 1/4
    hidden_eighth: int = 96                              #: couplings at 1/8
    prior: tuple[int, int, int, int] = (160, 112, 80, 48)  #: probability model, coarse to fine
    head: tuple[int, int, int, int] = (96, 64, 64, 48)   #: head, coarse to fine
    head_blocks: int = 2                                 #: residual blocks of each level of the head
    side: int = 64                                       #: side latent, at 1/32
    knots: int = 8                                       #: qualities between which everything is interpolated
    lambda_min: float = 0.0006                           #: at quality 0, for 255^2 MSE
    lambda_max: float = 0.6                              #: at quality 100
    drop: float = 0.04                                   #: a band is coded where deviation / starting step exceeds this
