"""irc: a learned image codec that models what it throws away.

>>> import numpy as np, codec
>>> data = codec.encode(np.zeros((32, 48, 3), np.uint8), quality=75)
>>> codec.info(data)["width"], codec.decode(data).size
(48, (48, 32))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codec.container.bitstream import describe as _describe
from codec.container.bitstream import read as _read

if TYPE_CHECKING:
    from codec.api import decode, encode, verify
    from codec.compare.lost import lost
    from codec.rescale.api import downscale, upscale

__all__ = ["decode", "downscale", "encode", "info", "lost", "register", "upscale", "verify"]


def info(data: bytes) -> dict[str, Any]:
    """What a file says of itself: header fields, bits a pixel, chunks. Nothing is decoded, torch is not imported."""
    return _describe(_read(data, None))


def register() -> None:
    """Make Pillow open and save .irc files (codec/plugin.py)."""
    from codec import plugin

    plugin.register()


def __getattr__(name: str) -> Any:
    # torch takes seconds to import: only what needs it pays
    if name in ("decode", "encode", "verify"):
        from codec import api

        return getattr(api, name)
    if name == "lost":
        from codec.compare import lost

        return lost.lost
    if name in ("downscale", "upscale"):
        from codec.rescale import api as rescaling

        return getattr(rescaling, name)
    raise AttributeError(f"module 'codec' has no attribute '{name}'")
