"""What is done to one picture, as callables from the bytes of a file to the bytes of another.

They can be pickled, hold options alone, and check these when they are made. `codec.errors` says what they raise. The
command line and the batches go this way, too, through `run`, which also hands out what is to be said of the picture.
"""

from __future__ import annotations

import dataclasses
import gc
import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import PurePath
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from codec.coding.options import DecodeOptions, EncodeOptions
from codec.coding.progress import Progress
from codec.container import bitstream
from codec.errors import InputError, IrcError

if TYPE_CHECKING:
    from codec.pictures.metadata import Picture

LEAST_MEMORY = 1 << 30  #: address space, in bytes, in which torch starts
SMALL_FORMATS = ("png", "webp", "tif", "tiff")  #: that hold every sample, and XMP


@dataclasses.dataclass
class Made:
    """What became of a picture."""

    data: bytes | memoryview  #: of the file to be written; empty where nothing is written
    facts: dict[str, Any]  #: width and height in pixels, and what else there is to report, by the names of ``--json``
    notes: list[str] = dataclasses.field(
        default_factory=list
    )  #: what was converted or left out on the way, a line each


#: whether this process is the program `irc` and nothing else, so that what belongs to the process may be changed
process_is_ours = False


@contextmanager
def _uncollected() -> Iterator[None]:
    """Inside, no garbage is looked for, unless somebody else asks for it; afterwards that is as it was before.

    Torch makes 100,000 objects that stay: searching them takes longer than loading the weights.
    """
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def load_api() -> ModuleType:
    """Import the codec. Where a limit on memory leaves no room for torch, its libraries would abort the process."""
    with suppress(ImportError):  # not on every system
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY and limit < LEAST_MEMORY:
            least = LEAST_MEMORY >> 20
            raise IrcError(f"out of memory: torch needs {least} MB, the limit is {limit >> 20} MB")
    if "torch" not in sys.modules:
        with _uncollected():
            import torch  # noqa: F401

            if process_is_ours:
                gc.freeze()
    from codec import api

    return api


class _Work:
    """What the callables share. A stream is the file of a picture, open for reading, or its bytes."""

    def __init__(self, strip: bool, max_pixels: int | None, threads: int | None):
        self.strip, self.max_pixels, self.threads = strip, max_pixels, threads

    def __call__(self, data: bytes) -> bytes:
        """The bytes of a file -> those of the file that is made of it."""
        return bytes(self.run(io.BytesIO(data)).data)

    def run(self, stream: BinaryIO, progress: Progress | None = None) -> Made:
        """The same, of an open file; progress: called with (work done, work in all), now and then."""
        return self._make(stream, progress)

    def _make(self, stream: BinaryIO, progress: Progress | None) -> Made:
        raise NotImplementedError

    @contextmanager
    def _api(self) -> Iterator[ModuleType]:
        """The codec, on as many threads as were asked for."""
        api = load_api()
        if self.threads is None:
            yield api
        else:
            from codec.network.host import torch_threads

            with torch_threads(self.threads):
                yield api

    def _loaded(self, stream: BinaryIO) -> Picture:
        from codec.pictures import reading

        return reading.load(stream, self.max_pixels)


class Encoder(_Work):
    """A picture of any format that irc reads -> an .irc file, as ``irc encode`` makes it.

    quality and options: those of `codec.encode` (extras, notes and progress are not among them; the file gets the
    colour profile and all metadata of the picture). strip: leave out all but profile and resolution. max_pixels:
    InputError beyond. threads: of torch (None: as torch has it).
    """

    def __init__(
        self,
        quality: float = 75.0,
        *,
        strip: bool = False,
        max_pixels: int | None = bitstream.DEFAULT_MAX_PIXELS,
        threads: int | None = None,
        **options: Any,
    ):
        super().__init__(strip, max_pixels, threads)
        _refuse("Encoder", options, "extras", "notes", "progress")
        EncodeOptions.of("Encoder", quality=quality, **options)
        self.quality, self.options = quality, options

    def _make(self, stream: BinaryIO, progress: Progress | None) -> Made:
        picture = self._loaded(stream)
        size = stream.seek(0, io.SEEK_END)
        if self.strip:
            picture.strip()
        with self._api() as api:
            data = api.encode(picture.pixels, self.quality, extras=picture.chunks(), progress=progress, **self.options)
        notes = list(picture.notes)
        if len(data) > size:
            notes.append(f"the .irc of {len(data)} bytes is larger than its source of {size} bytes")
        height, width = picture.pixels.shape[:2]
        facts = {
            "width": width,
            "height": height,
            "bytes": len(data),
            "bpp": round(8 * len(data) / (width * height), 6),
            "quality": bitstream.read_header(data).quality,
        }
        return Made(data, facts, notes)


