"""Codecs that are programs: a command that encodes a PNG file, and one that decodes to a picture file."""

import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bench.errors import BenchError, CodecMissing
from codec.metrics.distortion import Image8

__all__ = ["ProgramCodec", "bpg", "external"]


@dataclass(frozen=True)
class ProgramCodec:
    """A codec of two command templates.

    `{in}` and `{out}` stand for files, `{q}` for the setting. What follows a file in its word is its suffix, as in
    `cjxl {in} {out}.jxl -q {q}`. The encoder's {in} is a PNG file; what the decoder writes to {out} may be any picture
    that Pillow reads.
    """

    name: str
    description: str
    version: str
    settings: tuple[float, ...]
    encoder: str
    decoder: str

    def encode(self, image: Image8, setting: float) -> bytes:
        """Return the file of an image at a setting; RuntimeError with what the program said where it fails."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "in.png")
            Image.fromarray(image).save(source, compress_level=0)
            files = {"in": str(source), "out": str(Path(folder, "coded"))}
            return _run(self.encoder, {**files, "q": f"{setting:g}"}, "out").read_bytes()

    def decode(self, data: bytes) -> Image8:
        """Return the pixels of a file; RuntimeError with what the program said where it fails."""
        with tempfile.TemporaryDirectory() as folder:
            files = {"in": str(Path(folder, "coded")), "out": str(Path(folder, "out.png"))}
            _file(self.decoder, files, "in").write_bytes(data)
            with Image.open(_run(self.decoder, files, "out")) as picture:
                return np.array(picture.convert("RGB"))

    def rate_bytes(self, data: bytes) -> int:
        """Return the bytes of the whole file."""
        return len(data)

    def latent(self, data: bytes) -> str | None:
        """Return None: nothing is known of the file's coefficients."""
        return None


def external(name: str, encoder: str, decoder: str) -> ProgramCodec:
    """Return a codec of two command templates; `BenchError` for templates that are none.

    It has no settings of its own: they must be asked for. Its version is the two commands, so that curves of different
    ones are not mixed.
    """
    for what, template, needed in (("encoder", encoder, ("in", "out", "q")), ("decoder", decoder, ("in", "out"))):
        lacking = [f"{{{key}}}" for key in needed if f"{{{key}}}" not in template]
        if lacking or not name:
            raise BenchError(f"--external {name}: its {what} {template!r} lacks {', '.join(lacking) or 'a name'}")
        program = shlex.split(template)[0]
        if shutil.which(program) is None:
            raise CodecMissing(name, f"no program {program}")
    return ProgramCodec(name, f"{name}, by its commands", f"{encoder}; {decoder}", (), encoder, decoder)


def bpg() -> ProgramCodec:
    """Return libbpg's encoder at its defaults, 4:4:4, as the published curve has it, or raise `CodecMissing`."""
    programs = [shutil.which(name) for name in ("bpgenc", "bpgdec")]
    if None in programs:
        raise CodecMissing("bpg", "bpgenc and bpgdec are not on the PATH")
    encoder, decoder = (shlex.quote(str(program)) for program in programs)
    # the help names the version, and exits with 1
    text = subprocess.run([str(programs[0]), "-h"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\S+)", text)
    return ProgramCodec(
        name="bpg",
        description="BPG 4:4:4, x265, YCbCr, 8 bit, bpgenc's default level; the setting is QP",
        version=f"libbpg {found[1] if found else '(no version)'}",
        settings=(47, 42, 39, 37, 34, 32, 29, 27, 22, 17),
        encoder=f"{encoder} -q {{q}} -f 444 -e x265 -c ycbcr -b 8 -o {{out}} {{in}}",
        decoder=f"{decoder} -o {{out}} {{in}}",
    )


def _words(template: str, values: Mapping[str, str]) -> list[str]:
    """Return the words of a command with what its names in braces stand for."""
    return [re.sub(r"\{(in|out|q)\}", lambda found: values[found[1]], word) for word in shlex.split(template)]


def _file(template: str, values: Mapping[str, str], which: str) -> Path:
    """Return the file, suffix included, that a template's {in} or {out} is."""
    word = next(word for word in shlex.split(template) if f"{{{which}}}" in word)
    return Path(values[which] + word.partition(f"{{{which}}}")[2])


def _run(template: str, values: Mapping[str, str], which: str) -> Path:
    """Run a command and return its file `which`."""
    command = _words(template, values)
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise RuntimeError(f"{Path(command[0]).name} exited with {done.returncode}: {said}")
    return _file(template, values, which)
