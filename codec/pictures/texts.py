r"""Comments and other texts that a picture file holds beside the picture, each under a keyword as PNG has them.

The payload of a `teXt` chunk: for each text its keyword, language, translated keyword and the text itself, UTF-8, each
ended by a zero byte. A comment of a JPEG, GIF or JPEG 2000 file has the keyword "Comment".

    >>> packed = pack([Text("Comment", "Bären")])
    >>> packed, unpack(packed) == [Text("Comment", "Bären")]
    (b'Comment\x00\x00\x00B\xc3\xa4ren\x00', True)
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

COMMENT = "Comment"
RAW_PROFILE = "Raw profile type "  #: keywords of PNG texts that hold other metadata in hexadecimal
LARGEST = 64 << 20  #: bytes of a text
PNG_KINDS = ("tEXt", "zTXt", "iTXt")


class Text(NamedTuple):
    """A text; keyword: 1 to 79 characters of Latin-1; language: as RFC 3066 has them, such as "de", or empty."""

    keyword: str
    text: str
    language: str = ""
    translated: str = ""


def pack(texts: Sequence[Text]) -> bytes:
    """The payload of a `teXt` chunk."""
    fields = [field for t in texts for field in (t.keyword, t.language, t.translated, t.text)]
    return b"".join(field.replace("\0", "\ufffd").encode("utf-8", "replace") + b"\0" for field in fields)


def unpack(payload: bytes) -> list[Text]:
    """The texts of a `teXt` chunk; what is no such payload gives those that are whole."""
    fields = [field.decode("utf-8", "replace") for field in payload.split(b"\0")[:-1]]
    groups = zip(*[iter(fields)] * 4)
    return [Text(keyword, text, language, translated) for keyword, language, translated, text in groups]


def comment(data: bytes) -> tuple[Text, bool]:
    """A comment of a file that does not say how it is coded, and whether it is UTF-8; otherwise it is Latin-1."""
    data = data.rstrip(b"\0")
    try:
        return Text(COMMENT, data.decode()), True
    except UnicodeDecodeError:
        return Text(COMMENT, data.decode("latin-1")), False


# --- PNG -------------------------------------------------------------------------------------------


def of_png(kind: str, data: bytes) -> Text | None:
    """The text in a chunk tEXt, zTXt or iTXt; None where it is damaged."""
    keyword, zero, rest = data.partition(b"\0")
    if kind not in PNG_KINDS or not zero or not keyword:
        return None
    name = keyword.decode("latin-1")
    try:
        if kind == "tEXt":
            return Text(name, rest.decode("latin-1"))
        if kind == "zTXt":
            return Text(name, _inflated(rest[1:]).decode("latin-1"))
        compressed, (language, _, rest) = rest[:1] == b"\1", rest[2:].partition(b"\0")
        translated, _, rest = rest.partition(b"\0")
        text = _inflated(rest) if compressed else rest
        return Text(name, text.decode(), language.decode("latin-1"), translated.decode())
    except (zlib.error, ValueError):
        return None


def _inflated(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    out = stream.decompress(data, LARGEST)
    if not stream.eof:
        raise ValueError("cut off, or too large")
    return out


def to_png(text: Text) -> tuple[bytes, bytes]:
    """Type and payload of the PNG chunk that holds a text: tEXt, or iTXt where it takes one."""
    keyword = text.keyword.encode("latin-1", "replace")[:79] or COMMENT.encode()
    if not (text.language or text.translated):
        try:
            return b"tEXt", keyword + b"\0" + text.text.encode("latin-1")
        except UnicodeEncodeError:
            pass
    language = text.language.encode("latin-1", "replace")
    return b"iTXt", b"\0".join((keyword, b"\0", language, text.translated.encode(), text.text.encode()))


def profile(text: str) -> bytes | None:
    """The bytes in a text whose keyword starts with `RAW_PROFILE`: lines of a name, a length, hexadecimal digits."""
    try:
        lines = text.strip("\n").split("\n")
        data = bytes.fromhex("".join(lines[2:]))
        return data if len(data) == int(lines[1]) else None
    except (ValueError, IndexError):
        return None


def of_profile(name: str, data: bytes) -> tuple[bytes, bytes]:
    """Type and payload of the PNG chunk zTXt that holds a profile in hexadecimal, as ImageMagick and exiftool do."""
    digits = data.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    text = f"\n{name}\n{len(data):8}\n{lines}\n"
    return b"zTXt", f"{RAW_PROFILE}{name}".encode() + b"\0\0" + zlib.compress(text.encode())
