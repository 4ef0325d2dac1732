"""A stand-in for the codec behind the command line, and a folder with something to encode and to decode."""

from __future__ import annotations

import io
import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import codec
from codec.container import bitstream

PIXELS = np.random.default_rng(2).integers(0, 256, (6, 9, 3), dtype=np.uint8)


class FakeApi(types.ModuleType):
    """Stores raw pixels where the codec would store latents."""

    def __init__(self) -> None:
        super().__init__("codec.api")
        self.calls: list[dict[str, object]] = []
        self.error: BaseException | None = None

    def _called(self, **values: object) -> None:
        self.calls.append(values)
        if self.error:
            raise self.error

    def encode(self, image: np.ndarray, quality: float = 75.0, **options: object) -> bytes:
        self._called(quality=quality, **options)
        height, width = image.shape[:2]
        header = bitstream.Header.of(width, height, quality, temperature=options["temperature"], seed=options["seed"])
        return bitstream.write(header, [image.tobytes()], options["extras"])

    def decode(self, data: bytes, **options: object) -> np.ndarray:
        self._called(**options)
        file = bitstream.read(data)
        shape = file.header.height, file.header.width, 3
        return np.frombuffer(file.tiles[0], np.uint8).reshape(shape)

    def verify(self, data: bytes, **options: object) -> None:
        self._called(**options)


@pytest.fixture(name="api")
def fake_api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    """The stand-in, in place of codec.api."""
    fake = FakeApi()
    monkeypatch.setitem(sys.modules, "codec.api", fake)
    monkeypatch.setattr(codec, "api", fake, raising=False)
    return fake


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with photo.png and file.irc."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PIXELS).save("photo.png")
    header = bitstream.Header.of(9, 6, 50)
    Path("file.irc").write_bytes(bitstream.write(header, [PIXELS.tobytes()]))
    return tmp_path


class Streams:
    """Standard input and output as a pipe would be."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
        self.raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(self.raw))


#: environment of a program of its own that runs this tree
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
