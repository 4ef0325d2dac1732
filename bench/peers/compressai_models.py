"""CompressAI's learned models, from checkpoints on this machine; untrained ones for times.

A file here is what a decoder needs beside the model: sizes and the strings of the entropy coder.
"""

import os
import re
import struct
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import CodecMissing
from codec.metrics.distortion import Image8

__all__ = ["CHECKPOINTS", "MODELS", "CompressAiCodec", "pack", "unpack"]

MODELS = ("bmshj2018-hyperprior", "mbt2018-mean", "cheng2020-anchor")

CHECKPOINTS = "IRC_BENCH_CHECKPOINTS"
"""Environment variable: the folder of checkpoints, by default torch's, where CompressAI itself puts them."""

_MULTIPLE = 64
_HEAD = struct.Struct(">HHBHH")


class CompressAiCodec:
    """A model of CompressAI's zoo, optimised for MSE; the setting is its quality, each a network of its own."""

    def __init__(self, model: str, *, trained: bool = True) -> None:
        self.name = model if trained else f"{model}-untrained"
        self.description = f"CompressAI's {model}, MSE{'' if trained else ', untrained'}; the setting is its quality"
        try:
            import compressai
            import torch
            from compressai.zoo import image as zoo
        except Exception as error:  # it wants torchvision, whose failures to load are of many kinds
            raise CodecMissing(self.name, f"the package compressai: {type(error).__name__}: {error}") from error
        self._model, self._torch, self._zoo = model, torch, zoo
        self._networks: dict[int, Any] = {}
        self._files: dict[int, Path] = {}
        self.settings: tuple[float, ...] = (4,)
        self.version = f"compressai {compressai.__version__}, torch {metadata.version('torch')}"
        if trained:
            folder = Path(os.environ.get(CHECKPOINTS) or Path(torch.hub.get_dir(), "checkpoints"))
            for path in sorted(folder.glob(f"{model}-*.pth.tar")):
                # bmshj2018-hyperprior-3-6d87be32.pth.tar, as CompressAI downloads it
                if found := re.fullmatch(rf"{re.escape(model)}-(\d)(?:-[0-9a-f]+)?\.pth\.tar", path.name):
                    self._files[int(found[1])] = path
            if not self._files:
                raise CodecMissing(self.name, f"no checkpoint {model}-QUALITY-*.pth.tar in {folder}")
            self.settings = tuple(sorted(self._files))
            self.version += ", " + " ".join(path.name for path in self._files.values())

    def _network(self, quality: int) -> Any:
        if quality not in self._networks:
            torch, zoo = self._torch, self._zoo
            if self._files:
                state = torch.load(self._files[quality], map_location="cpu", weights_only=True)
                state = zoo.load_pretrained(state.get("state_dict", state))
                network = zoo.model_architectures[self._model].from_state_dict(state)
            else:
                torch.manual_seed(0)
                network = zoo.model_architectures[self._model](*zoo.cfgs[self._model][quality])
            network.eval()
            network.update(force=True)
            self._networks[quality] = network
        return self._networks[quality]

    def encode(self, image: Image8, setting: float) -> bytes:
        """Return the file of an image at a quality that there is a checkpoint of."""
        quality, torch = int(setting), self._torch
        height, width = image.shape[:2]
        x = torch.from_numpy(image.astype(np.float32).transpose(2, 0, 1))[None] / 255
        down, right = -height % _MULTIPLE, -width % _MULTIPLE
        x = torch.nn.functional.pad(x, (0, right, 0, down), mode="replicate")
        with torch.no_grad():
            coded = self._network(quality).compress(x)
        return pack(height, width, quality, tuple(coded["shape"]), [part[0] for part in coded["strings"]])

    def decode(self, data: bytes) -> Image8:
        """Return the pixels of a file, rounded to 8 bit."""
        height, width, quality, shape, strings = unpack(data)
        torch = self._torch
        with torch.no_grad():
            x = self._network(quality).decompress([[part] for part in strings], shape)["x_hat"]
        pixels = (x[0, :, :height, :width].clamp(0, 1) * 255).round().to(torch.uint8)
        return np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())

    def rate_bytes(self, data: bytes) -> int:
        """Return the bytes of the whole file."""
        return len(data)

    def latent(self, data: bytes) -> str | None:
        """Return None: the files have no checksum."""
        return None


def pack(height: int, width: int, quality: int, shape: tuple[int, ...], strings: list[bytes]) -> bytes:
    """Return a file: sizes, quality, shape of the side latent, then each string behind its length."""
    head = _HEAD.pack(height, width, quality, *shape)
    return head + b"".join(struct.pack(">I", len(part)) + part for part in strings)


def unpack(data: bytes) -> tuple[int, int, int, tuple[int, int], list[bytes]]:
    """Return what `pack` was given."""
    height, width, quality, *shape = _HEAD.unpack_from(data)
    strings, at = [], _HEAD.size
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        strings.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return height, width, quality, (shape[0], shape[1]), strings
