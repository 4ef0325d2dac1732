"""Which irc this is."""

from __future__ import annotations

from importlib import metadata

UNKNOWN = "0+unknown"  #: where it is not installed, but run from a folder


def number() -> str:
    """The version that is installed, such as 0.2.0.

    >>> number()[0].isdigit()
    True
    """
    try:
        return metadata.version("irc-codec")
    except metadata.PackageNotFoundError:
        return UNKNOWN
