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
from typing import Any, ClassVar, Self, TypedDict, TypeVar

from codec.coding.progress import Progress
from codec.container.bitstream import DEFAULT_MAX_PIXELS
from codec.container.grid import SCALES
from entropy.config import MULTIPLE

F = TypeVar("F", bound=Callable[..., Any])

# --- kinds of values -----------------------------------------------------------------------------


class Values:
    """Values of one kind."""

    def text(self) -> str:
        """Which these are, as messages and documentation say it; nothing where an option's meaning says it."""
        return ""

    def take(self, name: str, value: Any) -> Any:
        """The value of the option `name`, converted; TypeError or ValueError where it is none of this kind."""
        raise NotImplementedError


@dataclass(frozen=True)
class Numbers(Values):
    """Finite numbers from `low` to `high`."""

    low: float
    high: float = math.inf

    def text(self) -> str:
        return f"finite, {self.low:g} or more" if self.high == math.inf else f"in {self.low:g}..{self.high:g}"

    def take(self, name: str, value: Any) -> float:
        number = float(_real(name, value, "a number"))
        if not (math.isfinite(number) and self.low <= number <= self.high):
            raise ValueError(f"{name} must be {self.text()}, not {value}")
        return number


@dataclass(frozen=True)
class Integers(Values):
    """Whole numbers from `low` to `high`, multiples of `step`."""

    low: int
    high: float = math.inf
    step: int = 1

    def text(self) -> str:
        if self.step > 1:
            return f"{self.low} or a multiple of {self.step} up to {self.high}"
        return f"{self.low} or more" if self.high == math.inf else f"in {self.low}..{self.high}"

    def take(self, name: str, value: Any) -> int:
        whole = _whole(name, value)
        if not self.low <= whole <= self.high or whole % self.step:
            raise ValueError(f"{name} must be {self.text()}, not {value}")
        return whole


@dataclass(frozen=True)
class OneOf(Values):
    """Some whole numbers."""

    values: tuple[int, ...]

    def text(self) -> str:
        return f"one of {', '.join(map(str, self.values))}"

    def take(self, name: str, value: Any) -> int:
        whole = _whole(name, value)
        if whole not in self.values:
            raise ValueError(f"{name} must be {self.text()}, not {value}")
        return whole


class Switch(Values):
    """True or False."""

    def take(self, name: str, value: Any) -> bool:
        if isinstance(value, str) or value not in (False, True):
            raise TypeError(f"{name} must be True or False, not {value!r}")
        return bool(value)


class Region(Values):
    """Four whole numbers; whether they lie inside is for the picture to say."""

    def take(self, name: str, value: Any) -> tuple[int, ...]:
        if isinstance(value, str) or not hasattr(value, "__len__") or len(value) != 4:
            raise TypeError(f"{name} must be (x, y, width, height), not {value!r}")
        return tuple(_whole(name, v) for v in value)


@dataclass(frozen=True)
class Kind(Values):
    """Objects that pass a test."""

    what: str
    test: Callable[[Any], bool]

    def text(self) -> str:
        return self.what

    def take(self, name: str, value: Any) -> Any:
        if not self.test(value):
            raise TypeError(f"{name} must be {self.what}, not {value!r}")
        return value


