"""Files that are whole or not there: written beside their place, then renamed.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(os.path.join(folder, "a"), b"whole")
    ...     os.listdir(folder)
    ['a']

Whatever goes wrong on the way (a full disk, Ctrl-C, SIGTERM as an exception) leaves what was there before and nothing
else; only a process that is killed outright leaves a hidden `.part` file behind.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO


@contextmanager
def replacing(path: str | os.PathLike[str], *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """A binary file, open for writing and reading, that takes the place of `path` when the block ends without an error.

    It has the mode that open() would give: that of the file whose place it takes, or else what the umask leaves. Of a
    symbolic link the file behind it is replaced. OSError where that is not possible; without `overwrite`
    FileExistsError where there is a file when the block ends.
    """
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    # of the name a part only: with what is added it must not become longer than a folder takes
    temporary = os.path.join(folder, f".{name[:40]}.{secrets.token_hex(6)}.part")
    stream = open(temporary, "x+b")  # noqa: SIM115  # the block below closes it before it is renamed
    try:
        with stream:
            with suppress(FileNotFoundError):
                os.chmod(temporary, os.stat(target).st_mode & 0o777)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if not overwrite and os.path.exists(target):
            raise FileExistsError(f"{target} exists")
        os.replace(temporary, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def write(
    path: str | os.PathLike[str],
    data: bytes | memoryview,
    *,
    overwrite: bool = True,
    check: Callable[[bytes], None] | None = None,
) -> None:
    """Write a file whole or not at all, as `replacing` does.

    check: gets what was written, read back, before it takes its place, and raises where that is not good. A pipe or a
    device cannot be replaced: it is written to, once `data` itself has been checked.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        if check:
            check(bytes(data))
        with open(path, "wb") as device:
            device.write(data)
        return
    with replacing(path, overwrite=overwrite) as stream:
        stream.write(data)
        if check:
            stream.seek(0)
            check(stream.read())