class Decoder(_Work):
    """An .irc file -> a picture, as ``irc decode`` makes it.

    format: png, webp, tif, bmp, ppm (all exact) or jpg. jpeg_quality: 1 to 100, of jpg (default 95). options: those of
    `codec.decode` (array, notes and progress are not among them). strip, threads: as `Encoder` has them.
    """

    def __init__(
        self,
        format: str = "png",
        *,
        jpeg_quality: int | None = None,
        strip: bool = False,
        threads: int | None = None,
        **options: Any,
    ):
        _refuse("Decoder", options, "array", "notes", "progress")
        asked = DecodeOptions.of("Decoder", **options)
        super().__init__(strip, asked.max_pixels, threads)
        self.format, self.jpeg_quality, self.options = format, jpeg_quality, options

    def _make(self, stream: BinaryIO, progress: Progress | None) -> Made:
        data = stream.read()
        asked = DecodeOptions.of("Decoder", **self.options)
        if asked.salvage:
            from codec.container.damaged import read_damaged

            file = read_damaged(data, self.max_pixels).file
        else:
            file = bitstream.read(data, self.max_pixels)
        from codec.pictures import writing
        from codec.pictures.metadata import Picture

        # what the format cannot hold is found before the work, not after it
        longest = 1 if asked.region or asked.scale > 1 else max(file.header.width, file.header.height)
        writing.check_target(_name(self.format), asked.depth, bitstream.ALPHA in file.extras, longest)
        notes: list[str] = []
        if asked.depth == 8 and file.header.mode in bitstream.DEEP_MODES:
            notes.append("the picture has 16 bits a sample; --depth 16 keeps them")
        lost: list[str] = []
        with self._api() as api:
            pixels = api.decode(data, array=True, notes=lost, progress=progress, **self.options)
        picture = Picture(pixels)
        picture.take_chunks(file.extras)
        if self.strip:
            picture.strip()
        saved, left_out = _saved(picture, self.format, self.jpeg_quality)
        facts = {
            "width": pixels.shape[1],
            "height": pixels.shape[0],
            "bytes": file.size,
            "bpp": round(file.bpp, 6),
            "quality": file.header.quality,
        }
        if asked.region or asked.scale > 1:
            facts["part"] = _part(asked, file.header)
        return Made(saved, facts, [*notes, *lost, *left_out])


class Verifier(_Work):
    """An .irc file -> nothing; DamagedError and its like where it does not decode to what was encoded."""

    def __init__(self, *, max_pixels: int | None = bitstream.DEFAULT_MAX_PIXELS, threads: int | None = None):
        super().__init__(False, max_pixels, threads)

    def _make(self, stream: BinaryIO, progress: Progress | None) -> Made:
        data = stream.read()
        header = bitstream.read(data, self.max_pixels).header  # damage to the container is found without the network
        with self._api() as api:
            api.verify(data, max_pixels=self.max_pixels, progress=progress)
        return Made(b"", {"width": header.width, "height": header.height})


class Downscaler(_Work):
    """A photo -> a small picture that remembers, as ``irc downscale`` makes it.

    scale: 2 or 4, by which sides are divided. effort: 0 to 9, as `codec.downscale` has it. format: png, webp or
    tif. strip, max_pixels, threads: as `Encoder` has them.
    """

    def __init__(
        self,
        scale: int = 2,
        *,
        effort: int = 0,
        format: str = "png",
        strip: bool = False,
        max_pixels: int | None = bitstream.DEFAULT_MAX_PIXELS,
        threads: int | None = None,
    ):
        super().__init__(strip, max_pixels, threads)
        if format not in SMALL_FORMATS:
            raise InputError(
                f"a small picture is kept without loss, as {', '.join(f'.{name}' for name in SMALL_FORMATS)}"
            )
        self.scale, self.effort, self.format = scale, effort, format

    def _make(self, stream: BinaryIO, progress: Progress | None) -> Made:
        picture = self._loaded(stream)
        if self.strip:
            picture.strip()
        with self._api():
            from codec.rescale import photos

            small, mark = photos.down(picture.pixels, self.scale, effort=self.effort)
        notes = list(picture.notes)
        if picture.icc and mark.grey:
            notes.append("the colour profile is for grey, which a small picture is not, and was left out")
            picture.icc = None
        picture.pixels, picture.xmp = small, mark.in_xmp(picture.xmp)
        data, left_out = _saved(picture, self.format)
        height, width = small.shape[:2]
        facts = {"width": width, "height": height, "scale": mark.scale, "weights": mark.weights}
        return Made(data, facts, [*notes, *left_out])