def _real(name: str, value: Any, what: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be {what}, not {value!r}")
    return value


def _whole(name: str, value: Any) -> int:
    number = _real(name, value, "a whole number")
    if not isinstance(number, numbers.Integral) and not float(number).is_integer():
        raise ValueError(f"{name} must be a whole number, not {value}")
    return int(number)


# --- declarations --------------------------------------------------------------------------------


def _option(default: Any, values: Values, meaning: str) -> Any:  # what a type checker expects of a field with a default
    return field(default=default, metadata={"values": values, "meaning": meaning})


_DEVICE = Kind('a name such as "cpu", "cuda", "auto"', lambda v: isinstance(v, str))
_PROGRESS = _option(None, Kind("a function", callable), "called with (work done, work in all), now and then")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What options share: they check themselves, and an option whose default is None may be None."""

    @classmethod
    def of(cls, function: str, **given: Any) -> Self:
        """The options that a function was called with; TypeError names those there are where one is unknown."""
        known = [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                raise TypeError(f"{function}() has no option {name!r}; it takes {', '.join(known)}")
        return cls(**given)

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if value is not None or f.default is not None:
                object.__setattr__(self, f.name, f.metadata["values"].take(f.name, value))


@dataclass(frozen=True, kw_only=True)
class EncodeOptions(Options):
    """How a picture is to be encoded."""

    TARGETS: ClassVar = ("bpp", "size", "psnr")

    quality: float = _option(75.0, Numbers(0, 100), "from the smallest file to the best picture")
    bpp: float | None = _option(None, Numbers(0), "instead of a quality: bits a pixel of the whole file, at most")
    size: int | None = _option(None, Integers(0), "instead of a quality: bytes of the file, at most")
    psnr: float | None = _option(
        None, Numbers(0), "instead of a quality: dB over grey or RGB at temperature 0, at least"
    )
    temperature: float = _option(
        0.0,
        Numbers(0, 2),
        "at which a decoder draws what was lost, 0 being the most likely picture; kept in the file, above 0 together "
        "with the picture's own grain (codec/coding/grain.py; not with `stable`)",
    )
    seed: int = _option(0, Integers(0, 65535), "of that draw; kept in the file")
    extras: Mapping[str, bytes] | None = _option(
        None,
        Kind("a mapping of chunk types to payloads", lambda v: isinstance(v, Mapping)),
        "chunks to put into the file, such as eXIF",
    )
    stable: bool = _option(
        False,
        Switch(),
        "encode, decode and encode until the file is a fixed point, so that encoding its decoded picture (at "
        "temperature 0) at the same quality gives the same file; takes several times as long",
    )
    effort: int = _option(
        0,
        Integers(0, 9),
        "0 is one pass; above it a search for a better latent by gradient steps (codec/coding/latent_search.py), "
        "which takes seconds to minutes a megapixel; not with bpp, size or psnr. A picture decoded from a file of this "
        "quality is recognised, and keeps its latent at any effort",
    )
    device: str = _option("auto", _DEVICE, "where the networks run; auto is a GPU where there is one")
    tile: int | None = _option(
        None,
        Integers(0, 65535, MULTIPLE),
        "side in pixels of tiles that are coded independently; 0: one tile, in memory as a whole; None: 0 up to 4 "
        "megapixels, 1024 beyond",
    )
    weights: bytes | str | Path | None = _option(
        None,
        Kind(
            "an id of 8 hex digits, its 4 bytes or the path of a .safetensors file",
            lambda v: isinstance(v, bytes | str | Path),
        ),
        "those that encode; None: the default of those installed",
    )
    progress: Progress | None = _PROGRESS

    def __post_init__(self) -> None:
        super().__post_init__()
        if sum(getattr(self, name) is not None for name in self.TARGETS) > 1:
            raise ValueError("at most one of bpp, size and psnr")
        if self.effort and self.searched:
            raise ValueError("effort goes with a quality, not with bpp, size or psnr")

    @property
    def searched(self) -> bool:
        """Whether the quality has to be found."""
        return any(getattr(self, name) is not None for name in self.TARGETS)


@dataclass(frozen=True, kw_only=True)
class DecodeOptions(Options):
    """What is to be seen of a file, and how."""

    temperature: float | None = _option(
        None,
        Numbers(0, 2),
        "0 gives the most likely picture (best PSNR), 1 draws what was lost; None: as the file says",
    )
    seed: int | None = _option(None, Integers(0, 65535), "of the draw; None: the file's")
    array: bool = _option(False, Switch(), "an array of the shapes that `encode` takes instead of a PIL image")
    depth: int = _option(
        8,
        OneOf((8, 16)),
        "bits a sample, whatever was encoded; colour of 16 bits and 16 bits with alpha only as an array",
    )
    device: str = _option("auto", _DEVICE, "where the networks run; auto is a GPU where there is one")
    max_pixels: int | None = _option(
        DEFAULT_MAX_PIXELS, Integers(0), "InputError where the picture has more; None: no limit"
    )
    region: tuple[int, int, int, int] | None = _option(
        None,
        Region(),
        "(x, y, width, height) in pixels; only the tiles it needs are decoded, and it equals the crop of the whole "
        "picture",
    )
    scale: int = _option(1, OneOf(SCALES), "only the coarse levels are decoded, sides are divided by it and rounded up")
    salvage: bool = _option(
        False,
        Switch(),
        "decode what is whole of a damaged file of several tiles and fill the rest from around it; what is lost is "
        "appended to `notes`",
    )
    notes: list[str] | None = _option(
        None,
        Kind("a list", lambda v: isinstance(v, list)),
        "where one line goes that says what is lost; without it, into a warning",
    )
    progress: Progress | None = _PROGRESS


# --- the same for type checkers, and for help -----------------------------------------------------


class EncodeKeywords(TypedDict, total=False):
    """The options of `encode` beside the quality, as `EncodeOptions` declares them."""

    bpp: float | None
    size: int | None
    psnr: float | None
    temperature: float
    seed: int
    extras: Mapping[str, bytes] | None
    stable: bool
    effort: int
    device: str
    tile: int | None
    weights: bytes | str | Path | None
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
            values = f.metadata["values"].text()
            line = f"{f.name}: {values + '; ' if values else ''}{f.metadata['meaning']}."
            lines += textwrap.wrap(line, 110, initial_indent="    ", subsequent_indent="        ")
        function.__signature__ = own.replace(parameters=shown)  # type: ignore[attr-defined]
        if function.__doc__:
            function.__doc__ = function.__doc__.replace("    OPTIONS", "\n".join(lines))
        return function

    return declare
