"""The bytes of an .irc file from whatever a caller has: the bytes themselves, a path or an open file.

>>> import io
>>> read_source(b"abc"), read_source(memoryview(b"abc")), read_source(io.BytesIO(b"abc"))
(b'abc', b'abc', b'abc')
>>> read_source(io.StringIO("abc"))
Traceback (most recent call last):
TypeError: the file is open for text; open it with mode "rb"
"""

from __future__ import annotations

import os
from typing import Any, Protocol, TypeAlias

from codec.errors import InputError


class Readable(Protocol):
    """An open file."""

    def read(self, size: int = ..., /) -> bytes:
        """The next bytes, all that are left where no size is given."""


#: what is taken as an .irc file: bytes or a buffer of them, the path of a file, or a file that is open for bytes
Source: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str] | Readable


def reason(error: OSError) -> str:
    """Why a path cannot be read, as the end of a line."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "is a directory, not a file"
    return f"cannot be read: {error.strerror or error}"


def is_path(source: object) -> bool:
    """Whether this names a file."""
    return isinstance(source, str | os.PathLike)


def is_file(source: object) -> bool:
    """Whether this is an open file."""
    return callable(getattr(source, "read", None))


def read_file(file: Any) -> bytes:
    """All that is left of an open file; TypeError where it gives text."""
    data = file.read()
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError('the file is open for text; open it with mode "rb"')
    return bytes(data)


def read_source(source: Source) -> bytes:
    """The bytes of an .irc file. InputError where a path cannot be read, TypeError where this is none of these."""
    if is_path(source):
        try:
            with open(source, "rb") as stream:  # type: ignore[arg-type]  # a path, as was just asked
                data: bytes = stream.read()
                return data
        except OSError as error:
            raise InputError(f"{os.fspath(source)!r}: {reason(error)}") from None  # type: ignore[arg-type]
        except ValueError as error:  # a NUL in the name
            raise InputError(f"{source!r}: {error}") from None
    if is_file(source):
        return read_file(source)
    try:
        return bytes(memoryview(source))  # type: ignore[arg-type]  # TypeError where it is no buffer
    except TypeError:
        kind = type(source).__name__
        raise TypeError(f"expected the bytes of an .irc file, its path or a file open for bytes, not {kind}") from None
