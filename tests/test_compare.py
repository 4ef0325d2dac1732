"""What was lost of a picture: z by band, `irc compare`, its page and its sheet."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFont
from roundtrip import noise_photo

import codec
from codec.api import picture_of
from codec.coding import draw
from codec.coding.tiles import Reader
from codec.compare.comparison import compare, z_map
from codec.compare.lost import BINS, Band, correlation, whitened
from codec.compare.sheet import SMALLEST_PANEL, _described, _fitted, _scored
from codec.container import bitstream
from codec.container.grid import Box
from codec.errors import InputError
from codec.metrics.distortion import psnr, ssimulacra2
from codec.tool.cli import main

HEIGHT, WIDTH = 170, 250


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return noise_photo(HEIGHT, WIDTH, 4)


@pytest.fixture(scope="module")
def data(photo: np.ndarray) -> bytes:
    return codec.encode(photo, 12, temperature=1, seed=5)


@pytest.fixture(scope="module")
def bands(photo: np.ndarray, data: bytes) -> list[Band]:
    return codec.lost(photo, data)


def test_bands_are_all_channels_of_the_picture(bands: list[Band]) -> None:
    for level, (unit, count) in enumerate(((16, 12), (8, 9), (4, 9), (2, 9))):
        here = [band for band in bands if band.level == level]
        assert sum(len(band.z) for band in here) == count
        assert {band.z.shape[1:] for band in here} == {(-(-HEIGHT // unit), -(-WIDTH // unit))}
        assert {band.name for band in here} == {f"1/{unit} luma", f"1/{unit} chroma"}
    assert any(band.dropped for band in bands) and not all(band.dropped for band in bands)


def test_z_is_white_by_the_noise_that_the_file_holds(photo: np.ndarray, data: bytes, bands: list[Band]) -> None:
    fine = [band for band in bands if band.level > 1]
    assert all(abs(band.mean) < 0.1 and band.deviation == pytest.approx(1, abs=0.05) for band in fine)
    plain = [band for band in codec.lost(photo, data, own=False) if band.level > 1]
    assert max(abs(np.log(band.deviation)) for band in plain) > 0.1
    for band in fine:
        assert band.histogram.sum() * (BINS[1] - BINS[0]) == pytest.approx(np.mean(np.abs(band.z) <= 4), abs=1e-6)


def test_z_is_white_where_a_file_has_steps_of_its_own(photo: np.ndarray) -> None:
    found = codec.lost(photo, codec.encode(photo, 12, temperature=1, tune="visual"))
    assert all(band.deviation == pytest.approx(1, abs=0.1) for band in found if band.level > 1)


def test_z_of_what_was_drawn_is_what_was_drawn(photo: np.ndarray) -> None:
    """Encode, draw, and ask what the file lost of that: the numbers that were drawn."""
    data = codec.encode(photo[:160, :224] // 2 + 64, 12, temperature=1, seed=5)  # sides need no padding
    drawn = codec.decode(data, array=True, depth=16, temperature=1)
    assert drawn.min() > 0 and drawn.max() < 65535  # what is clipped is not what was drawn
    found = whitened(drawn, Reader.of(data))
    z, lost = draw.draw(5, 3, Box(0, 0, 160, 224), draw.VERSION), found.dropped[3]
    assert lost.any() and np.abs(found.z[3] - z)[lost].max() < 0.01


@pytest.mark.parametrize("tile", [0, 512])
def test_blocks_and_tiles_leave_no_seam(tile: int) -> None:
    """A picture of several blocks gives the z that its middle gives, cut out as a whole."""
    photo = noise_photo(96, 1120, 2)
    found = codec.lost(photo, codec.encode(photo, 30, tile=tile))
    for band in found:
        assert np.isfinite(band.z).all() and np.abs(band.z).max() < 60
        seam = 1024 // (16 >> band.level)
        near, far = band.z[:, :, seam - 2 : seam + 2], band.z
        assert near.std() < 3 * max(far.std(), 0.1)


def test_pictures_of_other_sizes_are_refused(photo: np.ndarray, data: bytes) -> None:
    with pytest.raises(InputError, match="250 x 169 pixels, the file 250 x 170"):
        codec.lost(photo[:-1], data)


def test_pictures_are_taken_as_encode_takes_them(
    photo: np.ndarray, data: bytes, bands: list[Band], tmp_path: Path
) -> None:
    Image.fromarray(photo).save(tmp_path / "photo.png")
    (tmp_path / "photo.irc").write_bytes(data)
    for picture, file in ((tmp_path / "photo.png", tmp_path / "photo.irc"), (Image.fromarray(photo), io.BytesIO(data))):
        assert all(np.array_equal(a.z, b.z) for a, b in zip(codec.lost(picture, file), bands, strict=True))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(photo).copy()).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as turned:
        assert np.array_equal(codec.lost(turned, data)[-1].z, bands[-1].z)


def test_figures_of_known_bands() -> None:
    random = np.random.default_rng(3)
    white = random.standard_normal((2, 200, 300)).astype(np.float32)
    band = Band("1/4 luma", True, white, 2, 0.0)
    assert abs(band.mean) < 0.02 and band.deviation == pytest.approx(1, abs=0.01) and abs(band.neighbours) < 0.02
    smooth = Band("1/4 luma", True, np.stack([white[0], white[1] + np.roll(white[1], 1, 0)]), 2, 0.0)
    assert smooth.neighbours == pytest.approx(0.5, abs=0.02)
    assert Band("1/4 luma", True, -smooth.z + 7, 2, 0.0).neighbours == pytest.approx(smooth.neighbours, abs=1e-4)
    other = random.standard_normal((200, 300)).astype(np.float32)
    assert correlation(white, [other]) < 0.02
    assert correlation(white, [other, white[1] * 3 + 1]) == pytest.approx(1, abs=1e-5)
    assert correlation(white, [np.ones_like(other)]) == 0
    grey = z_map(band, Box(0, 0, 800, 1200))
    assert grey.shape == (200, 300) and grey.std() == pytest.approx(32, rel=0.02) and abs(grey.mean() - 128) < 1
    assert z_map(band, Box(40, 80, 100, 120)).shape == (15, 10)


@pytest.fixture
def folder(photo: np.ndarray, data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    Image.fromarray(photo).save(tmp_path / "photo.png")
    (tmp_path / "photo.irc").write_bytes(data)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command(folder: Path, photo: np.ndarray, data: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "photo.png", "photo.irc", "--json", "--out", "lost.png"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["width"], facts["height"], facts["bytes"], facts["quality"]) == (WIDTH, HEIGHT, len(data), 12)
    assert facts["bpp"] == pytest.approx(8 * len(data) / (WIDTH * HEIGHT), abs=1e-6)
    for row in facts["scores"]:
        decoded = codec.decode(data, array=True, temperature=row["temperature"])
        assert row["psnr"] == psnr(photo, decoded) and row["ssimulacra2"] == ssimulacra2(photo, decoded)
        assert 0 < row["ms_ssim"] < 1
    assert [row["temperature"] for row in facts["scores"]] == [0, 1]
    with Image.open("lost.png") as sheet:
        assert sheet.width > 4 * WIDTH and sheet.height > 3 * HEIGHT and sheet.mode == "RGB"
    assert main(["compare", "photo.png", "photo.irc"]) == 0
    text = capsys.readouterr().out
    assert f"{len(data)} bytes" in text and "T = 1" in text and re.search(r"1/2 chroma +dropped +[+-]0\.\d+", text)


def test_lines_of_a_sheet_stay_within_their_panels(photo: np.ndarray, data: bytes) -> None:
    font = ImageFont.load_default(13)
    band = Band("1/16 chroma", True, np.full((1, 8, 8), -12.5, np.float32), 0, 0.11)
    lines = [*_described(band), *_scored(compare(picture_of(photo), data), 1)]
    assert all(font.getlength(line) < SMALLEST_PANEL for line in lines)
    assert _fitted("a.jpg", font, SMALLEST_PANEL) == "a.jpg"
    long = _fitted("holidays " * 20, font, SMALLEST_PANEL)
    assert long.startswith("holidays holidays") and long.endswith("…") and font.getlength(long) <= SMALLEST_PANEL


def test_what_the_command_refuses(folder: Path, photo: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(photo[:160]).save("other.png")
    Path("lost.html").write_text("mine")
    for arguments, code, words in (
        (["other.png", "photo.irc"], 3, "it is not of this picture"),
        (["photo.png", "photo.irc", "--out", "lost.jpg"], 2, "shown as .html or .png"),
        (["photo.png", "photo.irc", "--out", "lost.html"], 1, "-f overwrites it"),
        (["photo.png", "photo.irc", "-f", "--out", "photo.png"], 1, "is the input itself"),
        (["photo.png", "photo.irc", "--out", "new.png", "--region", "240,0,20,5"], 3, "not inside the picture"),
        (["photo.png", "photo.png"], 3, "not an .irc file"),
        (["-", "-"], 2, "only one of the two"),
    ):
        assert main(["compare", *arguments]) == code
        assert words in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == ["lost.html", "other.png", "photo.irc", "photo.png"]
    assert Path("lost.html").read_text() == "mine"


def test_orientation_and_profile_are_those_of_encode(folder: Path, photo: np.ndarray, capsys: Any) -> None:
    """A picture that lies on its side in its file is compared upright, as it is encoded."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo).save("turned.png", exif=exif)
    assert main(["encode", "turned.png", "-q", "60"]) == 0
    capsys.readouterr()
    assert main(["compare", "turned.png", "turned.irc", "--json"]) == 0
    captured = capsys.readouterr()
    facts = json.loads(captured.out)
    assert (facts["width"], facts["height"]) == (HEIGHT, WIDTH) and captured.err == ""
    upright = np.ascontiguousarray(np.rot90(photo, -1))
    assert facts["scores"][0]["psnr"] == psnr(upright, codec.decode(Path("turned.irc").read_bytes(), array=True))


