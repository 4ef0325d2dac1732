"""The walk over the probability model: which integers are coded in which order, and what is known when.

Training drives it with values that are all there beforehand and hidden until their turn (entropy/prior.py), the coder
with values that it reads or writes meanwhile (entropy/integer.py). The arithmetic is that of the graph's layers.

The side latent comes first, then the levels, coarse to fine. Each is coded in 8 steps: the 4 phases of each 2x2 cell
in turn (`PHASES`), at each the first group of channels, then the second. It is causal: step n uses only values coded in
steps before n.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from torch import Tensor

from entropy.config import PHASES
from entropy.graph import Context, Graph

SIDE = -1  #: the number of the side latent among the levels


class Known(Protocol):
    """The integers of the side latent or of one level, N,C,H,W, as far as they are coded."""

    k: Tensor  #: N,C,H,W

    def codes(self, group: list[int]) -> bool:
        """Whether any of these channels is coded at all. If not, there is no step for them."""

    def around(self) -> Tensor:
        """Features of k, zero at phases that are not coded yet, with a margin of 1 of zeros: N,2C,H+2,W+2."""

    def here(self, channels: list[int], y: int, x: int) -> Tensor:
        """These channels of the features, at a phase of whose first group they are: N,n,H/2,W/2."""

    def low(self) -> Tensor:
        """The low band: k of the first three channels, zero at phases that are not coded yet: N,3,H,W."""

    def all(self) -> Tensor:
        """Features of k, when all is coded: N,2C,H,W."""

    def finished(self, y: int, x: int) -> None:
        """Called when both groups are coded at a phase."""


class Step(NamedTuple):
    """A group of channels at one phase of the 2x2 cells of a level: predicted mean and log2 scale of the coefficients
    coded in one step.
    """

    level: int  #: 0..3, coarse to fine, or SIDE
    group: list[int]  #: n channels of the level
    y: int
    x: int
    out: Tensor  #: N,2n,h,w: mean and log2 of the scale, in the arithmetic of the graph
    linear: Tensor | None  #: N,3,h,w: linear prediction of the first three channels

    def of(self, values: Tensor) -> Tensor:
        """What this step is about, N,n,h,w, of values of all of the level, N,C,H,W."""
        return values[:, self.group, self.y :: 2, self.x :: 2]


def _steps(level: int, context: Context, trunk: Tensor, known: Known) -> Iterator[Step]:
    """The steps of one level; what a step is about must be known when the next one is asked for."""
    for number, (y, x) in enumerate(PHASES):
        if y >= trunk.shape[2] or x >= trunk.shape[3]:  # a side latent may be a single row or column
            continue
        c = context.at_phase(number, trunk, known.around())
        linear = context.linear(number, known.low()) if context.low is not None else None
        for group, out in ((context.first, context.out_first), (context.second, context.out_second)):
            if not known.codes(group):
                continue
            if group is context.second:
                c = context.from_first(known.here(context.of_first, y, x), c)
            yield Step(level, group, y, x, out(c), linear)
        known.finished(y, x)


def side_steps(graph: Graph, bias: list[Tensor], known: Known) -> Iterator[Step]:
    """The steps of the side latent; bias: `graph.quality` at a quality, N,C,1,1 each."""
    yield from _steps(SIDE, graph.side, bias[4].expand(-1, -1, *known.k.shape[2:]), known)


def level_steps(
    graph: Graph, bias: list[Tensor], side: Tensor, known: Callable[[int], Known], count: int = 4
) -> Iterator[Step]:
    """The steps of the first `count` levels; side: asinh of the side latent, N,side,h,w; known: of a level, called when
    the walk comes to it.
    """
    parent = graph.hyper(side, bias[0])
    for i, level in enumerate(graph.levels[:count]):
        trunk, values = level.trunk(parent), known(i)
        yield from _steps(i, level, trunk, values)
        if i + 1 < count:
            parent = graph.down(i, trunk, values.all(), bias[i + 1])
