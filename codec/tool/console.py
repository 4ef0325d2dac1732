"""Standard streams and signals: what is read and printed, and how the program ends when something goes wrong."""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from types import FrameType
from typing import NoReturn

from codec.batch.local import LARGEST_INPUT, contents, opened, reason
from codec.errors import IrcError, explained
from codec.tool import bar
from codec.tool.options import STREAM

BROKEN_PIPE = 128 + 13  #: exit status where nobody reads on, as of a program that SIGPIPE has ended


def open_streams() -> None:
    """Open those of the three standard streams that are closed, as a daemon's are.

    Else the next file that is opened takes the place of one of them, and a message of some library becomes a part of
    it. What stands in for standard input cannot be read and what stands in for standard output cannot be written, so
    that using them is an error as it was before; what is said on standard error is lost.
    """
    for descriptor, (name, mode, flags) in enumerate(
        (("stdin", "r", os.O_WRONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY))
    ):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, flags)  # the lowest number that is free, which is this one
            stream = open(descriptor, mode, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115  # for as long as the program runs
            setattr(sys, name, stream)


_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d{1,6})")
_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


def descriptor(name: str) -> int | None:
    """The number of the open file that a name stands for, as ``/dev/fd/3`` does.

    To open such a name is not the same: it may lead to a file that would be replaced, or cut off.

    >>> descriptor("/dev/stdout"), descriptor("/dev/fd/3"), descriptor("photo.png")
    (1, 3, None)
    """
    found = _DESCRIPTOR.fullmatch(name)
    return int(found[1]) if found else _STANDARD.get(name)


def named(name: str) -> str:
    """The name, or what stands for standard input and output where it is another name of them."""
    return STREAM if descriptor(name) in (0, 1) else name


# --- reading -------------------------------------------------------------------------


def read(name: str, magic: bytes = b"") -> bytes:
    """The contents of a file or of standard input, or no more than the start where that is not `magic`.

    InputError where it cannot be read or has more than `LARGEST_INPUT` bytes.
    """
    with nullcontext(sys.stdin.buffer) if name == STREAM else opened(name) as stream:
        return contents(stream, magic, LARGEST_INPUT)


# --- printing ------------------------------------------------------------------------


def say(line: str) -> None:
    """Print a line of a message on standard error."""
    bar.close()
    with suppress(OSError, ValueError):  # nobody listens: the exit status still says it
        print(line.encode("utf-8", "backslashreplace").decode(), file=sys.stderr, flush=True)


def tell(line: str) -> None:
    """Print a line of results, escaping what the terminal's encoding lacks; quiet where a reader has seen enough."""
    bar.close()
    encoding = sys.stdout.encoding or "utf-8"
    try:
        print(line.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except BrokenPipeError:
        _discard_stdout()
        raise SystemExit(BROKEN_PIPE) from None
    except OSError as error:
        _discard_stdout()
        raise IrcError(f"cannot write standard output: {reason(error)}") from None


def has_stdout() -> bool:
    """Whether there is a standard output: a daemon has none."""
    try:
        os.write(sys.stdout.fileno(), b"")
    except OSError as error:
        return error.errno != errno.EBADF
    return True


def put_into(descriptor: int, data: bytes | memoryview) -> None:
    """Write data where a descriptor leads, from where that stands."""
    with open(os.dup(descriptor), "wb") as stream:
        stream.write(data)


def put(data: bytes | memoryview) -> None:
    """Write data to standard output."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        _discard_stdout()
        raise IrcError(f"cannot write standard output: {reason(error)}") from None


def _discard_stdout() -> None:
    """Keep the interpreter from failing a second time when it flushes on its way out."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


# --- how it ends ---------------------------------------------------------------------


@contextmanager
def guard(fail: Callable[[int, str], None]) -> Iterator[None]:
    """Turn whatever goes wrong into an exit status and a message of one line, which `fail` gets."""
    try:
        yield
    except Exception as error:
        fail(*explained(error))


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    # An exception, so that temporary files are removed on the way out.
    raise SystemExit(128 + signum)


@contextmanager
def terminating() -> Iterator[None]:
    """Unwind on SIGTERM instead of dying at once; only the main thread may set that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
