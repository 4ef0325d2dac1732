"""Checkpoints: tensors and plain values, in one file or, where files must be small, in several.

A checkpoint above the limit lies in numbered files beside its own, named by the hash of all of them together; its own
file, which names them, is replaced last. So an interrupted run leaves the last whole checkpoint.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import torch

from codec import atomic
from codec.training.settings import TrainingError

MEBIBYTE = 1 << 20


def write(path: Path, state: dict[str, Any], mebibytes: int = 0) -> None:
    """Replace the checkpoint at `path`; mebibytes: the largest file to write, 0 for one file of any size."""
    data, names = _saved(state), list[str]()
    if mebibytes and len(data) > mebibytes * MEBIBYTE:
        digest = hashlib.sha256(data).hexdigest()
        for start in range(0, len(data), mebibytes * MEBIBYTE):
            names.append(f"{path.stem}-{digest[:8]}-{len(names)}.bin")
            atomic.write(path.with_name(names[-1]), data[start : start + mebibytes * MEBIBYTE])
        data = _saved({"parts": names, "sha256": digest})
    atomic.write(path, data)
    for part in path.parent.glob(f"{path.stem}-*-*.bin"):
        if part.name not in names:
            part.unlink()


def read(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """The checkpoint at `path`, its tensors on the device; TrainingError, in one line, where there is none to read."""
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        if "parts" in state:
            data = b"".join(path.with_name(name).read_bytes() for name in state["parts"])
            if hashlib.sha256(data).hexdigest() != state["sha256"]:
                raise TrainingError(f"{path}: its parts are not those that were written")
            state = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
        if not {"average", "config"} <= state.keys():
            raise TrainingError(f"{path}: not a checkpoint of training")
    except OSError as error:
        raise TrainingError(f"{path}: {error.strerror}") from error
    except pickle.UnpicklingError as error:  # whose text is torch's advice to trust the file
        raise TrainingError(f"{path}: not a checkpoint that this version reads") from error
    except (RuntimeError, EOFError, LookupError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrainingError(f"{path}: not a checkpoint that this version reads ({reason[:100]})") from error
    return state


def _saved(state: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()
