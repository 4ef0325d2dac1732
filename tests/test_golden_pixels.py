"""The same file gives the same pixels, but for the last bit of floating point: within 1 of 255 of those kept here.

Beside each golden file lies a PNG of the lower right corner of its picture, 32 pixels a side, as it was first decoded
(`python tests/test_golden_pixels.py` makes those that are missing). Of each released network of rescaling there is a small
picture, `small-ID.png`, and what it became, `large-ID.png`.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from roundtrip import noise_photo

import codec
from codec.container import bitstream
from codec.network import registry
from codec.rescale.mark import Mark
from codec.rescale.photos import down

DATA = Path(__file__).parent / "data"
SIDE = 32
RESCALING = [one.id for one in registry.released() if one.kind.startswith("rescale-")]
FILES = sorted(path.stem for path in DATA.glob("*.irc"))
#: drawn.irc, made with the weights that were shipped first, at its temperature of 1, by version of the draw
DRAWN = {f"drawn-{version}": version for version in (0, 1)}


def corner(data: bytes, temperature: float | None = 0) -> np.ndarray:
    return codec.decode(data, temperature=temperature, array=True, device="cpu")[-SIDE:, -SIDE:]


def drawn(version: int) -> np.ndarray:
    """The corner as that version draws it: 0 is that of files that name none."""
    file = bitstream.read((DATA / "drawn.irc").read_bytes())
    assert file.header.temperature == 1 and file.draw == 1 and bitstream.NOISE in file.extras
    extras = {k: v for k, v in file.extras.items() if version or k != bitstream.DRAW}
    return corner(bitstream.write(file.header, list(file.tiles), extras, file.checksums), None)


def test_every_file_has_its_pixels() -> None:
    assert {*FILES, *DRAWN} <= {path.stem for path in DATA.glob("*.png")}


@pytest.mark.parametrize("name", [*FILES, *DRAWN])
def test_golden_pixels(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRC_WEIGHTS", str(DATA))
    now = drawn(DRAWN[name]) if name in DRAWN else corner((DATA / f"{name}.irc").read_bytes())
    with Image.open(DATA / f"{name}.png") as image:
        kept = np.asarray(image)
    assert now.dtype == kept.dtype == np.uint8 and now.shape == kept.shape
    assert np.abs(now.astype(int) - kept).max() <= 1
    assert kept.std() > 5  # there is something to compare


@pytest.mark.parametrize("id", RESCALING)
@pytest.mark.filterwarnings("error")  # the small picture is as it was made
def test_golden_rescaling(id: str) -> None:
    small = Image.open(DATA / f"small-{id}.png")
    mark = Mark.find(small.info["xmp"])
    assert mark is not None and mark.weights == id
    now, kept = (
        np.asarray(picture).astype(int) for picture in (codec.upscale(small), Image.open(DATA / f"large-{id}.png"))
    )
    assert now.shape == kept.shape == (mark.height, mark.width, 3)
    assert np.abs(now - kept).max() <= 1 and kept.std() > 5


def test_versions_of_the_draw_differ() -> None:
    """By more than the tolerance of the test before, and from what is not drawn."""
    mode, old, new = (np.asarray(Image.open(DATA / f"{name}.png")).astype(int) for name in ("drawn", *DRAWN))
    for a, b in ((mode, old), (mode, new), (old, new)):
        assert np.abs(a - b).mean() > 2


def make() -> None:
    """Make the files that are not there yet. Those that are never change."""
    os.environ["IRC_WEIGHTS"] = str(DATA)
    if not (path := DATA / "drawn.irc").exists():
        path.write_bytes(codec.encode(noise_photo(128, 128, 8), 20, tile=64, temperature=1, seed=4))
        print(path.name, path.stat().st_size)
    corners = {name: functools.partial(corner, (DATA / f"{name}.irc").read_bytes()) for name in {*FILES, "drawn"}}
    corners |= {name: functools.partial(drawn, version) for name, version in DRAWN.items()}
    for name, pixels in corners.items():
        if not (path := DATA / f"{name}.png").exists():
            Image.fromarray(pixels()).save(path, optimize=True)
            print(path.name, path.stat().st_size)
    with Image.open(DATA.parent.parent / "examples" / "photo.jpg") as image:
        photo = np.asarray(image.convert("RGB"))[-61:, -79:]
    for id in RESCALING:
        if not (path := DATA / f"small-{id}.png").exists():
            kind = next(one.kind for one in registry.released() if one.id == id)
            small, mark = down(photo, int(kind.removeprefix("rescale-")), weights=id)
            info = PngImagePlugin.PngInfo()
            info.add_itxt("XML:com.adobe.xmp", mark.in_xmp(None).decode())
            Image.fromarray(small).save(path, pnginfo=info)
            codec.upscale(Image.open(path)).save(DATA / f"large-{id}.png")
            print(path.name, path.stat().st_size)


if __name__ == "__main__":
    make()
