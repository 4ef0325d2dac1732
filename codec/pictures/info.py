"""What .irc files and Pillow call the same things: chunks on the one side, entries of `Image.info` on the other."""

from __future__ import annotations

from typing import Any

from codec.container import bitstream
from codec.container.bitstream import File
from codec.pictures import resolution, texts
from codec.pictures.exif import PREFIX as EXIF_PREFIX

#: a key of `Image.info`, the chunk that holds the same, and what stands before the chunk's payload there
_ENTRIES = (("exif", bitstream.EXIF, EXIF_PREFIX), ("icc_profile", bitstream.ICC, b""), ("xmp", bitstream.XMP, b""))
KEYS = (*(key for key, _, _ in _ENTRIES), "dpi", "comment")  #: of metadata, in `Image.info`


def info_of(file: File, temperature: float | None = None, seed: int | None = None) -> dict[str, Any]:
    """What a PIL image decoded from a file says in `info`: metadata, quality, and how its detail was drawn.

    temperature, seed: where others than the file's were asked for.
    """
    info: dict[str, Any] = {key: prefix + file.extras[kind] for key, kind, prefix in _ENTRIES if kind in file.extras}
    if dpi := resolution.dpi(file.extras.get(bitstream.RESOLUTION, b"")):
        info["dpi"] = dpi
    comments = [t.text for t in texts.unpack(file.extras.get(bitstream.TEXTS, b"")) if t.keyword == texts.COMMENT]
    if comments:
        info["comment"] = comments[-1].encode()
    header = file.header
    info["quality"] = header.quality
    info["temperature"] = header.temperature if temperature is None else temperature
    info["seed"] = header.seed if seed is None else seed
    return info
