"""Pillow opens .irc files and saves them, once `codec.register()` has been called.

    >>> import io, codec
    >>> from PIL import Image
    >>> codec.register()
    >>> stream = io.BytesIO()
    >>> Image.new("RGB", (40, 30), "teal").save(stream, "IRC", quality=60)
    >>> Image.open(stream).size
    (40, 30)

Opening reads the header and metadata; pixels are decoded when they are asked for.
"""

from __future__ import annotations

from dataclasses import fields
from typing import IO, Any

from PIL import Image, ImageFile

from codec.coding.options import EncodeOptions
from codec.container import bitstream
from codec.container.signature import MIME_TYPE
from codec.errors import IrcError

#: The options of `encode` that `save` takes; metadata it takes as Pillow's other plugins do.
OPTIONS = tuple(f.name for f in fields(EncodeOptions) if f.name not in ("extras", "progress"))


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(bitstream.MAGIC)


class IrcImageFile(ImageFile.ImageFile):
    """An .irc file as Pillow sees it: 8 bits a sample, of mode L, LA, RGB or RGBA."""

    format = "IRC"
    format_description = "irc, a learned image codec"

    def _open(self) -> None:
        if self.fp is None:
            raise SyntaxError("no file")
        try:
            # Pillow's own limit holds, too: it is checked after this, before anything is decoded
            file = bitstream.read(self.fp.read())
        except IrcError as error:
            raise SyntaxError(str(error)) from error
        header, extras = file.header, file.extras
        self._size = header.width, header.height
        grey, alpha = header.mode % 2 == 0, bitstream.ALPHA in extras
        self._mode = ("L" if grey else "RGB") + ("A" if alpha else "")
        for key, kind, prefix in (
            ("exif", bitstream.EXIF, b"Exif\0\0"),
            ("icc_profile", bitstream.ICC, b""),
            ("xmp", bitstream.XMP, b""),
        ):
            if kind in extras:
                self.info[key] = prefix + extras[kind]
        self.info["quality"] = header.quality
        self.tile = []

    def load(self) -> Any:
        """Decode the pixels; OSError, as Pillow's own plugins raise, where the file is damaged."""
        if self.fp is not None and self._im is None:
            from codec import api

            self.fp.seek(0)
            try:
                decoded = api.decode(self.fp.read())
            except IrcError as error:
                raise OSError(str(error)) from error
            self.im = decoded.im
            if self._exclusive_fp:
                self.fp.close()
            self.fp = None
        return super().load()


def _save(image: Image.Image, stream: IO[bytes], name: str | bytes) -> None:
    from codec import api

    given = image.encoderinfo
    exif, icc, xmp = (given.get(key, image.info.get(key)) for key in ("exif", "icc_profile", "xmp"))
    if isinstance(exif, Image.Exif):
        exif = exif.tobytes()
    extras = {bitstream.EXIF: exif, bitstream.ICC: icc, bitstream.XMP: xmp}
    options = {k: given[k] for k in OPTIONS if k in given}
    try:
        stream.write(
            api.encode(image, extras={k: bytes(v).removeprefix(b"Exif\0\0") for k, v in extras.items() if v}, **options)
        )
    except IrcError as error:
        raise OSError(str(error)) from error


def register() -> None:
    """Tell Pillow of .irc files; calling it again changes nothing."""
    Image.register_open(IrcImageFile.format, IrcImageFile, _accept)
    Image.register_save(IrcImageFile.format, _save)
    Image.register_extension(IrcImageFile.format, ".irc")
    Image.register_mime(IrcImageFile.format, MIME_TYPE)