@pytest.mark.parametrize("kind", ["grey", "grey and alpha", "colour under alpha", "16 bits"])
def test_other_kinds_of_pictures(kind: str, folder: Path, photo: np.ndarray, capsys: Any) -> None:
    small = photo[:40, :50]
    noise = np.random.default_rng(1).integers(0, 256, small.shape, np.uint8)
    seen = np.where(np.arange(50) < 25, 255, 0).astype(np.uint8) * np.ones((40, 1), np.uint8)
    hiding = np.dstack([np.where(seen[..., None], small, noise), seen])  # what is hidden is not what is coded
    picture = {
        "colour under alpha": hiding,
        "grey": small[..., 0],
        "grey and alpha": small[..., :2],
        "16 bits": small[..., 0].astype(np.uint16) * 257,
    }[kind]
    Image.fromarray(picture).save("kind.png")
    assert main(["encode", "kind.png", "-q", "60"]) == 0
    capsys.readouterr()
    assert main(["compare", "kind.png", "kind.irc", "--json", "--out", "kind-lost.png"]) == 0
    captured = capsys.readouterr()
    facts = json.loads(captured.out)
    assert facts["scores"][0]["psnr"] > 30 and facts["scores"][0]["ms_ssim"] is None  # too small for it
    assert ("alpha" in captured.err) == ("alpha" in kind)


