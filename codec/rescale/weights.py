"""Weights of rescaling networks: files of the kinds "rescale-2" and "rescale-4", of which each says its shape."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from codec.errors import WeightsError
from codec.network import registry, weights_file
from codec.rescale.network import Rescaler, Shape
from entropy.blank import Blank

FORMAT = "rescale-1"  #: of the arrays: those of `Rescaler`'s state, float16 where they are convolutions


class Weights(NamedTuple):
    """A network, ready to be used, and the id that small pictures name it by."""

    network: Rescaler
    id: str


def pack(network: Rescaler, notes: dict[str, str]) -> bytes:
    """The bytes of the weights file of a trained network; notes: licence, credits, how it was trained."""
    arrays = {
        name: value.numpy().astype(np.float16 if value.ndim == 4 else np.float32)
        for name, value in network.state_dict().items()
    }
    config = json.dumps(dataclasses.asdict(network.shape))
    return weights_file.pack(arrays, {"format": FORMAT, "config": config, **notes})


def read(path: Path) -> Weights:
    """A weights file; WeightsError, with the reason, where it is not one of a rescaling network."""
    with weights_file.usable(path):
        metadata, arrays = weights_file.read(path)
        if metadata.get("format") != FORMAT:
            raise ValueError(f"of the format {str(metadata.get('format'))[:40]}, not {FORMAT}")
        given = json.loads(metadata["config"])
        with Blank():
            network = Rescaler(Shape.of(given))
        network.load_state_dict({k: torch.from_numpy(v.astype(np.float32)) for k, v in arrays.items()}, assign=True)
        id = weights_file.identity(arrays, given, FORMAT)
    network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    return Weights(network, id)


@functools.lru_cache(maxsize=4)
def load(scale: int, id: str | None = None) -> Weights:
    """The weights of this id (None: those that are the default of a scale, 2 or 4).

    WeightsError where they are missing, unusable or of another scale.
    """
    found = read(registry.locate(id or registry.default(f"rescale-{scale}")))
    if found.network.shape.scale != scale:
        raise WeightsError(f"weights {found.id} rescale by {found.network.shape.scale}, not by {scale}")
    return found
