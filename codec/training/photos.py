"""Photos to train on: read from folders or packed files, and cropped at random where the model is.

    python -m codec.training.photos pack PHOTOS... --out packed.bin --mebibytes 40

A packed file is a ZIP archive of pictures. Training takes it in place of a folder, where there is no such folder.
"""

from __future__ import annotations

import argparse
import io
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from codec import atomic
from codec.training.settings import RunSettings, TrainingError

#: what packing tries in turn until it fits: JPEG quality (None: files as they are) and the share of the sides kept
LADDER = (
    (None, 1.0),
    (95, 1.0),
    (95, 0.85),
    (95, 0.7),
    (95, 0.6),
    (95, 0.5),
    (90, 0.5),
    (90, 0.4),
    (90, 0.3),
    (90, 0.2),
)
LOBES = 3  #: of the Lanczos filter


def _files(sources: Sequence[Path]) -> Iterator[tuple[Path, bytes]]:
    """Path and content of every file of the folders and packed files, in order of name."""
    for source in sources:
        if not source.is_dir() and not (source.is_file() and zipfile.is_zipfile(source)):
            raise TrainingError(f"{source}: neither a folder nor a packed set of photos")
    for source in sorted(p for s in sources for p in ([s] if s.is_file() else s.rglob("*")) if p.is_file()):
        if source in sources:
            with zipfile.ZipFile(source) as packed:
                for name in packed.namelist():
                    yield source / name, packed.read(name)
        else:
            yield source, source.read_bytes()


def pictures(sources: Sequence[Path]) -> Iterator[tuple[Path, bytes, Image.Image]]:
    """Path, content and RGB picture of every photo; what Pillow cannot read is left out, and said on stderr."""
    for path, content in _files(sources):
        try:
            with Image.open(io.BytesIO(content)) as image:
                yield path, content, image.convert("RGB")
        except (OSError, SyntaxError, ValueError) as error:
            if path.suffix.lower() in Image.registered_extensions():
                print(f"{path}: left out ({error})", file=sys.stderr)


def read(sources: Sequence[Path]) -> list[np.ndarray]:
    """All photos (H,W,3 uint8) of folders and packed files."""
    return [np.array(image) for _, _, image in pictures(sources)]


def pack(sources: Sequence[Path], mebibytes: float) -> tuple[bytes, str]:
    """A packed file of at most this size, and what was done so that it fits; TrainingError where nothing does."""
    limit = int(mebibytes * (1 << 20))
    for quality, share in LADDER:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as packed:
            count = 0
            for path, content, image in pictures(sources):
                suffix = path.suffix
                if quality is not None:
                    content, suffix = _jpeg(image, quality, share), ".jpg"
                packed.writestr(zipfile.ZipInfo(f"{count:06}{suffix}"), content)  # whose date is always the same
                count += 1
                if out.tell() > limit:
                    break
        if not count:
            raise TrainingError("no photo to pack")
        if len(out.getvalue()) <= limit:
            how = "as they are" if quality is None else f"as JPEG of quality {quality}, sides times {share}"
            return out.getvalue(), f"{count} photos {how}"
    raise TrainingError(f"the photos do not fit into {mebibytes:g} MiB")


def _jpeg(image: Image.Image, quality: int, share: float) -> bytes:
    if share < 1:
        width, height = (max(1, round(share * n)) for n in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, subsampling=0)
    return out.getvalue()


def lanczos(take: Tensor, size: int, reach: int) -> Tensor:
    """Matrices (N,size,reach) that resample the first `take` (N) of `reach` samples to `size`, as Pillow does."""
    scale = take[:, None, None] / size
    at = torch.arange(reach, device=take.device)
    middle = (torch.arange(size, device=take.device)[:, None] + 0.5) * scale - 0.5
    distance = (at - middle) / scale
    weight = torch.sinc(distance) * torch.sinc(distance / LOBES)
    weight = weight * ((distance.abs() < LOBES) & (at < take[:, None, None]))
    return weight / weight.sum(2, keepdim=True)


class Crops:
    """Random crops, flipped, transposed and (a share of them) reduced, made on the device that holds the photos.

    Nothing of a batch is read back from the device, so a GPU never waits for Python. The state is the generator's.
    """

    def __init__(self, images: list[np.ndarray], settings: RunSettings, device: torch.device, seed: int):
        """images: H,W,3 uint8; TrainingError where none has sides of at least the crops' size."""
        images = [i for i in images if min(i.shape[:2]) >= settings.size]
        if not images:
            raise TrainingError(f"no photo with sides of at least {settings.size}")
        self.settings = settings
        self.generator = torch.Generator(device).manual_seed(seed)
        self.pixels = torch.cat([torch.from_numpy(i).view(-1, 3) for i in images]).to(device)
        self.height, self.width = torch.tensor([i.shape[:2] for i in images], device=device).unbind(1)
        self.end = (self.height * self.width).cumsum(0)  # of each photo, in `pixels`

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        """Pixels N,3,S,S in 0..255, and two uniform numbers 0..1 of each crop (2,N) for whatever else is drawn."""
        settings, size = self.settings, self.settings.size
        device = self.pixels.device
        u = torch.rand(9, count, generator=self.generator, device=device, dtype=torch.float64)
        which = torch.searchsorted(self.end, (u[0] * len(self.pixels)).long(), right=True)  # large photos more often
        height, width = self.height[which], self.width[which]
        take = torch.where(u[1] < settings.rescale, (size * (1 + u[2])).long(), size)
        take = torch.minimum(take, torch.minimum(height, width))
        top, left = (u[3] * (height - take + 1)).long(), (u[4] * (width - take + 1)).long()

        # all pixels that any crop may need, then those of each crop reduced by a matrix a side
        reach = 2 * size if settings.rescale else size
        inside = torch.minimum(torch.arange(reach, device=device), take[:, None] - 1)
        first = self.end[which] - height * width
        rows = first[:, None] + (top[:, None] + inside) * width[:, None]
        patch = self.pixels[rows[:, :, None] + (left[:, None] + inside)[:, None, :]].permute(0, 3, 1, 2).float()
        reduce = lanczos(take, size, reach)[:, None]
        x = (reduce @ patch @ reduce.mT).round().clamp(0, 255)

        flipped, transposed = u[5] < 0.5, u[6] < 0.5
        x = torch.where(flipped[:, None, None, None], x.flip(3), x)
        x = torch.where(transposed[:, None, None, None], x.mT, x)
        return x, u[7:].float()


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m codec.training.photos", description="Photos for training.")
    command = parser.add_subparsers(required=True).add_parser("pack", help="put photos into one file of limited size")
    command.add_argument("sources", nargs="+", type=Path, metavar="PHOTOS", help="folders of photos, or packed files")
    command.add_argument("--out", type=Path, required=True, help="the file to write, e.g. packed.bin")
    command.add_argument("--mebibytes", type=float, default=40, help="its largest size (default: %(default)s)")
    a = parser.parse_args(argv)
    try:
        data, what = pack(a.sources, a.mebibytes)
    except TrainingError as error:
        raise SystemExit(f"photos: {error}") from None
    atomic.write(a.out, data)
    print(f"{a.out}: {what}, {len(data)} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
