"""How much of the work is done, told to whoever asked: piece by piece, or within the only piece.

>>> meter = Meter(lambda done, total: print(done, "of", total), unit=2)
>>> list(meter.watch("ab", 2))
1 of 2
2 of 2
['a', 'b']
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Progress = Callable[[int, int], None]  #: (work done, work in all)
T = TypeVar("T")


class Meter:
    """Work that goes over a picture in several rounds.

    unit: what a round counts. parts: the share of a round that `part` reports while the only tile is at work, instead
    of its pieces; 0 where there are several tiles, which threads may be working on: `progress` is called from the
    caller's thread only. A round then counts 100.
    """

    def __init__(self, progress: Progress | None, unit: int, rounds: int = 1, parts: float = 0):
        self.progress, self.parts = progress, parts
        self.unit = 100 if parts else unit
        self.total, self.done, self.said = rounds * self.unit, 0.0, 0

    def watch(self, pieces: Iterable[T], count: int) -> Iterator[T]:
        """Pass on the pieces of a round, `count` of them."""
        for piece in pieces:
            yield piece
            self._add((1 - self.parts) * self.unit / count)

    def part(self, share: float) -> None:
        """This share of what lies within the only tile has been done."""
        if self.parts:
            self._add(share * self.parts * self.unit)

    def end(self) -> None:
        """All is done, in however many rounds."""
        self._add(max(0, self.total - self.done))

    def _add(self, amount: float) -> None:
        self.done += amount
        done = round(self.done)
        if self.progress and done > self.said:
            self.said = done
            self.progress(done, max(self.total, done))
