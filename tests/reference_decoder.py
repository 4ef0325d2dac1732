"""The stream of a tile, and a file's own steps, in plain Python, written from docs/format.md alone: slow, without
constriction, without numpy.

`Reader` is what another decoder needs; `Writer` shows that the description of the encoder gives the same bytes. Both
code symbols in steps: the tables of a step's symbols are known before the first of them is read.

    >>> tables = [[100, 2**20 - 300, 100, 100], [1, 2, 3, 2**20 - 8, 1, 1]]
    >>> writer = Writer([fixed_point(t) for t in tables])
    >>> writer.step([1, 0, 1], [-2, 0, 1000])
    >>> Reader(writer.bytes(), writer.tables).step([1, 0, 1])
    [-2, 0, 1000]
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

BITS = 24  #: of a fixed-point probability
WORD, STATE = 1 << 32, 1 << 64
EXPONENTS = 24  #: of an escape's magnitude

#: a table in fixed point: the ends of its symbols' intervals, from 0 to 2^24
Ends = list[int]


class Damaged(ValueError):
    """No encoder writes this stream."""


def fixed_point(frequencies: list[int]) -> Ends:
    """A table whose frequencies sum to 2^20, as the coder uses it."""
    n = len(frequencies)
    below = accumulate(frequencies, initial=0)
    return [(c * ((1 << BITS) - n) >> 20) + i for i, c in enumerate(below)]


class Uniform(Sequence[int]):
    """Equal probabilities of 0..n-1; the last has what division leaves over. Not a list: n may be 2^23."""

    def __init__(self, n: int):
        self.n = n

    def __len__(self) -> int:
        return self.n + 1

    def __getitem__(self, i: int) -> int:
        return i * ((1 << BITS) // self.n) if i < self.n else 1 << BITS


def by_table(tables: list[int]) -> list[int]:
    """The order in which the symbols of a step are coded: by table, otherwise as they come (Python's sort is stable)."""
    return sorted(range(len(tables)), key=tables.__getitem__)


def reach(ends: Ends) -> int:
    """R of a table of 2 R + 2 symbols."""
    return (len(ends) - 3) // 2


class Reader:
    """Reads the steps of a stream in their order."""

    def __init__(self, data: bytes, tables: list[Ends]):
        if len(data) % 4:
            raise Damaged("not a whole number of words")
        self.words = (int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4))
        self.tables = tables
        self.range = STATE - 1
        self.offset = next(self.words, 0) * WORD + next(self.words, 0)  #: of the stream's value in the range

    def symbol(self, ends: Sequence[int]) -> int:
        """One symbol of a table."""
        scale = self.range >> BITS
        quantile = self.offset // scale
        if quantile >= 1 << BITS:
            raise Damaged("a value outside of the range")
        symbol = bisect_right(ends, quantile) - 1
        self.offset -= scale * ends[symbol]
        self.range = scale * (ends[symbol + 1] - ends[symbol])
        if self.range < WORD:
            self.offset = self.offset * WORD + next(self.words, 0)  # zeros follow the end
            self.range *= WORD
        return symbol

    def step(self, tables: list[int]) -> list[int]:
        """The residuals of a step, given the number of each one's table."""
        out = [0] * len(tables)
        order = by_table(tables)
        for i in order:
            out[i] = self.symbol(self.tables[tables[i]])
        escaped = [i for i in order if out[i] == 0]
        out = [symbol - 1 - reach(self.tables[table]) for symbol, table in zip(out, tables)]
        for i in escaped:
            exponent = self.symbol(Uniform(EXPONENTS))
            m = (1 << exponent) + (self.symbol(Uniform(1 << exponent)) if exponent else 0)
            magnitude = (m - 1) // 2 + reach(self.tables[tables[i]]) + 1
            out[i] = -magnitude if (m - 1) % 2 else magnitude
        return out


