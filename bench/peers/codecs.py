"""The codecs that are measured, behind one protocol.

Each is made by `open_codec`, which raises `CodecMissing` with the reason where this installation
cannot run one. docs/benchmarks.md says why each is run as it is.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np

from bench.errors import BenchError, CodecMissing
from bench.peers import pillow_codecs, programs
from bench.peers.compressai_models import MODELS, CompressAiCodec
from bench.peers.pillow_codecs import PillowCodec, coded_picture_bytes, distribution_version
from codec.metrics.distortion import Image8

__all__ = [
    "CODECS",
    "DEFAULT",
    "VARIANTS",
    "Codec",
    "PillowCodec",
    "coded_picture_bytes",
    "open_codec",
    "open_codecs",
    "opener",
]


class Codec(Protocol):
    """An image codec at work: pixels to the bytes of a file, and back."""

    @property
    def name(self) -> str:
        """The short name that the command line knows it by."""

    @property
    def description(self) -> str:
        """What it is and how it is set, in a line."""

    @property
    def version(self) -> str:
        """Versions of everything that shapes its bytes."""

    @property
    def settings(self) -> tuple[float, ...]:
        """The settings of its curve unless others are asked for."""

    def encode(self, image: Image8, setting: float) -> bytes:
        """Return the file of an image at a setting."""

    def decode(self, data: bytes) -> Image8:
        """Return the pixels of a file."""

    def rate_bytes(self, data: bytes) -> int:
        """Return the bytes counted as the rate of a file: all of them, save for a stand-in."""

    def latent(self, data: bytes) -> str | None:
        """Return a checksum of the coefficients in a file; None for a codec that does not tell."""


class IrcCodec:
    """This project's codec."""

    name = "irc"
    description = "irc, this project's learned codec; the setting is its quality"
    settings: tuple[float, ...] = (0, 15, 30, 45, 60, 75, 90, 100)
    options: Mapping[str, Any] = {}

    def __init__(self, weights: str | None = None) -> None:
        """weights: the id of those that encode; None: the default."""
        if weights:
            self.name = f"irc:{weights}"
            self.options = {"weights": weights}
        try:
            import codec

            self._module: Any = codec
            # a first file shows that the weights are there, and loads them before anything is
            # timed; it also says which they are, so that curves of two trainings never mix
            made_with = codec.info(self.encode(np.full((64, 64, 3), 128, np.uint8), 50))["weights"]
        except Exception as error:
            raise CodecMissing(self.name, f"{type(error).__name__}: {error}") from error
        self.version = f"irc {distribution_version('irc-codec')}, weights {made_with}"

    def encode(self, image: Image8, setting: float) -> bytes:
        """Return the file of an image at a quality."""
        return bytes(self._module.encode(image, quality=setting, **self.options))

    def decode(self, data: bytes) -> Image8:
        """Return the pixels of a file."""
        return np.asarray(self._module.decode(data, array=True))

    def rate_bytes(self, data: bytes) -> int:
        """Return the bytes of the whole file."""
        return len(data)

    def latent(self, data: bytes) -> str | None:
        """Return the checksum over the coefficients that the file carries."""
        return str(self._module.info(data)["checksum"])


class StableIrcCodec(IrcCodec):
    """This project's codec with files that are settled at once, at several times the time."""

    name = "irc-stable"
    description = "irc with stable=True: encoding what it decodes to gives the same file; the setting is its quality"
    options = {"stable": True}


class VisualIrcCodec(IrcCodec):
    """This project's codec tuned for the eye."""

    name = "irc-visual"
    description = 'irc with tune="visual"; the setting is its quality'
    options = {"tune": "visual"}


class SearchingIrcCodec(IrcCodec):
    """This project's codec with a search at encode time."""

    def __init__(self, effort: int):
        self.name = f"irc-effort-{effort}"
        self.description = f"irc with effort={effort}, a search for a better latent; the setting is its quality"
        self.options = {"effort": effort}
        super().__init__()


CODECS: Mapping[str, Callable[[], Codec]] = {
    "irc": IrcCodec,
    "irc-stable": StableIrcCodec,
    "irc-visual": VisualIrcCodec,
    **{f"irc-effort-{n}": partial(SearchingIrcCodec, n) for n in range(1, 10)},
    "jpeg": pillow_codecs.jpeg,
    "jpeg2000": pillow_codecs.jpeg2000,
    "webp": pillow_codecs.webp,
    "avif": pillow_codecs.avif,
    "avif-iq": partial(pillow_codecs.avif, "avif-iq", tune="iq"),
    "avif-s0": partial(pillow_codecs.avif, "avif-s0", tune="iq", speed=0),
    "jxl": pillow_codecs.jxl,
    "hevc": pillow_codecs.hevc,
    "bpg": programs.bpg,
    **{name: partial(CompressAiCodec, name) for name in MODELS},
    **{f"{name}-untrained": partial(CompressAiCodec, name, trained=False) for name in MODELS},
}
"""How each codec is made, by its name; every value can be pickled."""

VARIANTS = (
    "irc-stable",
    "irc-visual",
    *(f"irc-effort-{n}" for n in range(1, 10)),
    "avif-iq",
    "avif-s0",
    *(f"{name}-untrained" for name in MODELS),
)
"""Those that are measured only where they are asked for by name."""

DEFAULT = tuple(name for name in CODECS if name not in VARIANTS)
"""The codecs of a rate-distortion run unless others are asked for."""


def opener(name: str) -> Callable[[], Codec]:
    """Return how a codec is made: one of `CODECS`, or irc:ID, which is irc with the weights of that id."""
    kind, _, weights = name.partition(":")
    if kind == "irc" and weights:
        return partial(IrcCodec, weights)
    if name not in CODECS:
        raise BenchError(f"no codec is called {name!r}; there are {', '.join(CODECS)}, and irc:ID")
    return CODECS[name]


def open_codec(name: str) -> Codec:
    """Return a codec by name; `CodecMissing` says why this installation has it not."""
    return opener(name)()


def open_codecs(names: Iterable[str]) -> tuple[list[Codec], dict[str, str]]:
    """Return the codecs that can be run and, for each that cannot, its name and the reason."""
    found: list[Codec] = []
    missing: dict[str, str] = {}
    for name in dict.fromkeys(names):
        try:
            found.append(open_codec(name))
        except CodecMissing as error:
            missing[name] = error.why
    return found, missing
