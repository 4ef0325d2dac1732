"""The identity of a weights file: 8 hex digits that say what it computes, not who made it or under which licence.

    identity = SHA-256(head + data)[:4] in hex

    data: the bytes of the arrays as they lie in the file, little-endian and in C order, those of names that sort first
        first, with nothing between them
    head: JSON of one list, [format, configuration, [[name, dtype, shape], ...]], arrays in the same order, dtypes as
        safetensors calls them ("F16"); keys sorted, ASCII, no spaces

>>> header = {"__metadata__": {"format": "3", "config": "{}", "licence": "any"}}
>>> header["a"] = {"dtype": "I16", "shape": [2], "data_offsets": [0, 4]}
>>> identity(header, bytes(4))
'596fc369'

Neither torch nor numpy is needed for this.
"""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path
from typing import Any

FORMAT = "format"  #: key of a file's metadata: what its arrays mean, by kind and version
CONFIG = "config"  #: key of a file's metadata: JSON, the shape of its networks
LARGEST_FILE = 1 << 28  #: bytes


def split(data: bytes) -> tuple[dict[str, Any], memoryview]:
    """The header of a safetensors file and what follows it: the bytes of its arrays. ValueError where it is none."""
    size = int.from_bytes(data[:8], "little")
    if not 2 <= size <= len(data) - 8:
        raise ValueError("not a safetensors file")
    header = json.loads(data[8 : 8 + size])
    if not isinstance(header, dict):
        raise ValueError("not a safetensors file")
    return header, memoryview(data)[8 + size :]


def identity(header: dict[str, Any], data: bytes | memoryview) -> str:
    """The identity, 8 hex digits, of a safetensors file with this header and these bytes after it.

    LookupError, TypeError, AttributeError or ValueError where the header is not one of weights.
    """
    notes = header["__metadata__"]
    arrays = sorted((name, about) for name, about in header.items() if name != "__metadata__")
    shapes = [[name, about["dtype"], about["shape"]] for name, about in arrays]
    head = json.dumps([notes[FORMAT], json.loads(notes[CONFIG]), shapes], sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(head.encode())
    for _, about in arrays:
        start, end = about["data_offsets"]
        digest.update(data[start:end])
    return digest.hexdigest()[:8]


def read_bytes(path: Path) -> bytes:
    """A weights file as it is; OSError where it cannot be read, ValueError where it is larger than any, or no file.

    A pipe or a device, which may have no end, is not even opened.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("no regular file")
    data = b""
    if found.st_size <= LARGEST_FILE:
        with path.open("rb") as stream:
            data = stream.read(LARGEST_FILE + 1)  # it may grow meanwhile
    if max(found.st_size, len(data)) > LARGEST_FILE:
        raise ValueError(f"larger than {LARGEST_FILE} bytes")
    return data
