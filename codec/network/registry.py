"""Which weights there are: those that were ever released, and those installed here.

Weights files are called irc-<id>.safetensors and lie in the package's folder `weights` or in a folder that the
environment variable IRC_WEIGHTS names (several are separated as in PATH). `weights/index.json` lists every released one
and which id is the default of each kind. Released files are never changed or removed.

>>> default() in [weights.id for weights in installed()]
True
>>> check(locate(default())) is None
True

Files are found by their names, so strangers' files are not even opened. This module imports neither torch nor numpy.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from codec.errors import WeightsError
from codec.network import identity

FOLDER = Path(__file__).parent.parent / "weights"
INDEX = FOLDER / "index.json"
NAME = re.compile(r"irc-([0-9a-f]{8})\.safetensors")
#: what a header that is not one of weights can raise on the way
UNUSABLE = LookupError, TypeError, AttributeError, ValueError, RecursionError


@dataclass(frozen=True)
class Released:
    """A weights file that a release shipped."""

    id: str  #: 8 hex digits, what .irc files name it by
    kind: str  #: what it is for: "codec", or another network
    sha256: str  #: of the file, 64 hex digits
    format: str  #: of its arrays
    date: str  #: of its release, YYYY-MM-DD
    better: str  #: what is better about it than about the one before
    training: str  #: the command, or the document, that makes it again


@dataclass(frozen=True)
class Installed:
    """A weights file that is here, by its name; whether it is what its name says is for `check`."""

    id: str
    path: Path
    default: bool  #: the one that is used for its kind where nobody names another
    released: Released | None  #: None: somebody's own


@functools.cache
def _index() -> tuple[dict[str, str], dict[str, Released]]:
    """The default id of each kind, and the released files by id."""
    index = json.loads(INDEX.read_text())
    names = [field.name for field in dataclasses.fields(Released)]
    released = [Released(**{name: entry[name] for name in names}) for entry in index["released"]]
    return index["default"], {one.id: one for one in released}


def released() -> list[Released]:
    """Every weights file that a release ever shipped, the oldest first."""
    return list(_index()[1].values())


def folders() -> list[Path]:
    """Where weights are looked for, in this order."""
    return [FOLDER, *(Path(f) for f in os.environ.get("IRC_WEIGHTS", "").split(os.pathsep) if f)]


def installed() -> list[Installed]:
    """The weights files here, by folder, then by name; of an id that is there twice the first is used."""
    defaults, known = _index()
    return [
        Installed(match[1], path, match[1] in defaults.values(), known.get(match[1]))
        for folder in folders()
        for path in sorted(folder.glob("irc-*.safetensors"))
        if (match := NAME.fullmatch(path.name)) and path.is_file()
    ]


def default(kind: str = "codec") -> str:
    """The id of the weights of a kind that are used where nobody names others; WeightsError where there are none."""
    try:
        return _index()[0][kind]
    except KeyError:
        raise WeightsError(f"no weights of the kind {kind!r} were released") from None


def locate(id: str) -> Path:
    """The file of the weights of this id (8 hex digits); WeightsError, which says where to get it, if there is none."""
    for folder in folders():
        if (path := folder / f"irc-{id}.safetensors").is_file():
            return path
    known = _index()[1].get(id)
    if known:
        source = f"every release of irc-codec since {known.date} has them: install it anew with pip"
    else:
        source = (
            "a newer release may have them (pip install --upgrade irc-codec); if they are somebody's own, get "
            f"irc-{id}.safetensors from whoever made the file, and name its folder in IRC_WEIGHTS"
        )
    raise WeightsError(f"weights {id} are not installed (looked in {', '.join(map(str, folders()))}); {source}")


def identify(data: bytes) -> str:
    """The id of the weights file with these bytes: of a released file that of the index, of others their identity.

    LookupError, TypeError, AttributeError or ValueError where these are no weights.
    """
    digest = hashlib.sha256(data).hexdigest()
    by_digest = {one.sha256: one.id for one in released()}
    return by_digest.get(digest) or identity.identity(*identity.split(data))


def check(path: Path) -> str | None:
    """What is wrong with a weights file, in one line, or None: a released one must be the file that was released, byte
    for byte; another's arrays, configuration and format must be those of its name.
    """
    match = NAME.fullmatch(path.name)
    if not match:
        return "its name is not irc-<8 hex digits>.safetensors"
    try:
        found = identify(data := identity.read_bytes(path))
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except UNUSABLE as error:
        return f"not a weights file ({str(error).splitlines()[0][:100] if str(error) else type(error).__name__})"
    known = _index()[1].get(match[1])
    if found != match[1]:
        return f"its name says {match[1]}, but its content is that of {found}"
    if known and hashlib.sha256(data).hexdigest() != known.sha256:
        return "its networks are those of the release, but the rest of the file was changed"
    return None
