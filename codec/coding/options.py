"""What `encode` and `decode` can be asked for: each option declared once, with its default, values and meaning.

Checks, `help` and Pillow's plugin go by the declarations. Numbers of numpy are numbers; bools and strings are not.

    >>> EncodeOptions.of("encode", quality=40).quality
    40.0
    >>> EncodeOptions.of("encode", quality=101)
    Traceback (most recent call last):
    ValueError: quality must be in 0..100, not 101
"""

from __future__ import annotations

import inspect
import math
import numbers
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self, TypedDict, TypeVar

from codec.coding.progress import Progress
from codec.container.bitstream import DEFAULT_MAX_PIXELS
from codec.container.grid import SCALES
from codec.container.steps import TUNES
from entropy.config import MULTIPLE

F = TypeVar("F", bound=Callable[..., Any])

# --- kinds of values -----------------------------------------------------------------------------


class Values(NamedTuple):
    """Values of one kind."""

    text: str  #: which these are, in words
    convert: Callable[[Any], Any]  #: TypeError, whose text says what it must be, where a value is of another type
    test: Callable[[Any], bool] = lambda _: True  #: of what has been converted

    def take(self, name: str, value: Any) -> Any:
        """The value of the option `name`, converted; TypeError or ValueError where it is none of this kind."""
        try:
            converted = self.convert(value)
        except TypeError as error:
            raise TypeError(f"{name} must be {error}, not {value!r}") from None
        if not self.test(converted):
            raise ValueError(f"{name} must be {self.text}, not {value}")
        return converted


