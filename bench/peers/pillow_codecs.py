"""JPEG, JPEG 2000, WebP, AVIF, JPEG XL and HEVC, as Pillow and its plug-ins write them."""

import io
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import numpy as np
import PIL
from PIL import Image, features

from bench.errors import CodecMissing
from codec.metrics.distortion import Image8

__all__ = [
    "PillowCodec",
    "avif",
    "coded_picture_bytes",
    "distribution_version",
    "hevc",
    "jpeg",
    "jpeg2000",
    "jxl",
    "webp",
]

BPG_HEADER_BYTES = 24
"""Assumed size of what a BPG file holds beside the coded picture."""

THREADS = "IRC_BENCH_THREADS"
"""Environment variable: the threads of AVIF and JPEG XL (default 1); the speed benchmark sets it."""


def _itself(setting: float) -> float:
    return int(setting) if float(setting).is_integer() else setting


@dataclass(frozen=True)
class PillowCodec:
    """A format that Pillow, or a plug-in of it, writes and reads."""

    name: str
    description: str
    version: str
    settings: tuple[float, ...]
    format: str
    options: Callable[[float], Mapping[str, Any]]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    count: Callable[[bytes], int] = len

    def encode(self, image: Image8, setting: float) -> bytes:
        """Return the file of an image at a setting."""
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, self.format, **self.options(setting), **self.fixed)
        return buffer.getvalue()

    def decode(self, data: bytes) -> Image8:
        """Return the pixels of a file."""
        with Image.open(io.BytesIO(data)) as picture:
            return np.array(picture.convert("RGB"))

    def rate_bytes(self, data: bytes) -> int:
        """Return the bytes counted as the rate of a file."""
        return self.count(data)

    def latent(self, data: bytes) -> str | None:
        """Return None: these formats have no such checksum."""
        return None


def _threads() -> int:
    return int(os.environ.get(THREADS, "1"))


