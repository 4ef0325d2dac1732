"""What an .irc file begins with, signature and version, and what is wrong with other beginnings."""

from __future__ import annotations

from codec.errors import DamagedError, InputError

# The high byte does not survive a 7-bit channel, CR LF and the lone LF do not survive a
# conversion of line ends, and 0x1A stops a listing on systems that take it for end of file.
MAGIC = b"\x9cIRC\r\n\x1a\n"
VERSION = 2  #: the highest that is read
PLAIN = 1  #: of files whose steps are those of their weights: older readers take them
MIME_TYPE = "image/x-irc"


def _text_mode_signatures() -> tuple[bytes, ...]:
    """Return what a text-mode transfer turns the signature into."""
    tail = MAGIC[1:]
    tails = {
        tail,
        tail.replace(b"\r\n", b"\n"),
        tail.replace(b"\n", b"\r\n"),
        tail.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
        tail.replace(b"\r\n", b"\r").replace(b"\n", b"\r"),
        tail.replace(b"\r", b"\n"),
    }
    # The high byte kept, stripped to 7 bits, and recoded as UTF-8 from Latin-1,
    # from Windows-1252 and by way of the replacement character.
    heads = {MAGIC[:1], bytes([MAGIC[0] & 0x7F]), b"\xc2\x9c", b"\xc5\x93", b"\xef\xbf\xbd"}
    return tuple(head + tail for head in heads for tail in tails if head + tail != MAGIC)


def check_signature(data: bytes) -> None:
    """Raise DamagedError where this is what a transfer made of an .irc file, InputError where it is none at all."""
    start = bytes(data[: len(MAGIC)])
    if start == MAGIC:
        return
    if not start:
        raise InputError("the file is empty")
    if bytes(data[:16]).startswith(_text_mode_signatures()):
        raise DamagedError(
            "signature at offset 0: the file was damaged by a transfer in text mode; transfer it again in binary mode"
        )
    if MAGIC.startswith(start):
        raise DamagedError("signature at offset 0: the file is truncated")
    if start.startswith(MAGIC[:4]):
        raise DamagedError("signature at offset 0: bytes are changed")
    raise InputError("not an .irc file")


def check_version(data: bytes) -> None:
    """Raise InputError where a newer irc is needed, DamagedError where there is no version behind the signature."""
    if len(data) <= len(MAGIC):
        raise DamagedError(f"version at offset {len(MAGIC)}: the file is truncated")
    version = data[len(MAGIC)]
    if version > VERSION:
        raise InputError(
            f"the file has format version {version}, this irc reads up to {VERSION}: a newer irc is needed"
        )
    if version < 1:
        raise DamagedError(f"version at offset {len(MAGIC)}: {version} is no format version")
