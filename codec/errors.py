"""Errors a caller can act on, and the exit code that each of them has."""

from __future__ import annotations

import os
import traceback
from typing import NamedTuple


class ExitCode(NamedTuple):
    """One exit status of the command line."""

    name: str
    code: int
    meaning: str


EXIT_CODES = (
    ExitCode("ok", 0, "everything asked for was done"),
    ExitCode("failure", 1, "something else went wrong, such as a full disk or an existing output"),
    ExitCode("usage", 2, "the command line is wrong"),
    ExitCode("input", 3, "an input is missing, is not an image or is not supported"),
    ExitCode("damaged", 4, "an .irc file is damaged"),
    ExitCode("weights", 5, "the weights that a file needs are missing or unusable"),
    ExitCode("target", 6, "the asked size or quality cannot be reached"),
)

_BY_NAME = {entry.name: entry.code for entry in EXIT_CODES}


def exit_code(name: str) -> int:
    """Return the exit status called `name`, for instance ``exit_code("damaged")``."""
    return _BY_NAME[name]


class IrcError(Exception):
    """An error whose message is one line that a user can act on."""

    exit_code: int = _BY_NAME["failure"]


class UsageError(IrcError):
    """A command line whose parts are right and do not go together."""

    exit_code = _BY_NAME["usage"]


class InputError(IrcError):
    """The input is missing, is not what it should be, or is not supported."""

    exit_code = _BY_NAME["input"]


class DamagedError(IrcError):
    """An .irc file was recognised, but its bytes are not those that were written."""

    exit_code = _BY_NAME["damaged"]


class WeightsError(IrcError):
    """The weights a file was made with are missing or unusable."""

    exit_code = _BY_NAME["weights"]


class TargetError(IrcError):
    """A target (bits per pixel, bytes, PSNR) cannot be met; `nearest` is what can be."""

    exit_code = _BY_NAME["target"]

    def __init__(self, message: str, nearest: float | None = None) -> None:
        super().__init__(message)
        self.nearest = nearest


def explained(error: Exception) -> tuple[int, str]:
    """The exit status of whatever went wrong, and a message for the user; with IRC_DEBUG=1 an unexpected error comes
    with its traceback on standard error.

    >>> explained(InputError("no such file"))
    (3, 'no such file')
    """
    if isinstance(error, IrcError):
        return error.exit_code, str(error)
    if isinstance(error, MemoryError):
        return exit_code("failure"), "out of memory"
    if os.environ.get("IRC_DEBUG") == "1":
        traceback.print_exception(error)
    text = str(error)
    if "OutOfMemory" in type(error).__name__ or "allocate memory" in text or "failed to map segment" in text:
        return exit_code("failure"), "out of memory"
    return exit_code("failure"), f"unexpected {type(error).__name__}: {error} (IRC_DEBUG=1 shows where)"
