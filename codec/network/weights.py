"""Weights of the codec: the float networks (float16), the integer probability model and its tables.

A .irc file names the weights that it was made with by the 4 bytes of their id (codec/network/identity.py); where files
are looked for by id is explained in codec/network/registry.py.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from codec.errors import WeightsError
from codec.network import identity, registry, weights_file
from codec.network.model import Codec
from codec.network.transform import Analysis
from entropy.blank import Blank
from entropy.config import Config
from entropy.integer import IntegerPrior

FORMAT = "3"  #: of the codec's weights
FLOAT_PARTS = ("f.", "head.", "side.")
FLOAT_NAMES = ("side_log_gain", "log_gain", "log_gain_start", "deviation")
SUFFIX = ".safetensors"


@dataclasses.dataclass(frozen=True)
class Weights:
    """What codes and decodes."""

    model: Codec  #: the float networks
    prior: IntegerPrior  #: the exact probability model
    name: bytes  #: 4 bytes: the id, as .irc files name it


def config_of(given: dict[str, Any]) -> Config:
    """The configuration with these values, as JSON or a checkpoint has them; TypeError or ValueError without one."""
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    return Config(**values)


def exact_prior(model: Codec) -> IntegerPrior:
    """The integer model of a trained one."""
    log2e = 1 / np.log(2)
    own = (model.log_gain + torch.log(model.deviation)).detach().double().numpy() * log2e
    start = (model.log_gain_start + torch.log(model.deviation)).double().numpy()
    return IntegerPrior.from_prior(
        model.prior, own, np.minimum(np.exp(start), 6) + 0.2, (start - np.log(model.config.drop)) * log2e
    )


def pack(model: Codec, notes: dict[str, str]) -> bytes:
    """The bytes of the weights file of a trained model; notes: licence, credits, how it was trained.

    Couplings that are still the identity are left out.
    """
    idle = [name for name in ("quarter", "eighth") if _identity(model.f, name)]
    config = config_of({**dataclasses.asdict(model.config), **{f"hidden_{name}": 0 for name in idle}})
    left_out = tuple(f"f.{name}." for name in idle)
    arrays = {f"prior.{k}": v for k, v in exact_prior(model).arrays().items()}
    for key, value in model.state_dict().items():
        if key.startswith(FLOAT_PARTS) and not key.startswith(left_out):
            # the inverse is only as exact as vectors of scales and the rotation are: they stay whole
            half = value.ndim > 1 and not key.endswith("rotation")
            arrays[key] = value.numpy().astype(np.float16 if half else np.float32)
        elif key in FLOAT_NAMES:
            arrays[key] = value.numpy()
    return weights_file.pack(arrays, {**notes, "format": FORMAT, "config": json.dumps(dataclasses.asdict(config))})


def _identity(f: Analysis, stage: str) -> bool:
    """Whether the couplings of a stage change nothing: their last layers are zero, or there are none."""
    last = [p for name, p in getattr(f, stage).named_parameters() if ".last." in name]
    return not any(bool(p.any()) for p in last)


def read(path: Path) -> Weights:
    """A weights file of the codec; WeightsError, with the reason, where it is not one."""
    with weights_file.usable(path):
        data = identity.read_bytes(path)
        metadata, arrays = weights_file.parse(data)
        if metadata.get("format") != FORMAT:
            raise WeightsError(f"{path}: weights of an unknown format ({metadata.get('format')})")
        config = config_of(json.loads(metadata["config"]))
        for key, array in arrays.items():
            if key.startswith("prior.") != (array.dtype.kind in "iu"):
                raise ValueError(f"{key} is of the wrong type")
            if key.endswith(("scale_in", "scale_out", "deviation")) and not (array > 0).all():
                raise ValueError(f"{key} is not positive")
        return Weights(_networks(config, arrays), _prior(config, arrays), bytes.fromhex(registry.identify(data)))


def _networks(config: Config, arrays: dict[str, NDArray[Any]]) -> Codec:
    with Blank():
        model = Codec(config, prior=False)  # the integer model stands for the floating-point one
    state = {k: torch.from_numpy(v.astype(np.float32)) for k, v in arrays.items() if not k.startswith("prior.")}
    missing, unexpected = model.load_state_dict(state, strict=False, assign=True)
    if missing or unexpected:
        raise ValueError(f"they lack {missing[:3]} or have unknown {unexpected[:3]}")
    # torch declares this argument for tensors of four dimensions only
    return model.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _prior(config: Config, arrays: dict[str, NDArray[Any]]) -> IntegerPrior:
    own = {k.removeprefix("prior."): v for k, v in arrays.items() if k.startswith("prior.")}
    return IntegerPrior.from_arrays(config, own)


@functools.lru_cache(maxsize=4)
def load(name: bytes | str | Path | None = None) -> Weights:
    """Weights by id (4 bytes or 8 hex digits) or by file (a Path, or text that has a separator or ends in
    .safetensors); None: the default of those installed. The last four are kept. WeightsError where they are missing or
    unusable, or where a file's content is not what its id stands for.
    """
    if isinstance(name, Path) or isinstance(name, str) and (os.sep in name or name.endswith(SUFFIX)):
        return read(Path(name))
    id = registry.default() if name is None else name.hex() if isinstance(name, bytes) else name.lower()
    if not re.fullmatch("[0-9a-f]{8}", id):
        raise WeightsError(f"weights are named by 8 hex digits or by a {SUFFIX} file, not {name!r}")
    found = read(path := registry.locate(id))
    if found.name.hex() != id:
        raise WeightsError(f"{path}: not the weights that its name says, but {found.name.hex()}")
    return found
