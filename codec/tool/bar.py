"""Progress with the time that is left, on standard error where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

DELAY = 2.0  #: seconds after which it shows

SHOWN = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"

_bar: Any = None  # tqdm's, imported only where somebody watches


def reporter(what: str) -> Callable[[int, int], None] | None:
    """A function to call with (work done, work in all), or None where nobody watches. The clock starts here."""
    global _bar
    if not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    close()
    bar = _bar = tqdm(desc=what, total=1, delay=DELAY, leave=False, bar_format=SHOWN, smoothing=0)

    def report(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)
        if done >= total:
            bar.close()

    return report


def close() -> None:
    """Wipe the bar, so that a line can be printed in its place."""
    global _bar
    if _bar is not None:
        _bar.close()
        _bar = None
