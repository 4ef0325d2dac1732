"""Range coding with integer tables (constriction; its exact version is part of the format).

    >>> import numpy as np
    >>> from entropy.tables import logistic_tables
    >>> tables = logistic_tables()
    >>> models, ids, values = Models(tables), np.array([0, 9, 9, 160]), np.array([0, -1, 500, 3])
    >>> writer = Encoder()
    >>> _ = writer.code(models, ids, values)
    >>> reader = Decoder(writer.bytes())
    >>> reader.code(models, ids, None).tolist()
    [0, -1, 500, 3]

Symbols of one step are grouped by table, so that Python makes one call a table, not one a symbol.
"""

from __future__ import annotations

from typing import Protocol

import constriction
import numpy as np
from numpy.typing import NDArray

from entropy.tables import TOTAL, Tables

_Categorical = constriction.stream.model.Categorical
_Uniform = constriction.stream.model.Uniform
EXPONENTS = 24  #: bits of an escape's magnitude at most


class CorruptStream(ValueError):
    """The coded bytes do not belong to any encoder's output."""


class Models:
    """Entropy models of a set of tables, built when first used."""

    def __init__(self, tables: Tables):
        self.tables = tables
        self.reach = tables.reach.astype(np.int32)
        self._models: dict[int, object] = {}

    def __getitem__(self, table: int) -> object:
        model = self._models.get(table)
        if model is None:
            f = self.tables.frequencies[self.tables.start[table] : self.tables.start[table + 1]]
            model = self._models[table] = _Categorical(f.astype(np.float64) / TOTAL, perfect=False)
        return model


class Coder(Protocol):
    """One direction of the coder."""

    def code(self, models: Models, ids: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        """The n values of a step. ids: the table of each, in 0..65535; values: n integers of at most 2^22 in magnitude
        to encode, None to decode. ValueError where there are none to encode, CorruptStream where none can be decoded.
        """


def _groups(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A stable order by table, the tables that occur, and how often each does."""
    order = np.argsort(ids.astype(np.uint16), kind="stable")
    counts = np.bincount(ids)
    used = np.flatnonzero(counts)
    return order, used, counts[used]


class Encoder:
    """Writes steps of symbols; `bytes()` ends the stream."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def code(self, models: Models, ids: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        """As `Coder`: values are needed."""
        if values is None:
            raise ValueError("an encoder needs values")
        if not len(ids):
            return values
        order, used, counts = _groups(ids)
        reach = np.repeat(models.reach[used], counts)
        symbols = values.take(order).astype(np.int32, copy=False) + reach
        escapes = np.flatnonzero((symbols < 0) | (symbols > 2 * reach))
        escaped = symbols[escapes] - reach[escapes]
        symbols += 1
        symbols[escapes] = 0
        at = 0
        for table, count in zip(used.tolist(), counts.tolist()):
            self._coder.encode(symbols[at : at + count], models[table])
            at += count
        for value, r in zip(escaped.tolist(), reach[escapes].tolist()):
            rest = 2 * (abs(value) - r - 1) + (value < 0) + 1
            exponent = rest.bit_length() - 1
            self._coder.encode(exponent, _Uniform(EXPONENTS))
            if exponent:
                self._coder.encode(rest - (1 << exponent), _Uniform(1 << exponent))
        return values

    def bytes(self) -> bytes:
        """The whole stream, little-endian words of 32 bits."""
        words: NDArray[np.uint32] = self._coder.get_compressed()
        return words.astype("<u4").tobytes()


class Decoder:
    """Reads the steps back in the same order."""

    def __init__(self, data: bytes):
        """data: what `Encoder.bytes` gave; CorruptStream where its length says that it is not."""
        if len(data) % 4:
            raise CorruptStream("coded data is not a whole number of words")
        self._coder = constriction.stream.queue.RangeDecoder(np.frombuffer(data, "<u4").astype(np.uint32))

    def code(self, models: Models, ids: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
        """As `Coder`: values are not looked at. int32."""
        if not len(ids):
            return np.zeros(0, np.int32)
        order, used, counts = _groups(ids)
        symbols = np.empty(len(ids), np.int32)
        at = 0
        try:
            for table, count in zip(used.tolist(), counts.tolist()):
                symbols[at : at + count] = self._coder.decode(models[table], count)
                at += count
            reach = np.repeat(models.reach[used], counts)
            escapes = np.flatnonzero(symbols == 0)
            symbols -= reach
            symbols -= 1
            for i in escapes.tolist():
                exponent = int(self._coder.decode(_Uniform(EXPONENTS)))
                rest = 1 << exponent
                if exponent:
                    rest += int(self._coder.decode(_Uniform(1 << exponent)))
                rest -= 1
                magnitude = rest // 2 + int(reach[i]) + 1
                symbols[i] = -magnitude if rest & 1 else magnitude
        except (ValueError, AssertionError) as error:
            raise CorruptStream(f"coded data is damaged ({error})") from error
        out = np.empty_like(symbols)
        out[order] = symbols
        return out
