"""Files of this computer: opened, read as far as they are what they should be, put in their place, named."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from codec import atomic
from codec.errors import InputError, IrcError

LARGEST_INPUT = 1 << 30  #: bytes that are read of a stream or an .irc file, at most
PIECE = 1 << 20  #: bytes read at once


def printable(name: str) -> str:
    r"""A file name that is safe to print: one line, no control or undecodable bytes.

    >>> printable("a\nb")
    'a\\nb'
    """
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def reason(error: BaseException) -> str:
    """What the system says of an error, as the end of a line."""
    if isinstance(error, OSError) and error.errno == errno.EBADF:
        return "it is closed"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return str(error)


def opened(name: str) -> BinaryIO:
    """A file, open for reading; InputError where that is not possible."""
    try:
        return open(name, "rb")
    except FileNotFoundError:
        raise InputError("no such file") from None
    except IsADirectoryError:
        raise InputError("is a directory, not a file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError(f"cannot be read: {reason(error)}") from None


def unusual(status: os.stat_result) -> str | None:
    """What a file is that is neither a regular one nor a folder."""
    kinds = {
        stat.S_IFIFO: "a pipe (FIFO)",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(status.st_mode))


def contents(stream: BinaryIO, magic: bytes = b"", limit: int = LARGEST_INPUT) -> bytes:
    """What is in a stream, or no more than the start where that is not `magic`: an endless device or a huge file of
    another kind need not be read through. InputError where it has more than `limit` bytes or cannot be read.
    """
    try:
        start = stream.read(64)
        if not start.startswith(magic):
            return start
        held = io.BytesIO()
        held.write(start)
        while piece := stream.read(PIECE):
            if held.tell() + len(piece) > limit:
                raise InputError(f"more than the limit of {limit} bytes")
            held.write(piece)
        return held.getvalue()
    except (OSError, ValueError) as error:  # ValueError: it is closed
        raise InputError(f"cannot be read: {reason(error)}") from None


def exists(name: str) -> IrcError:
    """The error that there is an output already."""
    return IrcError(f"{printable(name)} exists; -f overwrites it")


@contextmanager
def writing(name: str) -> Iterator[None]:
    """What the system says against writing a file becomes an IrcError that names it."""
    try:
        yield
    except OSError as error:
        raise IrcError(f"cannot write {printable(name)}: {reason(error)}") from None


def put(name: str, data: bytes | memoryview, overwrite: bool, check: Callable[[bytes], None] | None = None) -> None:
    """Write a file whole or not at all; check gets what was written before it takes its place. IrcError where it cannot
    be written, or is there already and is not to be overwritten.
    """
    with writing(name):
        try:
            atomic.write(name, data, overwrite=overwrite, check=check)
        except FileExistsError:
            raise exists(name) from None


class Folders:
    """Files of this computer, as a task wants them; folders are made as they are needed."""

    def open(self, name: str) -> BinaryIO:
        """A file, open for reading; InputError where that is not possible."""
        return opened(name)

    def put(self, name: str, data: bytes | memoryview, overwrite: bool, check: Callable[[bytes], None] | None) -> None:
        """As the function `put`, in a folder that may have to be made."""
        with writing(name):
            os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        put(name, data, overwrite, check)