def test_another_profile_is_said(folder: Path, data: bytes, capsys: Any) -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file = bitstream.read(data)
    extras = {**file.extras, bitstream.ICC: profile}
    Path("other.irc").write_bytes(bitstream.write(file.header, list(file.tiles), extras))
    assert main(["compare", "photo.png", "other.irc", "--out", "x.html"]) == 0
    assert "colour profile is not the picture's" in capsys.readouterr().err


def test_the_page(folder: Path, browser: Any) -> None:
    assert main(["compare", "photo.png", "photo.irc", "--out", "lost.html", "--region", "20,10,200,150"]) == 0
    text = Path("lost.html").read_text()
    found = re.findall(r"""(?:src|href)=["']?([^"'\s>]+)|url\(([^)]+)\)|@import|fetch\(""", text)
    assert [address for address, _ in found] == ["data:,"]
    browser.get((folder / "lost.html").as_uri())
    choices = [option.text for option in browser.find_elements("css selector", "#left option")]
    assert choices[:5] == ["original", "T = 0", "T = 1", "difference at T = 0", "difference at T = 1"]
    assert "z, 1/2 chroma, dropped" in choices
    assert "20,10,200,150" in browser.find_element("css selector", "#notes").text
    maps = browser.find_elements("css selector", "#maps figure")
    assert len(maps) == len(choices) - 5
    assert all(len(one.find_elements("css selector", "path.curve")) == 2 for one in maps)
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:  # nothing but tables, which scroll, is wider than a phone
        assert browser.execute_script("return document.documentElement.scrollWidth") == 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    rows = browser.find_elements("css selector", "#bands tbody tr")
    assert len(rows) == len(maps) and "dropped" in " ".join(row.text for row in rows)
    assert [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_the_page_holds_exact_pixels(folder: Path, photo: np.ndarray, data: bytes) -> None:
    import base64

    assert main(["compare", "photo.png", "photo.irc", "--out", "lost.html"]) == 0
    page = Path("lost.html").read_text()
    found = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1])  # type: ignore[index]
    wanted = [photo, *(codec.decode(data, array=True, temperature=t) for t in (0, 1))]
    for version, pixels in zip(found["picture"]["versions"], wanted):
        image = Image.open(io.BytesIO(base64.b64decode(version["uri"].partition(",")[2])))
        assert np.array_equal(np.asarray(image.convert("RGB")), pixels)
