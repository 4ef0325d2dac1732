"""The configuration of a model: what its weights file says about its shape."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

BANDS = (12, 9, 9, 9)  #: band channels of the levels 1/16 (with the low band), 1/8, 1/4, 1/2
CHANNELS = sum(BANDS)
MULTIPLE = 32  #: sides are padded to a multiple of this: the grid of the side latent
LARGEST_COUNT = 1024  #: of a configuration's counts: bounds what is allocated before a file is believed
MAY_BE_0 = "hidden_quarter", "hidden_eighth"  #: of a configuration's counts: then that part of the model is not there
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

    hidden_quarter: int = 48  #: width of the couplings at 1/4; 0: there are none
    hidden_eighth: int = 96  #: width of the couplings at 1/8; 0: there are none
    prior: tuple[int, int, int, int] = (192, 144, 96, 48)  #: probability model, coarse to fine
    head: tuple[int, int, int, int] = (128, 128, 96, 64)  #: head, coarse to fine
    head_blocks: int = 2  #: residual blocks of each level of the head
    side: int = 24  #: side latent (hyper-latent), at 1/32
    side_prior: int = 96  #: probability model of the side latent
    knots: int = 8  #: qualities between which everything is interpolated
    lambda_min: float = 0.0006  #: at quality 0, for 255^2 MSE
    lambda_max: float = 0.6  #: at quality 100
    # export makes a table of it by quality (`exact_prior`), which encoder and decoder obey (`IntegerPrior.coded`)
    drop: float = 0.04  #: in training a band is coded where deviation / starting step exceeds this (`Codec.scaled`)

    def __post_init__(self) -> None:
        """ValueError unless a model can be made of every value: weights files are not trusted."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, float):
                fine = isinstance(value, int | float) and math.isfinite(value) and value > 0
            else:
                counts = value if isinstance(field.default, tuple) else (value,)
                fine = (
                    not isinstance(field.default, tuple)
                    or isinstance(value, tuple)
                    and len(value) == len(field.default)
                ) and all(type(n) is int and (field.name not in MAY_BE_0) <= n <= LARGEST_COUNT for n in counts)
            if not fine:
                raise ValueError(f"{field.name} of a model cannot be {str(value)[:40]}")
        if self.knots < 2 or self.side < 2:
            raise ValueError("a model has at least 2 knots and 2 side channels")