def distribution_version(name: str) -> str:
    """Return the version of an installed distribution."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "(not installed as a package)"


def _pillow_version(codec: str, feature: str, library: str) -> str:
    """Return the versions of Pillow and of a library in it; refuse where it was built without."""
    if not features.check(feature):
        raise CodecMissing(codec, f"this Pillow was built without {library}")
    return f"Pillow {PIL.__version__}, {library} {features.version(feature) or '(no version)'}"


def jpeg() -> PillowCodec:
    """Return the codec, or raise `CodecMissing`."""
    version = _pillow_version("jpeg", "jpg", "libjpeg")
    if features.check("libjpeg_turbo"):
        version = _pillow_version("jpeg", "libjpeg_turbo", "libjpeg-turbo")
    return PillowCodec(
        name="jpeg",
        description="JPEG 4:2:0, baseline, optimised Huffman tables; the setting is quality",
        version=version,
        settings=(5, 10, 20, 30, 45, 60, 75, 85, 91, 95),
        format="JPEG",
        options=lambda setting: {"quality": _itself(setting)},
        fixed={"optimize": True, "subsampling": "4:2:0"},
    )


def jpeg2000() -> PillowCodec:
    """Return the codec, or raise `CodecMissing`."""
    return PillowCodec(
        name="jpeg2000",
        description="JPEG 2000, 9/7 wavelet, colour transform; the setting is the ratio of sizes",
        version=_pillow_version("jpeg2000", "jpg_2000", "OpenJPEG"),
        settings=(120, 80, 55, 40, 30, 22, 16, 11, 8, 6),
        format="JPEG2000",
        options=lambda setting: {"quality_layers": [setting]},
        fixed={"quality_mode": "rates", "irreversible": True, "mct": 1, "no_jp2": True},
    )


def webp() -> PillowCodec:
    """Return the codec, or raise `CodecMissing`."""
    return PillowCodec(
        name="webp",
        description="WebP, lossy, method 6; the setting is quality",
        version=_pillow_version("webp", "webp", "libwebp"),
        settings=(1, 10, 25, 40, 55, 70, 80, 88, 93, 96),
        format="WEBP",
        options=lambda setting: {"quality": _itself(setting)},
        fixed={"method": 6},
    )


def avif(name: str = "avif", tune: str = "psnr", speed: int = 4) -> PillowCodec:
    """Return the codec by a name of its own, or raise `CodecMissing`.

    `tune` is libaom's: "psnr" for that figure, "iq" for the eye, which libavif 1.4 takes where none is asked for.
    """
    return PillowCodec(
        name=name,
        description=f"AVIF 4:4:4, libaom at speed {speed}, tune {tune.upper()}; the setting is quality",
        version=_pillow_version(name, "avif", "libavif"),
        settings=(20, 35, 48, 58, 68, 78, 86, 91),
        format="AVIF",
        options=lambda setting: {"quality": _itself(setting)},
        fixed={
            "codec": "aom",
            "speed": speed,
            "subsampling": "4:4:4",
            "max_threads": _threads(),
            "advanced": {"tune": tune},
        },
    )


def jxl() -> PillowCodec:
    """Return the codec, or raise `CodecMissing`."""
    try:
        import pillow_jxl  # noqa: F401 - the import registers the format with Pillow
    except ImportError as error:
        raise CodecMissing("jxl", f"the package pillow-jxl-plugin: {error}") from error
    return PillowCodec(
        name="jxl",
        description="JPEG XL, lossy, effort 7; the setting is quality",
        version=f"pillow-jxl-plugin {distribution_version('pillow-jxl-plugin')}",
        settings=(10, 25, 40, 55, 68, 78, 86, 91, 95),
        format="JXL",
        options=lambda setting: {"quality": _itself(setting)},
        fixed={"effort": 7, "num_threads": _threads()},
    )


def hevc() -> PillowCodec:
    """Return the codec, or raise `CodecMissing`."""
    try:
        import pillow_heif
    except ImportError as error:
        raise CodecMissing("hevc", f"the package pillow-heif: {error}") from error
    info = pillow_heif.libheif_info()
    encoder = str(info.get("HEIF", ""))
    if "x265" not in encoder:
        raise CodecMissing("hevc", "this pillow-heif was built without x265")
    pillow_heif.register_heif_opener()

    def options(setting: float) -> dict[str, Any]:
        # libheif sets psy-rd, psy-rdoq and aq-mode after preset and tune; left so they would
        # cost the stand-in 11 % of rate at equal PSNR, which bpgenc does not pay
        parameters = {
            "preset": "veryslow",
            "tune": "ssim",
            "x265:qp": str(_itself(setting)),
            "x265:psy-rd": "0",
            "x265:psy-rdoq": "0",
            "x265:aq-mode": "0",
        }
        return {"enc_params": parameters}

    return PillowCodec(
        name="hevc",
        description=(
            "HEVC intra, x265 4:4:4 with BPG's settings (a stand-in for BPG, not BPG itself); "
            "rate: coded picture + 24 bytes of header; the setting is QP"
        ),
        version=f"pillow-heif {pillow_heif.__version__}, libheif {info['libheif']}, {encoder}",
        settings=(47, 42, 39, 37, 34, 32, 29, 27, 22, 17),
        format="HEIF",
        options=options,
        # BT.601, full range: BPG's own choice
        fixed={"quality": 50, "chroma": 444, "matrix_coefficients": 6, "full_range_flag": 1},
        count=lambda data: coded_picture_bytes(data) + BPG_HEADER_BYTES,
    )


def coded_picture_bytes(data: bytes) -> int:
    """Return the size of what the mdat box of an ISO base media file (HEIF, AVIF) holds."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:  # a 64-bit size follows
            if at + 16 > len(data):
                break
            (size,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        elif size == 0:  # up to the end of the file
            size = len(data) - at
        if size < head:
            break
        if kind == b"mdat":
            return int(size) - head
        at += size
    raise ValueError("the file has no mdat box")
