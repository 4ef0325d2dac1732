"""Pillow opens .irc files and saves them, once `codec.register()` has been called.

    >>> import io, codec
    >>> from PIL import Image
    >>> codec.register()
    >>> stream = io.BytesIO()
    >>> Image.new("RGB", (400, 300), "teal").save(stream, "IRC", quality=60)
    >>> image = Image.open(stream)
    >>> image.size, image.info["quality"]
    ((400, 300), 60.0)
    >>> image.thumbnail((64, 64))  # from the coarse part of the file alone
    >>> image.size
    (64, 48)

Opening reads the header and metadata; pixels are decoded when they are asked for.
"""

from __future__ import annotations

from dataclasses import fields
from typing import IO, Any

from PIL import Image, ImageFile

from codec.coding.options import EncodeOptions
from codec.container import bitstream
from codec.container.grid import SCALES, padded
from codec.container.signature import MIME_TYPE
from codec.errors import DamagedError, InputError, IrcError
from codec.pictures.info import KEYS, info_of

#: The options of `encode` that `save` takes; metadata it takes as Pillow's other plugins do.
OPTIONS = tuple(f.name for f in fields(EncodeOptions) if f.name not in ("extras", "max_pixels"))
#: how much smaller than asked for, a side, a draft may be
TOLERANCE = 0.95


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(bitstream.MAGIC)


def _refuse_bombs(width: int, height: int) -> None:
    """Pillow looks at the size itself, when `_open` is done; sides are padded, which makes a thin picture large."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and padded(width) * padded(height) > max(4 * limit, 1 << 20):
        raise Image.DecompressionBombError(
            f"{width} x {height} pixels, padded to multiples of 32, are more than four times the limit of {limit} "
            "pixels (Image.MAX_IMAGE_PIXELS)"
        )


class IrcImageFile(ImageFile.ImageFile):
    """An .irc file as Pillow sees it: 8 bits a sample, of mode L, LA, RGB or RGBA.

    `info` has exif, icc_profile and xmp where the file has them, quality, and the temperature and seed at which its
    detail is drawn.
    """

    format = "IRC"
    format_description = "irc, a learned image codec"

    def _open(self) -> None:
        if self.fp is None:
            raise SyntaxError("no file")
        try:
            file = bitstream.read(self.fp.read(), None)
        except (DamagedError, InputError) as error:  # it is ours, but not to be read
            raise OSError(str(error)) from error
        header = file.header
        _refuse_bombs(header.width, header.height)
        self._size = self.whole = header.width, header.height
        self.scale, self.gap = 1, 1.0
        grey, alpha = header.mode % 2 == 0, bitstream.ALPHA in file.extras
        self._mode = ("L" if grey else "RGB") + ("A" if alpha else "")
        self.info.update(info_of(file))
        self.tile = []

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int, float, float]] | None:
        """Let `load` decode a smaller picture: 1/2, 1/4, 1/8 or 1/16, whose sides are at least `size` or, by a
        twentieth at most, below.

        size: a box in pixels; the longer side, measured by it, counts, as in `thumbnail`. mode is not looked at.
        Returns the mode and the box of what is decoded, None where there is nothing to choose any more.
        """
        if size is None or self._im is not None or self.fp is None:
            return None
        width, height = self.whole
        most = self.gap * max(width / max(1, size[0]), height / max(1, size[1]))
        self.scale = max(self.scale, *(s for s in SCALES if s == 1 or s * TOLERANCE <= most))
        self._size = -(-width // self.scale), -(-height // self.scale)
        return self.mode, (0, 0, width / self.scale, height / self.scale)

    def thumbnail(
        self,
        size: tuple[float, float],
        resample: Image.Resampling = Image.Resampling.BICUBIC,
        reducing_gap: float | None = 2.0,
    ) -> None:
        """As Pillow's, from the coarsest part of the file that is enough.

        Pillow asks for a draft that is larger by `reducing_gap` than the thumbnail, since JPEG's are no good; ours
        are as good as what a filter would make of the whole picture, so that no gap is needed.
        """
        self.gap = reducing_gap or 1.0
        try:
            super().thumbnail(size, resample, reducing_gap)
        finally:
            self.gap = 1.0

    def load(self) -> Any:
        """Decode the pixels; OSError, as Pillow's own plugins raise, where the file is damaged."""
        if self.fp is not None and self._im is None:
            from codec import api

            self.fp.seek(0)
            try:
                # Pillow's limit has been looked at
                decoded = api.decode(self.fp.read(), scale=self.scale, max_pixels=None)
            except IrcError as error:
                raise OSError(str(error)) from error
            self.im = decoded.im
            if self._exclusive_fp:
                self.fp.close()
            self.fp = None
        return super().load()


def _save(image: Image.Image, stream: IO[bytes], name: str | bytes) -> None:
    from codec import api

    given = dict(image.encoderinfo)
    metadata = {key: given.pop(key) for key in KEYS if key in given}
    for key in given:
        if key not in OPTIONS:
            raise TypeError(f"irc files are not saved with {key!r}; there are {', '.join((*KEYS, *OPTIONS))}")
    if isinstance(metadata.get("exif"), Image.Exif):
        metadata["exif"] = metadata["exif"].tobytes()
    if any(value != image.info.get(key) for key, value in metadata.items()):
        image = image.copy()
        image.info.update(metadata)
    try:
        stream.write(api.encode(image, **given))
    except IrcError as error:
        raise OSError(str(error)) from error


def register() -> None:
    """Tell Pillow of .irc files; calling it again changes nothing."""
    Image.register_open(IrcImageFile.format, IrcImageFile, _accept)
    Image.register_save(IrcImageFile.format, _save)
    Image.register_extension(IrcImageFile.format, ".irc")
    Image.register_mime(IrcImageFile.format, MIME_TYPE)
