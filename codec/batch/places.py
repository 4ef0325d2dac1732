"""Files wherever they are: in folders of this computer, or in what fsspec reaches (s3://, gs://, sftp:// and others).

>>> is_url("s3://bucket/photo.jpg"), is_url("photo.jpg"), local("file:///data/photo.jpg")
(True, False, '/data/photo.jpg')

Access keys and endpoints are those of fsspec and of the library behind it: environment variables (AWS_ACCESS_KEY_ID,
AWS_ENDPOINT_URL, FSSPEC_S3_...), configuration files, the role of the machine.
"""

from __future__ import annotations

import io
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, NamedTuple

from codec import atomic
from codec.batch.local import LARGEST_INPUT, Folders, exists, printable, reason
from codec.errors import InputError, IrcError

EXTRA = "pip install 'irc-codec[cluster]'"  #: brings fsspec, s3fs and distributed
#: stores in which an object appears when all of it has arrived; elsewhere it is written beside its place and renamed
OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "memory")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class Found(NamedTuple):
    """A file in a folder: its name, its path from there, bytes."""

    name: str
    path: str
    size: int


def is_url(name: str) -> bool:
    """Whether this is the URL of a file that fsspec reaches, and not a name of this computer."""
    return _URL.match(name) is not None


def local(name: str) -> str:
    """The name without ``file://``: such a URL is a file of this computer as any other."""
    return name.removeprefix("file://")


def joined(folder: str, path: str) -> str:
    """A path in a folder that a URL names.

    >>> joined("s3://bucket/out/", "a/b.irc")
    's3://bucket/out/a/b.irc'
    """
    return f"{folder.rstrip('/')}/{path}" if folder.rpartition("://")[2] else folder + path


def inside(url: str) -> str:
    """The path of a URL within its bucket or computer.

    >>> inside("s3://bucket/trip/a.jpg")
    'trip/a.jpg'
    """
    return url.partition("://")[2].partition("/")[2]


def missing(what: str) -> IrcError:
    """The error that a package of the extra ``cluster`` is not installed."""
    return IrcError(f"{what}, which is not installed: {EXTRA}")


@contextmanager
def _explained(kind: type[IrcError], doing: str) -> Iterator[None]:
    """Whatever a library says, as an error of one line that begins with what was being done."""
    try:
        yield
    except (IrcError, MemoryError):
        raise
    except Exception as error:  # of one of some thirty libraries
        said = " ".join(str(error).split())
        if isinstance(error, FileNotFoundError) and kind is InputError:
            raise kind("no such file") from None
        if "Credentials" in type(error).__name__:
            said += " (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, say, or the role of the machine)"
        elif not (said and isinstance(error, OSError)):
            said = f"{type(error).__name__}: {said}"
        raise kind(f"{doing}: {said}") from None


def file_system(url: str) -> tuple[Any, str]:
    """fsspec's file system of a URL, and the path in it; IrcError where its package is missing or it is not known."""
    protocol = url.partition("://")[0]
    try:
        import fsspec
    except ImportError:
        raise missing(f"{protocol}:// needs the package fsspec") from None
    try:
        return fsspec.core.url_to_fs(url)  # type: ignore[no-any-return]
    except ImportError as error:
        if protocol in ("s3", "s3a"):
            raise missing(f"{protocol}:// needs the package s3fs") from None
        raise IrcError(f"{protocol}:// needs another package: {error}") from None
    except ValueError as error:
        raise InputError(str(error)) from None


class Places(Folders):
    """Files of this computer and of URLs, as a task wants them. A file takes its place whole or not at all."""

    def open(self, name: str) -> BinaryIO:
        """A file, open for reading; that of a URL has been read. InputError where that is not possible."""
        if not is_url(name):
            return super().open(name)
        with self.stream(name) as stream, _explained(InputError, "cannot be read"):
            data = stream.read(LARGEST_INPUT + 1)
        if len(data) > LARGEST_INPUT:
            raise InputError(f"more than the limit of {LARGEST_INPUT} bytes")
        return io.BytesIO(data)

    def stream(self, name: str) -> BinaryIO:
        """A file to be read from its start to its end, however large."""
        if not is_url(name):
            return super().open(name)
        with _explained(InputError, "cannot be read"):
            files, path = file_system(name)
            return files.open(path, "rb")  # type: ignore[no-any-return]

    def exists(self, name: str) -> bool:
        """Whether there is a file behind a URL."""
        with _explained(InputError, "cannot be looked for"):
            files, path = file_system(name)
            files.invalidate_cache()  # others write, too
            return bool(files.exists(path))

    def put(self, name: str, data: bytes | memoryview, overwrite: bool, check: Callable[[bytes], None] | None) -> None:
        """Write a file whole or not at all; check gets its bytes before they take their place."""
        if not is_url(name):
            super().put(name, data, overwrite, check)
            return
        whole = bytes(data)
        if check:
            check(whole)
        self._place(name, overwrite, lambda files, path: files.pipe_file(path, whole))

    @contextmanager
    def making(self, name: str, overwrite: bool) -> Iterator[BinaryIO]:
        """A file, open for writing, that takes its place when the block ends without an error. An OSError in the block
        is taken for one of writing.

        That of a URL is kept in a temporary file until then (in the folder of the environment variable TMPDIR).
        """
        try:
            if is_url(name):
                with tempfile.NamedTemporaryFile(prefix="irc-", suffix=".part") as held:
                    yield held  # type: ignore[misc]  # a binary file in all but its type
                    held.flush()
                    self._place(name, overwrite, lambda files, path: files.put_file(held.name, path))
            else:
                os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
                with atomic.replacing(name, overwrite=overwrite) as stream:
                    yield stream
        except FileExistsError:
            raise exists(name) from None
        except OSError as error:
            raise IrcError(f"cannot write {printable(name)}: {reason(error)}") from None

    def _place(self, name: str, overwrite: bool, send: Callable[[Any, str], Any]) -> None:
        """Have a file sent to its URL, at once or beside it first."""
        with _explained(IrcError, f"cannot write {printable(name)}"):
            if not overwrite and self.exists(name):
                raise exists(name)
            files, path = file_system(name)
            if name.partition("://")[0] in OBJECT_STORES:
                send(files, path)
                return
            folder, _, last = path.rpartition("/")
            beside = f"{folder}/.{last[:40]}.{secrets.token_hex(6)}.part"
            try:
                files.makedirs(folder, exist_ok=True)
                send(files, beside)
                files.mv(beside, path)
            except BaseException:
                with suppress(Exception):  # it may never have come so far
                    files.rm_file(beside)
                raise

    def listed(self, folder: str, recursive: bool) -> Iterator[Found]:
        """The files in the folder of a URL, in order of their names; InputError where it cannot be looked into."""
        with _explained(InputError, "cannot be read"):
            files, root = file_system(folder)
            files.invalidate_cache()
            root = root.rstrip("/")
            found = files.find(root, maxdepth=None if recursive else 1, detail=True)
            for path, facts in sorted(found.items()):
                inside = path.removeprefix(root).lstrip("/")
                if facts["type"] == "file" and inside:
                    yield Found(joined(folder, inside), inside, int(facts["size"] or 0))

    def is_folder(self, name: str) -> bool:
        """Whether the URL is that of a folder, and not of a file; InputError where it is neither."""
        with _explained(InputError, "cannot be read"):
            files, path = file_system(name)
            files.invalidate_cache()
            return files.info(path)["type"] == "directory"  # type: ignore[no-any-return]
