"""BPG 4:4:4 through its own programs, `bpgenc` and `bpgdec`, where they are on the PATH."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from bench.errors import CodecMissing
from bench.metrics.distortion import Image8

__all__ = ["BpgCodec"]


class BpgCodec:
    """libbpg's encoder at its defaults, 4:4:4: the settings of the published curve."""

    name = "bpg"
    description = "BPG 4:4:4, x265, YCbCr, 8 bit, bpgenc's default level; the setting is QP"
    settings: tuple[float, ...] = (47, 42, 39, 37, 34, 32, 29, 27, 22, 17)

    def __init__(self) -> None:
        programs = [shutil.which(name) for name in ("bpgenc", "bpgdec")]
        if None in programs:
            raise CodecMissing(self.name, "bpgenc and bpgdec are not on the PATH")
        self._encoder, self._decoder = map(str, programs)
        # the help names the version, and exits with 1
        text = subprocess.run([self._encoder, "-h"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"version (\S+)", text)
        self.version = f"libbpg {found[1] if found else '(no version)'}"

    def encode(self, image: Image8, setting: float) -> bytes:
        """Return the file of an image at a QP, 0 to 51."""
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "in.png"), Path(folder, "out.bpg")
            Image.fromarray(image).save(source, compress_level=0)
            options = ["-q", f"{setting:g}", "-f", "444", "-e", "x265", "-c", "ycbcr", "-b", "8"]
            _run([self._encoder, *options, "-o", str(target), str(source)])
            return target.read_bytes()

    def decode(self, data: bytes) -> Image8:
        """Return the pixels of a file."""
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "in.bpg"), Path(folder, "out.png")
            source.write_bytes(data)
            _run([self._decoder, "-o", str(target), str(source)])
            with Image.open(target) as picture:
                return np.array(picture.convert("RGB"))

    def rate_bytes(self, data: bytes) -> int:
        """Return the bytes of the whole file."""
        return len(data)

    def latent(self, data: bytes) -> str | None:
        """Return None: a BPG file has no such checksum."""
        return None


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise RuntimeError(f"{Path(command[0]).name} exited with {done.returncode}: {said}")
