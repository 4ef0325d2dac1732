"""irc: a learned image codec that models what it throws away.

>>> import numpy as np, codec
>>> data = codec.encode(np.zeros((32, 48, 3), np.uint8), quality=75)
>>> codec.info(data)["width"], codec.decode(data).size
(48, (48, 32))
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from codec import errors as errors
from codec.container.bitstream import describe as _describe
from codec.container.bitstream import read as _read
from codec.container.source import Source as _Source
from codec.container.source import read_source as _read_source

if TYPE_CHECKING:
    from codec import batch
    from codec.api import decode, encode, verify
    from codec.compare.lost import lost
    from codec.rescale.api import downscale, upscale

    __version__: str

__all__ = [
    "__version__", "batch", "decode", "downscale", "encode", "errors", "info", "lost", "register", "upscale", "verify",
]  # fmt: skip

#: what is imported when it is first asked for, and from where: torch takes seconds, so only what needs it pays
_LATER = {
    "decode": "codec.api",
    "encode": "codec.api",
    "verify": "codec.api",
    "lost": "codec.compare.lost",
    "downscale": "codec.rescale.api",
    "upscale": "codec.rescale.api",
}


def info(data: _Source) -> dict[str, Any]:
    """What a file says of itself: header fields, bits a pixel, chunks. Nothing is decoded, torch is not imported.

    data: the file's bytes, its path or a file open for bytes. Raises InputError, DamagedError, TypeError.
    """
    return _describe(_read(_read_source(data), None))


def register() -> None:
    """Make Pillow open and save .irc files (codec/plugin.py)."""
    from codec import plugin

    plugin.register()


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from codec import version

        return version.number()
    if name == "batch":
        return importlib.import_module("codec.batch")
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module 'codec' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