def _real(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError("a number")
    return float(value)


def _whole(value: Any) -> int:
    whole = isinstance(value, numbers.Integral) or (isinstance(value, numbers.Real) and float(value).is_integer())
    if isinstance(value, bool) or not whole:
        raise TypeError("a whole number")
    return int(value)


def _bool(value: Any) -> bool:
    if isinstance(value, str) or value not in (False, True):
        raise TypeError("True or False")
    return bool(value)


def _box(value: Any) -> tuple[int, ...]:
    if isinstance(value, str) or not hasattr(value, "__len__") or len(value) != 4:
        raise TypeError("(x, y, width, height)")
    return tuple(_whole(v) for v in value)


def _reals(low: float, high: float = math.inf) -> Values:
    text = f"finite, {low:g} or more" if high == math.inf else f"in {low:g}..{high:g}"
    return Values(text, _real, lambda v: low <= v <= high and math.isfinite(v))


def _integers(low: int, high: float = math.inf, step: int = 1) -> Values:
    text = f"{low} or more" if high == math.inf else f"in {low}..{high}"
    if step > 1:
        text = f"{low} or a multiple of {step} up to {high}"
    return Values(text, _whole, lambda v: low <= v <= high and v % step == 0)


def _one_of(values: tuple[int, ...]) -> Values:
    return Values(f"one of {', '.join(map(str, values))}", _whole, values.__contains__)


def _word(known: tuple[str, ...]) -> Values:
    def word(value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError(f"one of {', '.join(known)}")
        return value

    return Values(f"one of {', '.join(known)}", word, known.__contains__)


def _kind(text: str, test: Callable[[Any], bool]) -> Values:
    def same(value: Any) -> Any:
        if not test(value):
            raise TypeError(text)
        return value

    return Values(text, same)


# --- declarations --------------------------------------------------------------------------------


def _option(default: Any, values: Values, meaning: str) -> Any:  # what a type checker expects of a field with a default
    return field(default=default, metadata={"values": values, "meaning": meaning})


_DEVICE = _kind('a name such as "cpu", "cuda", "auto"', lambda v: isinstance(v, str))
_LINES = _kind("a list", lambda v: isinstance(v, list))
_PROGRESS = _option(None, _kind("a function", callable), "called with (work done, work in all), now and then")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What options share: they check themselves, and an option whose type says so may be None."""

    @classmethod
    def of(cls, function: str, **given: Any) -> Self:
        """The options that a function was called with; TypeError names those there are where one is unknown."""
        known = [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                raise TypeError(f"{function}() has no option {name!r}; it takes {', '.join(known)}")
        return cls(**given)

    @classmethod
    def values(cls, name: str) -> Values:
        """What the option of this name may be."""
        values: Values = next(f.metadata["values"] for f in fields(cls) if f.name == name)
        return values

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if value is not None or "None" not in str(f.type):
                object.__setattr__(self, f.name, f.metadata["values"].take(f.name, value))


@dataclass(frozen=True, kw_only=True)
class EncodeOptions(Options):
    """How a picture is to be encoded."""

    TARGETS: ClassVar = ("bpp", "size", "psnr", "ssimulacra2")

    quality: float = _option(75.0, _reals(0, 100), "from the smallest file to the best picture")
    bpp: float | None = _option(None, _reals(0), "instead of a quality: bits a pixel of the whole file, at most")
    size: int | None = _option(None, _integers(0), "instead of a quality: bytes of the file, at most")
    psnr: float | None = _option(
        None, _reals(0), "instead of a quality: dB over grey or RGB at temperature 0, at least"
    )
    ssimulacra2: float | None = _option(
        None,
        _reals(0, 100),
        "instead of a quality: SSIMULACRA2 at temperature 0, at least, of pictures of 8 pixels a side and more; 90 is "
        "as good as the original, 70 high, 50 medium, 30 low quality",
    )
    tune: str = _option(
        TUNES[0],
        _word(TUNES),
        "what the file is tuned for: psnr, or visual, which is SSIMULACRA2 and the eye; kept in the file "
        "(codec/coding/tunes.py)",
    )
    temperature: float = _option(
        0.0,
        _reals(0, 2),
        "at which a decoder draws what was lost, 0 being the most likely picture; kept in the file, above 0 together "
        "with the picture's own grain (codec/coding/grain.py; not with `stable`)",
    )
    seed: int = _option(0, _integers(0, 65535), "of that draw; kept in the file")
    extras: Mapping[str, bytes] | None = _option(
        None,
        _kind("a mapping of chunk types to payloads", lambda v: isinstance(v, Mapping)),
        "chunks to put into the file, such as eXIF",
    )
    stable: bool = _option(
        False,
        Values("", _bool),
        "encode, decode and encode until the file is a fixed point, so that encoding its decoded picture (at "
        "temperature 0) at the same quality gives the same file; takes several times as long",
    )
    effort: int = _option(
        0,
        _integers(0, 9),
        "0 is one pass; above it a search for a better latent by gradient steps (codec/coding/latent_search.py), "
        "which takes seconds to minutes a megapixel; not with bpp, size, psnr or ssimulacra2. A picture decoded "
        "from a file of this quality is recognised, and keeps its latent at any effort",
    )
    device: str = _option("auto", _DEVICE, "where the networks run; auto is a GPU where there is one")
    tile: int | None = _option(
        None,
        _integers(0, 65535, MULTIPLE),
        "side in pixels of tiles that are coded independently; 0: one tile, in memory as a whole; None: 0 up to 4 "
        "megapixels, 1024 beyond",
    )
    weights: bytes | str | Path | None = _option(
        None,
        _kind(
            "an id of 8 hex digits, its 4 bytes or the path of a .safetensors file",
            lambda v: isinstance(v, bytes | str | Path),
        ),
        "those that encode; None: the default of those installed",
    )
    max_pixels: int | None = _option(
        DEFAULT_MAX_PIXELS, _integers(0), "of a path or file: InputError where the picture has more; None: no limit"
    )
    notes: list[str] | None = _option(
        None, _LINES, "where a line goes for whatever of a picture is converted or left out; without it, into warnings"
    )
    progress: Progress | None = _PROGRESS

    def __post_init__(self) -> None:
        super().__post_init__()
        if sum(getattr(self, name) is not None for name in self.TARGETS) > 1:
            raise ValueError("at most one of bpp, size, psnr and ssimulacra2")
        if self.effort and self.searched:
            raise ValueError("effort goes with a quality, not with bpp, size, psnr or ssimulacra2")

    @property
    def searched(self) -> bool:
        """Whether the quality has to be found."""
        return any(getattr(self, name) is not None for name in self.TARGETS)


@dataclass(frozen=True, kw_only=True)
class DecodeOptions(Options):
    """What is to be seen of a file, and how."""

    temperature: float | None = _option(
        None, _reals(0, 2), "0 gives the most likely picture (best PSNR), 1 draws what was lost; None: as the file says"
    )
    seed: int | None = _option(None, _integers(0, 65535), "of the draw; None: the file's")
    array: bool = _option(False, Values("", _bool), "an array of the shapes that `encode` takes instead of a PIL image")
    depth: int = _option(
        8,
        _one_of((8, 16)),
        "bits a sample, whatever was encoded; colour of 16 bits and 16 bits with alpha only as an array",
    )
    device: str = _option("auto", _DEVICE, "where the networks run; auto is a GPU where there is one")
    max_pixels: int | None = _option(
        DEFAULT_MAX_PIXELS, _integers(0), "InputError where the picture has more; None: no limit"
    )
    region: tuple[int, int, int, int] | None = _option(
        None,
        Values("", _box),
        "(x, y, width, height) in pixels; only the tiles it needs are decoded, and it equals the crop of the whole "
        "picture",
    )
    scale: int = _option(
        1, _one_of(SCALES), "only the coarse levels are decoded, sides are divided by it and rounded up"
    )
    salvage: bool = _option(
        False,
        Values("", _bool),
        "decode what is whole of a damaged file of several tiles and fill the rest from around it; what is lost is "
        "appended to `notes`",
    )
    notes: list[str] | None = _option(
        None, _LINES, "where one line goes that says what is lost; without it, into a warning"
    )
    progress: Progress | None = _PROGRESS


# --- the same for type checkers, and for help -----------------------------------------------------


class EncodeKeywords(TypedDict, total=False):
    """The options of `encode` beside the quality, as `EncodeOptions` declares them."""

    bpp: float | None
    size: int | None
    psnr: float | None
    ssimulacra2: float | None
    tune: str
    temperature: float
    seed: int
    extras: Mapping[str, bytes] | None
    stable: bool
    effort: int
    device: str
    tile: int | None
    weights: bytes | str | Path | None
    max_pixels: int | None
    notes: list[str] | None
    progress: Progress | None


class DecodeKeywords(TypedDict, total=False):
    """The options of `decode` beside `array`, as `DecodeOptions` declares them."""

    temperature: float | None
    seed: int | None
    depth: int
    device: str
    max_pixels: int | None
    region: tuple[int, int, int, int] | None
    scale: int
    salvage: bool
    notes: list[str] | None
    progress: Progress | None


def takes(options: type[Options]) -> Callable[[F], F]:
    """Let a function show, in its signature and where its docstring says OPTIONS, the options that it takes."""

    def declare(function: F) -> F:
        own = inspect.signature(function)
        shown = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
        lines = []
        for f in fields(options):
            if f.name not in own.parameters:
                shown.append(
                    inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type)
                )
            values = f.metadata["values"].text
            line = f"{f.name}: {values + '; ' if values else ''}{f.metadata['meaning']}."
            lines += textwrap.wrap(line, 110, initial_indent="    ", subsequent_indent="        ")
        function.__signature__ = own.replace(parameters=shown)  # type: ignore[attr-defined]
        if function.__doc__:
            function.__doc__ = function.__doc__.replace("    OPTIONS", "\n".join(lines))
        return function

    return declare
