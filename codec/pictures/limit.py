"""Pillow's own limit on the size of pictures, held to ours."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

_lock = threading.RLock()  # of a picture within a picture, too


@contextmanager
def pillow_limit(max_pixels: int | None) -> Iterator[None]:
    """Lift Pillow's own guard against bombs where ours is wider.

    Otherwise Pillow's stays, since it covers what only decoding finds, such as an icon
    larger than its directory says. It is a global, hence the lock, which ordinary limits
    do not need: threads that load pictures do not wait for each other.
    """
    before = Image.MAX_IMAGE_PIXELS
    if before is None or (max_pixels is not None and max_pixels <= 2 * before):
        yield
        return
    with _lock:
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before
