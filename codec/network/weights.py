"""Weights files: one safetensors file with the float networks (float16), the integer model and its tables.

A file is named in each .irc by the first 4 bytes of its SHA-256. Installed weights lie in the package's folder
`weights`; more folders can be named in the environment variable IRC_WEIGHTS.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from codec.errors import WeightsError
from codec.network.model import Codec
from entropy.config import Config
from entropy.integer import IntegerPrior

FOLDER = Path(__file__).parent.parent / "weights"
FORMAT = "3"  #: what `pack` writes
EARLIER = "1", "2"  #: what can be read, too
LARGEST_FILE = 1 << 28  #: bytes
DEFAULT = "irc1.safetensors"
FLOAT_PARTS = ("f.", "head.", "side.")
FLOAT_NAMES = ("side_log_gain", "log_gain", "log_gain_start", "deviation")


@dataclasses.dataclass(frozen=True)
class Weights:
    """What codes and decodes: the float networks (`model`), the exact probability model, the file's name."""

    model: Codec
    prior: IntegerPrior
    name: bytes


def folders() -> list[Path]:
    return [FOLDER, *(Path(f) for f in os.environ.get("IRC_WEIGHTS", "").split(os.pathsep) if f)]


def exact_prior(model: Codec) -> IntegerPrior:
    """The integer model of a trained one."""
    log2e = 1 / np.log(2)
    own = (model.log_gain + torch.log(model.deviation)).detach().double().numpy() * log2e
    start = (model.log_gain_start + torch.log(model.deviation)).double().numpy()
    return IntegerPrior.from_prior(
        model.prior, own, np.minimum(np.exp(start), 6) + 0.2, (start - np.log(model.config.drop)) * log2e
    )


def pack(model: Codec, notes: dict[str, str]) -> bytes:
    """The bytes of the weights file of a trained model; notes: licence, credits, how it was trained."""
    prior = exact_prior(model)
    arrays = {f"prior.{k}": v for k, v in prior.arrays().items()}
    for key, value in model.state_dict().items():
        if key.startswith(FLOAT_PARTS):
            arrays[key] = value.numpy().astype(np.float16 if value.ndim > 1 else np.float32)
        elif key in FLOAT_NAMES:
            arrays[key] = value.numpy()
    # scales and the rotation stay whole: the inverse is only as exact as they are
    for key in arrays:
        if key.endswith("rotation"):
            arrays[key] = model.state_dict()[key].numpy()
    metadata = {"format": FORMAT, "config": json.dumps(dataclasses.asdict(model.config)), **notes}
    return _in_order(save({k: np.ascontiguousarray(v) for k, v in sorted(arrays.items())}, metadata))


def _in_order(data: bytes) -> bytes:
    """The safetensors file with its header's keys sorted: the library writes metadata in an order of chance."""
    size = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # arrays stay aligned
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def _upgrade(given: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays of format 1, of before the side latent had a context, by the names of now; completes the configuration."""
    given["side_prior"] = 0
    if "head_blocks" not in given:  # nor the head several blocks a level, or scales by quality
        given["head_blocks"] = 1
        arrays = {re.sub(r"^head\.block\.(\d)\.", r"head.block.\1.0.", key): array for key, array in arrays.items()}
        arrays["head.log_scale"] = np.zeros_like(arrays["log_gain"])
    names = (
        ("bands.", "tables."),
        (".from_luma.", ".from_first."),
        (".out_luma.", ".out_first."),
        (".out_chroma.", ".out_second."),
    )
    return {functools.reduce(lambda k, name: k.replace(*name), names, key): array for key, array in arrays.items()}


def read(path: Path) -> Weights:
    """A weights file; WeightsError, with the reason, where it is not one."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise WeightsError(f"{path}: not usable weights (larger than {LARGEST_FILE} bytes)")
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") not in (*EARLIER, FORMAT):
                raise WeightsError(f"{path}: weights of an unknown format ({metadata.get('format')})")
            given = json.loads(metadata["config"])
            arrays = {key: file.get_tensor(key) for key in file.keys()}
        if metadata["format"] == "1":
            arrays = _upgrade(given, arrays)
        config = Config(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})
        for key, array in arrays.items():
            if key.startswith("prior.") != (array.dtype.kind in "iu") or not np.isfinite(array).all():
                raise ValueError(f"{key} is of the wrong type or not finite")
            if key.endswith(("scale_in", "scale_out", "deviation")) and not (array > 0).all():
                raise ValueError(f"{key} is not positive")
        model = Codec(config, prior=False)  # the integer model stands for it
        model.draws_kept = metadata["format"] not in EARLIER  # whose head was not taught the scale of what is kept
        state = {k: torch.from_numpy(v.astype(np.float32)) for k, v in arrays.items() if not k.startswith("prior.")}
        missing, unexpected = model.load_state_dict(state, strict=False)
        if missing or unexpected:
            raise WeightsError(f"{path}: weights lack {missing[:3]} or have unknown {unexpected[:3]}")
        prior = IntegerPrior.from_arrays(
            config, {k.removeprefix("prior."): v for k, v in arrays.items() if k.startswith("prior.")}
        )
        name = hashlib.sha256(path.read_bytes()).digest()[:4]
    except (OSError, SafetensorError, LookupError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{path}: not usable weights ({str(error).splitlines()[0]})") from error
    model.f.couplings = any(
        bool(p.any()) for s in (model.f.quarter, model.f.eighth) for n, p in s.named_parameters() if ".last." in n
    )
    return Weights(model.eval().requires_grad_(False).to(memory_format=torch.channels_last), prior, name)  # type: ignore[call-overload]


def _name(path: Path) -> bytes | None:
    """The name of a weights file; None where it cannot be read, which is no reason not to look further."""
    try:
        return hashlib.sha256(path.read_bytes()).digest()[:4]
    except OSError:
        return None


@functools.lru_cache(maxsize=4)
def load(name: bytes | None = None) -> Weights:
    """The weights of this name (None: the ones shipped); WeightsError says which are missing."""
    if name is None:
        return read(FOLDER / DEFAULT)
    for folder in folders():
        for path in sorted(folder.glob("*.safetensors")):
            if _name(path) == name:
                return read(path)
    raise WeightsError(
        f"the file was made with weights {name.hex()}, which are not installed "
        f"(looked in {', '.join(str(f) for f in folders())})"
    )
