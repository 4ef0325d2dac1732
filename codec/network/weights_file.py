"""A weights file: named arrays and notes in one safetensors file, the same bytes whenever it is made of the same.

Of every kind of network: `format` and `config` in the metadata say which, and of what shape; `licence`, `credits` and
`training` are for the reader. What the file is called by is explained in codec/network/identity.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from codec.errors import WeightsError
from codec.network import identity as identities
from codec.network.registry import UNUSABLE

Arrays = Mapping[str, NDArray[Any]]


def pack(arrays: Arrays, metadata: Mapping[str, str]) -> bytes:
    """The bytes of a weights file. metadata: "format", "config" (JSON), and notes, all of them text."""
    data = save({name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())}, dict(metadata))
    # the library writes metadata in an order of chance
    header, rest = identities.split(data)
    head = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)  # arrays stay aligned
    return len(head).to_bytes(8, "little") + head + rest


def identity(arrays: Arrays, config: Mapping[str, Any], format: str) -> str:
    """The identity, 8 hex digits, of a file with these arrays, configuration (what JSON can say) and format."""
    return identities.identity(*identities.split(pack(arrays, {"format": format, "config": json.dumps(config)})))


@contextmanager
def usable(path: Path) -> Iterator[None]:
    """Whatever goes wrong in the block becomes a WeightsError, in one line, that names the file."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError, *UNUSABLE) as error:
        if isinstance(error, WeightsError):
            raise
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise WeightsError(f"{path}: not usable weights ({reason})") from error


def read(path: Path) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """A weights file's metadata and arrays, all of them finite; WeightsError where it is not one."""
    with usable(path):
        return parse(identities.read_bytes(path))


def parse(data: bytes) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """Metadata and arrays of a weights file with these bytes; what `usable` catches where it is not one."""
    arrays = load(data)  # the library checks the header
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite")
    return identities.split(data)[0].get("__metadata__", {}), arrays