class Upscaler(_Work):
    """A small picture -> the photo that it was, as ``irc upscale`` makes it.

    scale: of pictures without a mark, 2 or 4. temperature (0..2), seed (0..65535): of the draw of what was lost. depth:
    8 or 16 bits a sample. format, jpeg_quality: as `Decoder` has them. strip, max_pixels, threads: as `Encoder` has
    them.
    """

    OPTIONS: ClassVar[Mapping[str, Any]] = {"scale": None, "temperature": 0.0, "seed": 0, "depth": 8}

    def __init__(
        self,
        format: str = "png",
        *,
        jpeg_quality: int | None = None,
        strip: bool = False,
        max_pixels: int | None = bitstream.DEFAULT_MAX_PIXELS,
        threads: int | None = None,
        **options: Any,
    ):
        super().__init__(strip, max_pixels, threads)
        for name in options:
            if name not in self.OPTIONS:
                raise TypeError(f"Upscaler() has no option {name!r}; it takes {', '.join(self.OPTIONS)}")
        self.format, self.jpeg_quality, self.options = format, jpeg_quality, {**self.OPTIONS, **options}

    def _make(self, stream: BinaryIO, progress: Progress | None) -> Made:
        picture = self._loaded(stream)
        from codec.pictures import writing

        channels = picture.pixels.shape[2] if picture.pixels.ndim == 3 else 1
        writing.check_target(_name(self.format), self.options["depth"], channels % 2 == 0)
        with self._api():
            from codec.rescale import mark, photos

            found = mark.Mark.find(picture.xmp)
            large = photos.up(picture.pixels, found, **self.options)
        picture.pixels = large.pixels
        picture.xmp = mark.without(picture.xmp) if picture.xmp and found else picture.xmp
        if self.strip:  # not before: the mark was in it
            picture.strip()
        data, left_out = _saved(picture, self.format, self.jpeg_quality)
        height, width = large.pixels.shape[:2]
        facts = {"width": width, "height": height, "marked": found is not None and not large.notes}
        return Made(data, facts, [*picture.notes, *large.notes, *left_out])


class ReadBack:
    """The check of ``--verify``: called with the bytes of an .irc file that has been written, it decodes them; IrcError
    where they do not decode to what was encoded.
    """

    def __init__(self, threads: int | None = None):
        self.verifier = Verifier(max_pixels=None, threads=threads)

    def __call__(self, data: bytes, progress: Progress | None = None) -> None:
        """Nothing where all is well; progress: as `Verifier.run` has it."""
        try:
            self.verifier.run(io.BytesIO(data), progress)
        except IrcError as error:
            raise IrcError(f"what was written does not decode to what was encoded: {error}") from None


def _part(asked: DecodeOptions, header: bitstream.Header) -> str:
    """Which part of the picture of a file was decoded, in words."""
    whole = f"{header.width} x {header.height}"
    small = f"at 1/{asked.scale} " if asked.scale > 1 else ""
    if asked.region is None:
        return f"{small}of {whole}"
    x, y, width, height = asked.region
    return f"{small}of {width} x {height} at {x},{y} of {whole}" if small else f"at {x},{y} of {whole}"


def _refuse(name: str, options: Mapping[str, Any], *others: str) -> None:
    for other in others:
        if other in options:
            raise TypeError(f"{name}() has no option {other!r}")


def _name(format: str) -> PurePath:
    """A name of this format, as `codec.pictures.writing` wants one."""
    return PurePath(f"picture.{format}")


def _saved(picture: Picture, format: str, jpeg_quality: int | None = None) -> tuple[memoryview, list[str]]:
    """The file of a picture, and what was left out of it."""
    from codec.pictures import writing

    buffer = io.BytesIO()
    notes = writing.save(picture, buffer, _name(format), jpeg_quality)
    return buffer.getbuffer(), notes