class Writer:
    """Writes steps; `bytes` is the stream."""

    def __init__(self, tables: list[Ends]):
        self.tables, self.words = tables, list[int]()
        self.low, self.range = 0, STATE - 1

    def symbol(self, ends: Sequence[int], symbol: int) -> None:
        """Code one symbol of a table."""
        scale = self.range >> BITS
        self.low += scale * ends[symbol]
        self.range = scale * (ends[symbol + 1] - ends[symbol])
        if self.low >= STATE:
            self.low -= STATE
            carry(self.words)
        if self.range < WORD:
            self.words.append(self.low // WORD)
            self.low = self.low % WORD * WORD
            self.range *= WORD

    def step(self, tables: list[int], residuals: list[int]) -> None:
        """Code the residuals of a step, given the number of each one's table."""
        order = by_table(tables)
        suffixes: list[tuple[int, int]] = []
        for i in order:
            ends, r = self.tables[tables[i]], residuals[i]
            most = reach(ends)
            symbol = r + most + 1 if abs(r) <= most else 0
            self.symbol(ends, symbol)
            if symbol == 0:
                m = 2 * (abs(r) - most - 1) + (r < 0) + 1
                e = m.bit_length() - 1
                suffixes += [(EXPONENTS, e), *([(1 << e, m - (1 << e))] if e else [])]
        for n, value in suffixes:
            self.symbol(Uniform(n), value)

    def bytes(self) -> bytes:
        """The sealed stream; more may be written after it was taken."""
        words = self.words.copy()
        if self.range < STATE - 1:  # something was written
            point = self.low + WORD - 1
            if point >= STATE:
                carry(words)
            words.append(point % STATE // WORD)
            if (self.low + self.range) % STATE // WORD == words[-1]:
                words.append(0)
        return b"".join(word.to_bytes(4, "little") for word in words)


def carry(words: list[int]) -> None:
    """Add one to the number that the words are, the first the most significant."""
    at = len(words) - 1
    while words[at] == WORD - 1:
        words[at] = 0
        at -= 1
    words[at] += 1


FACTORS = (
    16384, 17109, 17867, 18658, 19484, 20347, 21247, 22188, 23170, 24196, 25268, 26386, 27554, 28774, 30048, 31379
)  # fmt: skip


def steps(payload: bytes) -> tuple[int, list[int]]:
    """Tune and the 39 offsets of a STEP chunk."""
    bits = iter("".join(f"{byte:08b}" for byte in payload[1:]))
    offsets: list[int] = []
    for channel in range(39):
        zeros = 0
        while (bit := next(bits, "")) == "0":
            zeros += 1
        digits = bit + "".join(next(bits, "") for _ in range(zeros))
        if len(digits) != zeros + 1:
            raise Damaged("the end is missing")
        m = int(digits, 2) - 1
        difference = m // 2 if m % 2 == 0 else -(m + 1) // 2
        offsets.append(difference + (offsets[channel - 3] if channel >= 3 else 0))
        if abs(offsets[-1]) > 64:
            raise Damaged("an offset out of range")
    rest = "".join(bits)
    if len(rest) >= 8 or "1" in rest:
        raise Damaged("something follows the end")
    return payload[0], offsets


def with_offset(own: int, gain: int, coded_from: int, offset: int) -> tuple[int, int, bool]:
    """`own` and `gain` of a band channel and whether it is coded, from the weights' at Q and the file's offset."""
    octave, part = offset // 16, offset % 16
    finer = gain * FACTORS[part] // 2**14
    finer = finer * 2**octave if octave >= 0 else finer // 2**-octave
    return own + 16 * offset, min(finer, 4096) if offset else gain, coded_from + 4096 * offset > 0


def level_qualities(quality: int, offsets: list[int]) -> list[int]:
    """The Q of which the four levels read `graph.quality`."""
    return [quality, *(min(max(quality + 320 * offsets[first], 0), 25600) for first in (12, 21, 30))]
