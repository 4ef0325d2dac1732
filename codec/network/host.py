"""The settings of torch that belong to the program around us: they neither reach into the codec nor are changed by it.

Whoever calls us may compute in bfloat16 by itself, on another device, in inference mode, with sums of low precision;
none of that may move a bit of a file. `plainly` is what every function that computes for a caller is wrapped in.

    >>> from codec.network import host
    >>> with torch.inference_mode(), torch.autocast("cpu"), host.plain():
    ...     torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"), torch.is_grad_enabled()
    (False, False, False)

What is a thread's own (autocast, device, modes, number of threads) is set for the thread alone. The precision of sums
belongs to the whole process: it is set while the first call lasts that finds it lowered, and put back after the last.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


class _Own(threading.local):
    """What a thread remembers while it computes for a caller."""

    threads: int | None = None  #: those that the caller lets it use, where it runs on fewer


class _State:
    """What the process has one of."""

    def __init__(self) -> None:
        self.threads = threading.Lock()  #: held while a number of threads is set
        self.precision = threading.RLock()  #: held while `users` and `before` are looked at
        self.users = 0  #: calls that compute now
        self.before: list[tuple[Any, str]] = []  #: settings of precision that were changed, and what they were


_own, _state = _Own(), _State()
_forked = False  #: whether this process began as a copy of one that had torch


def _after_fork() -> None:
    """Of the threads that held a lock, the copy has none."""
    global _state, _forked
    _state, _forked = _State(), True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

# --- threads -------------------------------------------------------------------------


def _elsewhere(function: Callable[[], T]) -> T:
    """The result of a function in a thread of its own, which begins with what the process has."""
    out: list[T] = []
    thread = threading.Thread(target=lambda: out.append(function()))
    thread.start()
    thread.join()
    return out[0]


def own_threads() -> int:
    """How many threads torch runs on in this thread: what the process has when the thread first asks, or what it was
    set to since.
    """
    with _state.threads:  # not in the moment in which the process's number is another
        return torch.get_num_threads()


def set_own_threads(count: int) -> None:
    """Let torch run on `count` threads in this thread alone.

    `torch.set_num_threads` also says what threads begin with that first use torch later: that number is put back at
    once, though for a moment it is another.
    """
    own_threads()
    with _state.threads:
        everybodys = _elsewhere(torch.get_num_threads)
        torch.set_num_threads(count)
        _elsewhere(lambda: torch.set_num_threads(everybodys))


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Torch runs on `count` threads in this thread inside, and afterwards on as many as before, whatever happens."""
    before = own_threads()
    if before == count:
        yield
        return
    try:
        set_own_threads(count)
        yield
    finally:
        set_own_threads(before)


def allowed_threads() -> int:
    """How many threads the caller lets us use."""
    return own_threads() if _own.threads is None else _own.threads


def threads_of_each(workers: int) -> int:
    """Of the threads that we may use, how many each of several workers gets for itself."""
    return 1 if _forked else max(1, allowed_threads() // workers)


@contextmanager
def _one_thread() -> Iterator[None]:
    """In a forked process torch's threads are gone, and waiting for them would never end: it runs on one.

    Threads that are started anew, to work on tiles, are as good as ever.
    """
    before, _own.threads = _own.threads, allowed_threads()
    try:
        with torch_threads(1):
            yield
    finally:
        _own.threads = before


# --- precision -----------------------------------------------------------------------

FULL = "ieee"  #: sums of float32 in float32


def _lowered() -> list[tuple[Any, str]]:
    """The settings by which products and sums of float32 would be made in fewer bits, with their values."""
    backends = torch.backends
    places = (
        getattr(backends.mkldnn, "matmul", None),
        getattr(backends.mkldnn, "conv", None),
        getattr(backends.cuda, "matmul", None),
    )
    found = [(place, str(getattr(place, "fp32_precision", FULL))) for place in places if place is not None]
    return [(place, value) for place, value in found if value not in (FULL, "none")]


def _restore(place: Any, value: str) -> None:
    if place.fp32_precision != FULL:
        return  # somebody has set it meanwhile
    place.fp32_precision = "none"  # as one above it says
    if place.fp32_precision != value:
        place.fp32_precision = value


@contextmanager
def _full_precision() -> Iterator[None]:
    with _state.precision:
        for place, value in _lowered():
            _state.before.append((place, value))
            place.fp32_precision = FULL
        _state.users += 1
    try:
        yield
    finally:
        with _state.precision:
            _state.users -= 1
            if not _state.users:
                while _state.before:
                    _restore(*_state.before.pop())


# --- all of it -----------------------------------------------------------------------


@contextmanager
def plain() -> Iterator[None]:
    """Inside, torch computes as in a process that has set nothing, without gradients."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(_full_precision())
        if _forked and own_threads() > 1:
            stack.enter_context(_one_thread())
        yield


def plainly(function: Callable[P, T]) -> Callable[P, T]:
    """The function, computing as `plain` says."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        with plain():
            return function(*args, **kwargs)

    return wrapped
