"""How a field of the header is declared: its place, range and meaning, and how it is shown."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class FieldSpec:
    """Declaration of one header field.

    code: type of `struct`; low, high: the range, None for bytes; label: what `irc info` calls it; scale: units to 1 of
    what it shows; names: what it shows instead of a number; as_hex: whether it shows the number in hexadecimal.
    """

    name: str
    code: str
    low: int | None
    high: int | None
    meaning: str
    label: str = ""
    scale: int = 1
    names: tuple[str, ...] = ()
    as_hex: bool = False

    @property
    def size(self) -> int:
        """Bytes that the field takes in the file."""
        return struct.calcsize(">" + self.code)

    @property
    def type_name(self) -> str:
        """The type as docs/format.md writes it, for instance ``u16``."""
        return f"{self.size} bytes" if self.code.endswith("s") else f"u{8 * self.size}"

    def check(self, value: int | bytes) -> str | None:
        """Return what is wrong with `value`, or None where it is in range."""
        if isinstance(value, bytes):
            if not self.code.endswith("s") or len(value) != self.size:
                return f"{self.name} is not {self.type_name}"
            return None
        if self.low is None or self.high is None:
            return f"{self.name} is not {self.type_name}"
        if not self.low <= value <= self.high:
            return f"{self.name} is {value}, not in {self.low}..{self.high}"
        return None

    def show(self, value: int | bytes) -> int | float | str:
        """Return `value` as ``irc info`` reports it."""
        if isinstance(value, bytes):
            return value.hex()
        if self.as_hex:
            return f"{value:0{2 * self.size}x}"
        if self.names:
            return self.names[value]
        return value if self.scale == 1 else value / self.scale


def header_field(code: str, span: tuple[int, int] | None, meaning: str, *, default: int | bytes, **shown: Any) -> Any:
    """A field of the header with its declaration; `shown` is what `FieldSpec` has beyond these."""
    low, high = span or (None, None)
    return field(default=default, metadata={"spec": FieldSpec("", code, low, high, meaning, **shown)})
