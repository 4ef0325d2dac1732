"""The payload of a STEP chunk: what a file was tuned for, and by how much its steps differ from those of its weights.

>>> steps = Steps(1, (6,) * CHANNELS)
>>> payload = pack(steps)
>>> len(payload), unpack(payload) == steps
(9, True)
"""

from __future__ import annotations

from typing import NamedTuple

from codec.errors import DamagedError
from entropy.config import CHANNELS
from entropy.quantisation import MOST

TUNES = ("psnr", "visual")  #: by the number that a file gives; one without steps of its own is of the first
COLOURS = 3


class Steps(NamedTuple):
    """What a STEP chunk says."""

    tune: int  #: number of what the file was tuned for
    offsets: tuple[int, ...]  #: of the 39 band channels, -64..64: sixteenths of an octave by which steps are finer


def name(tune: int) -> str:
    """What a number stands for."""
    return TUNES[tune] if tune < len(TUNES) else f"unknown ({tune})"


def pack(steps: Steps) -> bytes:
    """The payload: u8 tune, then each offset's difference to that of the same colour in the band before (three channels
    earlier, 0 where there is none) as an Exp-Golomb code, the most significant bit of a byte first.
    """
    if len(steps.offsets) != CHANNELS or not 0 <= steps.tune <= 255 or any(abs(o) > MOST for o in steps.offsets):
        raise ValueError(f"steps are {CHANNELS} offsets of -{MOST}..{MOST}")
    bits = ""
    for offset, before in zip(steps.offsets, (0,) * COLOURS + steps.offsets):
        difference = offset - before
        number = (2 * difference if difference > 0 else -2 * difference - 1 if difference else 0) + 1
        bits += "0" * (number.bit_length() - 1) + f"{number:b}"
    bits += "0" * (-len(bits) % 8)
    return bytes([steps.tune]) + int(bits, 2).to_bytes(len(bits) // 8, "big")


def unpack(payload: bytes) -> Steps:
    """The inverse of `pack`; DamagedError where it did not make this."""
    try:
        return _unpacked(payload)
    except ValueError as error:
        raise DamagedError(f"chunk STEP: {error}") from None


def _unpacked(payload: bytes) -> Steps:
    if len(payload) < 2:
        raise ValueError(f"{len(payload)} bytes")
    bits, at = f"{int.from_bytes(payload[1:], 'big'):0{8 * len(payload) - 8}b}", 0
    offsets = [0] * COLOURS  # before the first
    for _ in range(CHANNELS):
        first = bits.find("1", at)
        end = 2 * first - at + 1
        if first < 0 or end > len(bits):
            raise ValueError("its end is missing")
        number = int(bits[first:end], 2) - 1
        at = end
        difference = (number + 1) // 2 * (1 if number % 2 == 0 else -1)
        offsets.append(difference + offsets[-COLOURS])
        if abs(offsets[-1]) > MOST:
            raise ValueError(f"an offset of {offsets[-1]}")
    if len(bits) - at >= 8 or "1" in bits[at:]:
        raise ValueError("something follows its end")
    return Steps(payload[0], tuple(offsets[COLOURS:]))
