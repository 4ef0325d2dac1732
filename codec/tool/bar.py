"""Progress with the time that is left, on standard error where that is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

DELAY = 2.0  #: seconds after which it shows

SHOWN = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"

quiet = False  #: whether nobody wants to see it
_bar: Any = None  # tqdm's, imported only where somebody watches
_stays = False  # whether it is drawn again below a line that is printed in its place
_hidden = False  # whether such a line has been printed since


def _open(what: str, total: int, stays: bool) -> Any:
    """A new bar, or None where nobody watches. The clock starts here."""
    global _bar, _stays
    if quiet or not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    _wipe()
    _bar = tqdm(desc=what, total=total, delay=DELAY, leave=False, bar_format=SHOWN, smoothing=0, miniters=0)
    _stays = stays
    return _bar


def reporter(what: str) -> Callable[[int, int], None] | None:
    """A function to call with (work done, work in all), or None where nobody watches. The clock starts here."""
    if _stays or (bar := _open(what, 1, False)) is None:
        return None

    def report(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)
        if done >= total:
            bar.close()

    return report


class Files:
    """A bar over many files, `size` bytes in all, by which the time that is left is estimated."""

    def __init__(self, what: str, files: int, size: int):
        self.what, self.files, self.done, self.pixels = what, files, 0, 0
        self.started = time.perf_counter()
        self.bar = _open(self._text(), size, True)

    def close(self) -> None:
        """Wipe it."""
        if self.bar is not None:
            _wipe()

    def add(self, size: int, files: int, pixels: int) -> None:
        """A job of this size in bytes is done, with that many files and pixels."""
        self.done += files
        self.pixels += pixels
        if self.bar is not None:
            self.bar.set_description_str(self._text(), refresh=False)
            self.bar.update(size)
            if _hidden and time.perf_counter() - self.started > DELAY:
                _show()

    def _text(self) -> str:
        speed = self.pixels / 1e6 / max(time.perf_counter() - self.started, 1e-9)
        return f"{self.what}: {self.done}/{self.files} files, {speed:.2f} megapixels/s"


def _show() -> None:
    global _hidden
    _bar.refresh()
    _hidden = False


def _wipe() -> None:
    global _bar, _stays, _hidden
    if _bar is not None:
        _bar.close()
    _bar, _stays, _hidden = None, False, False


def close() -> None:
    """Wipe the bar, so that a line can be printed in its place; that of many files comes back with the next of them."""
    global _hidden
    if _stays:
        _bar.clear()
        _hidden = True
    else:
        _wipe()
