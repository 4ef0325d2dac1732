"""What travels with the pixels of a picture: EXIF, colour profile, XMP, IPTC, texts, resolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from codec.container import bitstream
from codec.pictures.account import Account

#: field of `Picture` -> the chunk of an .irc file that holds it
CHUNKS = {
    "icc": bitstream.ICC,
    "resolution": bitstream.RESOLUTION,
    "exif": bitstream.EXIF,
    "xmp": bitstream.XMP,
    "xmp_extension": bitstream.XMP_EXTENSION,
    "photoshop": bitstream.PHOTOSHOP,
    "texts": bitstream.TEXTS,
}
#: what stays where metadata is to be left out, since the look of the picture depends on it
UNSTRIPPED = ("icc", "resolution")


@dataclass
class Picture:
    """Pixels and the metadata that travels with them, each as its chunk of an .irc file has it (docs/format.md).

    `pixels` is uint8 or uint16: H,W (grey), H,W,2 (grey, alpha), H,W,3 (RGB) or H,W,4 (RGB, alpha). `exif` is a TIFF
    stream, without the prefix of JPEG. `account`: what the file states, and what became of it.
    """

    pixels: NDArray[Any]
    exif: bytes | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    account: Account = field(default_factory=Account)
    xmp_extension: bytes | None = None
    photoshop: bytes | None = None  #: image resources, IPTC among them
    texts: bytes | None = None
    resolution: bytes | None = None

    @property
    def notes(self) -> list[str]:
        """What was converted or left out on the way, a line each."""
        return self.account.notes

    def chunks(self) -> dict[str, bytes]:
        """The chunks of an .irc file that hold the metadata."""
        return {kind: value for name, kind in CHUNKS.items() if (value := getattr(self, name))}

    def take_chunks(self, extras: Mapping[str, bytes]) -> None:
        """Take over the metadata in the chunks of an .irc file."""
        for name, kind in CHUNKS.items():
            setattr(self, name, extras.get(kind))

    def strip(self) -> None:
        """Leave out all metadata but the colour profile and the resolution."""
        for name in CHUNKS:
            if name not in UNSTRIPPED:
                setattr(self, name, None)


def of_info(image: Image.Image, key: str) -> bytes | None:
    """What Pillow has found under this key, as bytes."""
    value = image.info.get(key)
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    return bytes(value) if isinstance(value, (bytes, bytearray)) else None
