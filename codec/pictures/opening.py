"""Picture files opened by Pillow's plugins, but without its limit on pixels, which belongs to the whole process.

Our own limit holds instead: `codec.container.bitstream.check_pixels`, before anything is decoded. To lift Pillow's for
a moment would lift it for everybody else, too, and threads that do so at once would leave it lifted. (Of its plugins
that of WebP, and of GIF and ICO beyond the first picture, look at Pillow's limit all the same.)

    >>> import io
    >>> stream = io.BytesIO()
    >>> Image.new("L", (3, 2)).save(stream, "PNG")
    >>> opened(stream, ["JPEG", "PNG"]).size
    (3, 2)
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

from PIL import Image, ImageFile, TiffImagePlugin, UnidentifiedImageError


class Tiff(TiffImagePlugin.TiffImageFile):
    """A TIFF file whose pixels are not counted again when they are decoded."""

    def load_prepare(self) -> None:
        """Make the image that is decoded into."""
        if self._im is None:
            self.im = Image.core.new(self.mode, self._tile_size)
        ImageFile.ImageFile.load_prepare(self)


_OURS: dict[str, Callable[[BinaryIO, str], ImageFile.ImageFile]] = {"TIFF": Tiff}


def opened(stream: BinaryIO, formats: Iterable[str]) -> ImageFile.ImageFile:
    """The image that starts the stream, of the first of these formats that it is; its pixels are not decoded yet.

    UnidentifiedImageError where it is none, and whatever else Pillow's plugins raise.
    """
    Image.init()
    stream.seek(0)
    prefix = stream.read(16)
    for name in formats:
        factory, accept = Image.OPEN.get(name, (None, None))
        accepted: Any = factory is not None and (accept is None or accept(prefix))
        if factory is None or not accepted or isinstance(accepted, str):  # text: why it cannot be read here
            continue
        stream.seek(0)
        try:
            return _OURS.get(name, factory)(stream, "")
        except (SyntaxError, IndexError, TypeError, struct.error):  # what plugins raise where it is none of theirs
            continue
    raise UnidentifiedImageError("no image of these formats")
