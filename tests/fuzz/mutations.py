"""Structured mutations: parts of a picture's container dropped, doubled, moved, changed in type, size or value, or added."""

from __future__ import annotations

import struct

import donors
import numpy as np
from containers import UNITS, File, Part, order_of, taken_apart
from donors import Random, one_of

#: parts that hold samples or lead to them: changed less often, since all that comes of it is a file that nobody reads
_SAMPLES = {b"IDAT", b"IHDR", b"IEND", b"VP8 ", b"VP8L", b"mdat", b"iloc", b"ftyp", b"meta"}
_NUMBERS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 127, 128, 254, 255)


def mutant(random: Random, data: bytes) -> tuple[bytes, list[str]]:
    """A file with one to three mutations, and what they are."""
    done: list[str] = []
    file = taken_apart(data)
    if file is None:
        return data, done
    for _ in range(one_of(random, 1, 1, 2, 3)):
        done.append(_mutate(random, file))
    return file.bytes(), done


def _mutate(random: Random, file: File) -> str:
    parts = file.lists[int(random.integers(len(file.lists)))]
    order = order_of(file.rest)
    what = one_of(random, "drop", "double", "move", "type", "size", "value", "add", "add", "add", "replace", "within")
    if what == "add" or not parts:
        part = donors.of_form(file.form, random, order)
        if file.form == "boxes" and len(file.lists) > 2:
            return _add_property(random, file, part)
        parts.insert(_place(random, file, parts), part)
        return f"add {_shown(part, order, file.form)}"
    at = int(random.integers(len(parts)))
    part = parts[at]
    if part.kind in _SAMPLES and what in ("drop", "type", "value", "size", "replace") and random.random() < 0.8:
        what = "double"
    shown = f"{what} {_shown(part, order, file.form)}"
    if what == "drop":
        del parts[at]
    elif what == "double":
        again = part if random.random() < 0.5 else _changed(random, part, order, file.form)
        parts.insert(one_of(random, at, at + 1, _place(random, file, parts)), again)
    elif what == "move":
        del parts[at]
        parts.insert(_place(random, file, parts), part)
        file.mend = random.random() < 0.5
    elif what == "type":
        parts[at] = _retyped(random, part, order, file.form)
    elif what == "size":
        cut = one_of(random, 0, 1, 2, len(part.data) // 2, max(0, len(part.data) - 1), len(part.data) + 3)
        parts[at] = _sized(part, (part.data + bytes(3))[:cut], order, file.form)
    elif what == "within":
        parts[at] = _within(random, part, file.form)
    elif what == "replace":
        other = donors.of_form(file.form, random, order)
        parts[at] = other._replace(kind=part.kind) if file.form != "tiff" and random.random() < 0.3 else other
    else:
        parts[at] = _changed(random, part, order, file.form)
    return shown


def _place(random: Random, file: File, parts: list[Part]) -> int:
    """Where to put a part: mostly where readers look for it, behind the first and before the last."""
    low = 0 if random.random() < 0.1 else min(1, len(parts))
    high = len(parts) if random.random() < 0.2 else max(low, len(parts) - 2)
    return int(random.integers(low, high + 1))


def _add_property(random: Random, file: File, part: Part) -> str:
    """A property of the first item, or a box of another place."""
    if random.random() < 0.2:
        parts = one_of(random, *file.lists[:2])
        parts.insert(_place(random, file, parts), part)
        return f"add box {part.kind!r}"
    properties, meta = file.lists[2], file.lists[1]
    properties.append(part)
    for n, holder in enumerate(meta):
        if holder.kind == b"iprp":
            meta[n] = Part(b"iprp", _associated(holder.data, len(properties)))
    return f"add property {part.kind!r} {part.data[:13]!r}"


def _associated(iprp: bytes, number: int) -> bytes:
    """The box `iprp` with a further property of its first item (box `ipma`, version 0, numbers of one byte)."""
    at = iprp.find(b"ipma")
    if at < 0 or number > 127 or iprp[at + 4] or iprp[at + 7] & 1:
        return iprp
    out = bytearray(iprp)
    out[at + 14] += 1
    out.insert(at + 15 + out[at + 14] - 1, number)
    struct.pack_into(">I", out, at - 4, struct.unpack_from(">I", out, at - 4)[0] + 1)
    return bytes(out)


def _shown(part: Part, order: str, form: str) -> str:
    if form == "tiff":
        number, kind, count = struct.unpack(order + "HHI", part.kind)
        return f"tag {number} type {kind} x {count} {part.data[:12]!r}"
    return f"{part.kind!r} {part.data[:20]!r}"


def _sized(part: Part, data: bytes, order: str, form: str) -> Part:
    if form != "tiff":
        return part._replace(data=data)
    number, kind, _ = struct.unpack(order + "HHI", part.kind)
    return Part(struct.pack(order + "HHI", number, kind, len(data) // UNITS.get(kind, 1)), data)


def _retyped(random: Random, part: Part, order: str, form: str) -> Part:
    """The part with another type: of a tag, its number or what its value is."""
    if form == "tiff":
        number, kind, count = struct.unpack(order + "HHI", part.kind)
        if random.random() < 0.3:
            number = struct.unpack(order + "HHI", donors.tiff_tag(random, order).kind)[0]
            return part._replace(kind=struct.pack(order + "HHI", number, kind, count))
        kind = int(random.integers(0, 15))
        return part._replace(kind=struct.pack(order + "HHI", number, kind, len(part.data) // UNITS.get(kind, 1)))
    if len(part.kind) == 1:
        return part._replace(kind=bytes([one_of(random, *range(0xE0, 0xF0), 0xFE)]))
    kind = bytearray(part.kind)
    kind[int(random.integers(4))] ^= 0x20
    return part._replace(kind=bytes(kind) if random.random() < 0.5 else donors.of_form(form, random, order).kind)


def _changed(random: Random, part: Part, order: str, form: str) -> Part:
    """The part with some of its bytes changed, most often one."""
    data = bytearray(part.data)
    for _ in range(one_of(random, 1, 1, 1, 2, 8) if data else 0):
        at = int(random.integers(min(len(data), one_of(random, 4, 16, 1 << 20))))
        data[at] = one_of(random, *_NUMBERS, int(random.integers(256)))
    return part._replace(data=bytes(data))


def _within(random: Random, part: Part, form: str) -> Part:
    """The part, and of a TIFF stream within it (EXIF data) a tag mutated."""
    start = next((at for mark in (b"II*\0", b"MM\0*") if 0 <= (at := part.data.find(mark)) <= 6), None)
    if form == "tiff" or start is None:
        return _changed(random, part, "<", form)
    try:
        stream = taken_apart(part.data[start:])
        assert stream is not None
        _mutate(random, stream)
        return part._replace(data=part.data[:start] + stream.bytes())
    except (struct.error, IndexError):  # mutated before, into what is no stream any more
        return part


def picked(random: np.random.Generator, pool: list[tuple[str, bytes]]) -> tuple[str, bytes]:
    """One of the seeds."""
    return pool[int(random.integers(len(pool)))]
