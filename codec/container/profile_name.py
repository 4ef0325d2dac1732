"""What a picture's colour space is called: the name that its ICC profile gives itself."""

from __future__ import annotations

import struct


def in_words(profile: bytes | None, grey: bool) -> str:
    """What a colour space is called: by its profile, or sRGB where there is none.

    >>> in_words(None, False), in_words(b"damaged", False)
    ('sRGB, as nothing else is stated', 'a profile without a name')
    """
    if not profile:
        return "grey with sRGB's curve, as nothing else is stated" if grey else "sRGB, as nothing else is stated"
    return _description(profile) or "a profile without a name"


def _description(profile: bytes) -> str:
    """The name that a profile gives itself, in English where it has several; empty where it has none."""
    count = min(int.from_bytes(profile[128:132], "big"), 200)
    for at in range(132, 132 + 12 * count, 12):
        if profile[at : at + 4] == b"desc" and len(profile) >= at + 12:
            start, size = struct.unpack(">II", profile[at + 4 : at + 12])
            return _text(profile[start : start + size])
    return ""


def _text(element: bytes) -> str:
    """The text of an element of type `desc` (version 2) or `mluc` (version 4), one line."""
    text = ""
    if element[:4] == b"desc":
        text = element[12 : 12 + int.from_bytes(element[8:12], "big")].decode("latin-1")
    elif element[:4] == b"mluc":
        records = [
            element[at : at + 12] for at in range(16, 16 + 12 * min(int.from_bytes(element[8:12], "big"), 100), 12)
        ]
        for record in sorted((r for r in records if len(r) == 12), key=lambda r: r[:2] != b"en")[:1]:
            size, start = struct.unpack(">II", record[4:])
            text = element[start : start + size].decode("utf-16-be", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text.partition("\0")[0]).split())[:80]
