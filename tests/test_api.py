"""Encoding and decoding pictures with the shipped weights."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from roundtrip import noise_photo

import codec
from codec.coding.tiles import Reader, checksum
from codec.container import bitstream
from codec.errors import DamagedError, InputError, IrcError, TargetError, WeightsError
from codec.network.session import open_session
from codec.pictures import formats

Pixels = np.ndarray


def psnr(a: Pixels, b: Pixels) -> float:
    return 10 * math.log10(65025 / max(1e-9, ((a.astype(float) - b) ** 2).mean()))


def with_header(data: bytes, **values: object) -> bytes:
    """The file with other header fields and right CRCs."""
    file = bitstream.read(data)
    return bitstream.write(dataclasses.replace(file.header, **values), list(file.tiles), file.extras)


@pytest.fixture(scope="module")
def small(photo: Pixels) -> bytes:
    """A small file with every kind of chunk that one tile can have."""
    return codec.encode(photo[:37, :53], 40, extras={"eXIF": b"MM", "icCP": b"profile", "xmPP": b"<x/>"})


@pytest.mark.parametrize("size", [(1, 1), (1, 1000), (1000, 1), (37, 53), (64, 96)])
@pytest.mark.parametrize("quality", [0, 75, 100])
def test_sizes(size: tuple[int, int], quality: int) -> None:
    pixels = noise_photo(*size, 1) if min(size) > 1 else np.full((*size, 3), 100, np.uint8)
    data = codec.encode(pixels, quality)
    out = codec.decode(data, array=True)
    assert out.shape == pixels.shape and out.dtype == np.uint8
    image = codec.decode(data)
    assert isinstance(image, Image.Image) and image.mode == "RGB" and image.size == size[::-1]
    assert np.array_equal(np.asarray(image), out)
    assert psnr(out, pixels) > {0: 15, 75: 27, 100: 36}[quality]
    codec.verify(data)
    info = codec.info(data)
    assert (info["width"], info["height"], info["quality"]) == (*size[::-1], quality)


def test_padding_costs_little(photo: Pixels) -> None:
    sizes = [len(codec.encode(photo[:h, :h], 75)) for h in (64, 65)]
    assert sizes[1] < 1.6 * sizes[0]  # one pixel more each way, padded to 2.25 times the area
    assert len(codec.encode(np.full((1, 1, 3), 90, np.uint8), 50)) < 200


@pytest.mark.parametrize("quality", [0, 33.3, 75, 100])
def test_the_same_bytes_twice(photo: Pixels, quality: float) -> None:
    assert codec.encode(photo, quality) == codec.encode(photo.copy(), quality)


def test_kinds_of_input(photo: Pixels) -> None:
    data = codec.encode(photo)
    assert codec.encode(Image.fromarray(photo)) == data == codec.encode(photo, 75)
    assert codec.encode(photo[:, ::-1][:, ::-1]) == data


def test_quality_grows(photo: Pixels) -> None:
    files = [codec.encode(photo, q) for q in range(0, 101, 10)]
    sizes = [len(f) for f in files]
    reached = [psnr(codec.decode(f, array=True), photo) for f in files]
    assert all(a < b for a, b in zip(sizes, sizes[1:])), sizes
    assert all(a < b for a, b in zip(reached, reached[1:])), reached


def test_the_latent_is_what_was_coded(photo: Pixels) -> None:
    data = codec.encode(photo, 60)
    latent = Reader.of(data).latent()
    assert [a.shape for a in latent.k] == [(12, 6, 8), (9, 12, 16), (9, 24, 32), (9, 48, 64)]
    assert bitstream.read(data).header.checksum == checksum(latent)


def test_stable(photo: Pixels) -> None:
    first = codec.encode(photo, 40, stable=True)
    again = codec.encode(codec.decode(first), 40, stable=True)
    assert again == first
    assert codec.encode(codec.decode(first), 40) == first


@torch.no_grad()
@pytest.mark.parametrize("quality", [0, 20, 50, 75, 100])
def test_an_encoder_recognises_its_own_pictures(photo: Pixels, quality: int) -> None:
    session = open_session()

    def recognised(pixels: Pixels, quality: int) -> bool:
        return session.recognises(*session.scaled(session.bands(pixels), quality * 256))

    data = codec.encode(photo, quality)
    decoded = codec.decode(data, array=True)
    assert recognised(decoded, quality) and not recognised(photo, quality)
    assert not recognised(decoded, (quality + 30) % 101)
    assert not recognised(codec.decode(data, array=True, temperature=1), quality)
    assert not recognised(decoded[8:, 8:], quality)  # another grid
    flat = np.full((64, 64, 3), 90, np.uint8)
    assert isinstance(recognised(flat, quality), bool)


def test_effort_is_not_spent_on_its_own_pictures(photo: Pixels) -> None:
    decoded = codec.decode(codec.encode(photo, 30), array=True)
    assert codec.encode(decoded, 30, effort=3) == codec.encode(decoded, 30)


# --- kinds of pixels -----------------------------------------------------------------------------

ALPHA = np.random.default_rng(5).integers(0, 65536, (96, 128), np.uint16)


def in_kind(photo: Pixels, grey: bool, depth: int, alpha: bool) -> Pixels:
    """The photo as another kind; at 16 bits with low bytes of its own."""
    colour, random = photo[..., 1] if grey else photo, ALPHA[: len(photo)]
    if depth == 16:
        colour = colour.astype(np.uint16) * 257
        colour = colour ^ (random >> 9 if grey else (random >> 9)[..., None])
    return formats.join(colour, formats.to_depth(random, depth) if alpha else None)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("grey", [False, True])
def test_every_kind(photo: Pixels, grey: bool, depth: int, alpha: bool) -> None:
    pixels = in_kind(photo, grey, depth, alpha)
    data = codec.encode(pixels, 90)
    codec.verify(data)
    assert codec.info(data)["mode"] == ("grey" if grey else "RGB") + (", 16 bits" if depth == 16 else "")
    for asked in (8, 16):
        out = codec.decode(data, array=True, depth=asked)
        assert out.shape == pixels.shape and out.dtype == f"uint{asked}"
        colour, kept = formats.split(out)
        unit = 1 if asked == 8 else 257
        expected = formats.split(pixels)[0] / (1 if depth == 8 else 257)
        assert psnr(colour / unit, expected) > 37
        if alpha:
            assert kept is not None and np.array_equal(kept, formats.to_depth(formats.to_depth(ALPHA, depth), asked))
    if grey and not alpha:
        assert np.array_equal(np.asarray(codec.decode(data, depth=16)), out)
    else:
        with pytest.raises(ValueError, match="array"):
            codec.decode(data, depth=16)
    image = codec.decode(data)
    assert image.mode == ("L" if grey else "RGB") + ("A" if alpha else "")
    if depth == 8:
        assert codec.encode(Image.fromarray(pixels), 90) == data


def test_16_bits_are_coded_whole(photo: Pixels) -> None:
    """A gradient far finer than 8 bits comes back finer than 8 bits could show it."""
    ramp = np.round(np.linspace(20000, 21000, 128))[None, :, None].repeat(64, 0).repeat(3, 2).astype(np.uint16)
    out = codec.decode(codec.encode(ramp, 100), array=True, depth=16)
    rounded = formats.to_depth(formats.to_depth(ramp, 8), 16)
    error = lambda a: float(((a.astype(float) - ramp) ** 2).mean())  # noqa: E731
    assert error(out) < 0.5 * error(rounded)
    assert codec.encode(photo.astype(np.uint16) * 257, 70)[45:] == codec.encode(photo, 70)[45:]  # the same coefficients


def test_grey_costs_less_than_colour(photo: Pixels) -> None:
    grey = codec.encode(photo[..., 1], 75)
    assert len(grey) < 0.95 * len(codec.encode(photo, 75))
    assert psnr(codec.decode(grey, array=True), photo[..., 1]) > 30


@pytest.mark.parametrize("kind", [(True, 8), (False, 16)])
def test_targets_and_stability_of_other_kinds(photo: Pixels, kind: tuple[bool, int]) -> None:
    pixels = in_kind(photo, *kind, False)
    scale = np.iinfo(pixels.dtype).max / 255
    data = codec.encode(pixels, psnr=33)
    assert 33 <= psnr(codec.decode(data, array=True, depth=kind[1]) / scale, pixels / scale) < 33.5
    settled = codec.encode(pixels, 40, stable=True)
    assert codec.encode(codec.decode(settled, array=True, depth=kind[1]), 40) == settled


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"PNG",
        formats.pack_alpha(ALPHA)[:-40],
        formats.pack_alpha(ALPHA[:50]),
        formats.pack_alpha(ALPHA).replace(b"IHDR", b"IHDX"),
    ],
)
def test_damaged_alpha(photo: Pixels, payload: bytes) -> None:
    file = bitstream.read(codec.encode(photo, 30))
    data = bitstream.write(file.header, list(file.tiles), {bitstream.ALPHA: payload})
    for read in (codec.decode, codec.verify):
        with pytest.raises(DamagedError, match="alPH"):
            read(data)


def test_alpha_beyond_pillows_limit(photo: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    """--max-pixels is the limit; Pillow's own guard against bombs is below that of a large picture."""
    data = codec.encode(np.dstack([photo, photo[..., 0]]), 50)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert np.array_equal(codec.decode(data, array=True)[..., 3], photo[..., 0])
    codec.verify(data)


def test_alpha_of_parts_and_reductions(photo: Pixels) -> None:
    """Alpha is cut and reduced as the picture is, from tiles as from one piece; where it is lost, that is said."""
    pixels = in_kind(photo[:90], False, 8, True)
    alpha = pixels[..., 3]
    for tile in (0, 32):
        data = codec.encode(pixels, 50, tile=tile)
        whole = codec.decode(data, array=True)
        part = codec.decode(data, array=True, region=(33, 20, 50, 41))
        assert np.array_equal(part, whole[20:61, 33:83]) and np.array_equal(part[..., 3], alpha[20:61, 33:83])
        small = codec.decode(data, array=True, scale=4)
        assert small.shape == (23, 32, 4)
        assert np.array_equal(small[0, :2, 3], [round(float(alpha[:4, x : x + 4].mean())) for x in (0, 4)])
        assert np.array_equal(codec.decode(data, array=True, scale=4, region=(40, 20, 43, 41)), small[5:16, 10:21])
    at = bitstream.read(data).chunks[1].offset + 30
    broken = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    with pytest.raises(DamagedError, match="alPH"):
        codec.decode(broken)
    assert np.array_equal(codec.decode(broken, array=True, salvage=True, notes=[]), whole[..., :3])


# --- targets -----------------------------------------------------------------------------------


def test_target_bpp(photo: Pixels) -> None:
    for bpp in (0.9, 2.2):
        data = codec.encode(photo, bpp=bpp)
        reached = 8 * len(data) / (photo.shape[0] * photo.shape[1])
        assert 0.93 * bpp < reached <= bpp


def test_target_size(photo: Pixels) -> None:
    for size in (1400, 4000):
        assert 0.95 * size < len(codec.encode(photo, size=size)) <= size
    assert codec.encode(photo, size=10**9) == codec.encode(photo, 100)


def test_target_psnr(photo: Pixels) -> None:
    for target in (28, 35):
        assert target <= psnr(codec.decode(codec.encode(photo, psnr=target), array=True), photo) < target + 0.5
    assert codec.encode(photo, psnr=1) == codec.encode(photo, 0)


def test_impossible_targets(photo: Pixels) -> None:
    least = len(codec.encode(photo, 0))
    with pytest.raises(TargetError) as caught:
        codec.encode(photo, size=20)
    assert caught.value.nearest == least and str(least) in str(caught.value)
    with pytest.raises(TargetError) as caught:
        codec.encode(photo, bpp=0.001)
    assert caught.value.nearest == pytest.approx(8 * least / (photo.shape[0] * photo.shape[1]))
    with pytest.raises(TargetError) as caught:
        codec.encode(photo, psnr=90)
    best = psnr(codec.decode(codec.encode(photo, 100), array=True), photo)
    assert caught.value.nearest == pytest.approx(best, abs=1e-3)


# --- sampling ----------------------------------------------------------------------------------


def test_temperature_and_seed(photo: Pixels) -> None:
    plain = codec.encode(photo, 20)
    drawn = codec.encode(photo, 20, temperature=1, seed=5)
    assert bitstream.read(plain).tiles == bitstream.read(drawn).tiles
    mode, sample = codec.decode(plain, array=True), codec.decode(drawn, array=True)
    assert not np.array_equal(mode, sample)
    assert np.array_equal(codec.decode(drawn, array=True), sample)
    same = bitstream.write(
        bitstream.read(drawn).header, list(bitstream.read(drawn).tiles)
    )  # without the picture's noise
    assert np.array_equal(codec.decode(plain, temperature=1, seed=5, array=True), codec.decode(same, array=True))
    assert np.array_equal(codec.decode(drawn, temperature=0, array=True), mode)
    assert not np.array_equal(codec.decode(drawn, seed=6, array=True), sample)
    assert psnr(mode, photo) > psnr(sample, photo) > 15
    strong = codec.decode(drawn, temperature=2, array=True)
    assert psnr(strong, mode) < psnr(sample, mode)


# --- wrong arguments -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"quality": -1},
        {"quality": 100.5},
        {"quality": math.nan},
        {"quality": math.inf},
        {"temperature": -0.1},
        {"temperature": 2.1},
        {"temperature": math.nan},
        {"seed": -1},
        {"seed": 65536},
        {"bpp": 1, "size": 100},
        {"psnr": 30, "bpp": 1},
        {"extras": {"DATA": b""}},
    ],
)
def test_wrong_arguments(photo: Pixels, arguments: dict) -> None:
    with pytest.raises(ValueError):
        codec.encode(photo, **arguments)


@pytest.mark.parametrize("arguments", [{"bpp": math.nan}, {"bpp": -1.0}, {"psnr": math.nan}, {"size": -5}, {"size": 0}])
def test_targets_that_are_no_targets(photo: Pixels, arguments: dict) -> None:
    with pytest.raises((ValueError, TargetError)):
        codec.encode(photo, **arguments)


@pytest.mark.parametrize(
    "arguments", [{"temperature": -1}, {"temperature": 3}, {"temperature": math.nan}, {"seed": -1}]
)
def test_wrong_arguments_of_decode(small: bytes, arguments: dict) -> None:
    with pytest.raises(ValueError):
        codec.decode(small, **{"temperature": 1, **arguments})


@pytest.mark.parametrize(
    "image",
    [
        np.zeros(4, np.uint8),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((4, 4, 3), np.int16),
        np.zeros((4, 4, 0), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        Image.new("I", (4, 4)),
        Image.new("CMYK", (4, 4)),
        Image.new("F", (4, 4)),
    ],
    ids=str,
)
def test_pictures_that_are_refused(image: object) -> None:
    with pytest.raises(InputError):
        codec.encode(image)  # type: ignore[arg-type]


def test_pictures_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="not NoneType"):
        codec.encode(None)  # type: ignore[arg-type]
    for name in ("missing.png", "text.png"):
        (tmp_path / "text.png").write_text("no picture")
        with pytest.raises(InputError, match=re.escape(repr(str(tmp_path / name)))):
            codec.encode(tmp_path / name)


@pytest.mark.parametrize(("device", "error"), [("gpu", ValueError), ("cuda:0", IrcError)])
def test_devices_that_are_none(
    photo: Pixels, device: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(error, match="device"):
        codec.encode(photo, device=device)


# --- damage --------------------------------------------------------------------------------------


def test_bit_flips_in_every_chunk(small: bytes) -> None:
    chunks = bitstream.read(small).chunks
    assert [c.type for c in chunks] == ["HEAD", "eXIF", "icCP", "xmPP", "DATA"]
    random = np.random.default_rng(0)
    places = list(range(9))
    for chunk in chunks:  # type, length, payload, CRC
        places += [
            chunk.offset,
            chunk.offset + 3,
            chunk.offset + 4,
            chunk.offset + 7,
            chunk.offset + 8,
            chunk.offset + 7 + chunk.size,
            chunk.offset + 8 + chunk.size,
            chunk.offset + 11 + chunk.size,
        ]
        places += random.integers(chunk.offset, chunk.offset + 12 + chunk.size, 5).tolist()
    for place in places:
        broken = bytearray(small)
        broken[place] ^= 1 << int(random.integers(8))
        for read in (codec.decode, codec.verify):
            with pytest.raises((DamagedError, InputError)):
                read(bytes(broken))


def test_truncation(small: bytes) -> None:
    for length in range(0, len(small), 7):
        with pytest.raises((DamagedError, InputError)):
            codec.decode(small[:length])


def test_damage_that_the_crc_does_not_show(photo: Pixels) -> None:
    """Coded data that was changed with its CRC made right again: only the checksum is left."""
    data = codec.encode(photo[:48, :64], 60)
    file = bitstream.read(data)
    random = np.random.default_rng(0)
    for _ in range(12):
        tile = bytearray(file.tiles[0])
        tile[random.integers(len(tile) - 8)] ^= 1 << random.integers(8)
        with pytest.raises(DamagedError):
            codec.decode(bitstream.write(file.header, [bytes(tile)]))
    for tile in (b"", b"abc", b"abcd", bytes(400), b"\xff" * 400, file.tiles[0][:100]):
        with pytest.raises(DamagedError):
            codec.decode(bitstream.write(file.header, [tile]))


def test_wrong_checksum(small: bytes) -> None:
    wrong = with_header(small, checksum=bitstream.read(small).header.checksum ^ 1)
    for read in (codec.verify, codec.decode):
        with pytest.raises(DamagedError, match="checksum"):
            read(wrong)
    assert codec.info(wrong)["checksum"] != codec.info(small)["checksum"]


@pytest.mark.parametrize("values", [{"quality_code": 12345}, {"width": 540}, {"height": 12}])
def test_a_wrong_header_is_found_out(small: bytes, values: dict[str, int]) -> None:
    with pytest.raises(DamagedError):
        codec.decode(with_header(small, **values))


def test_unknown_weights(small: bytes) -> None:
    for read in (codec.verify, codec.decode):
        with pytest.raises(WeightsError, match="0badf00d"):
            read(with_header(small, weights=bytes.fromhex("0badf00d")))


def test_not_a_file() -> None:
    for data in (b"", b"\x89PNG\r\n\x1a\n" + bytes(40), bytes(100)):
        with pytest.raises(InputError):
            codec.decode(data)


def test_limit_of_pixels(small: bytes) -> None:
    with pytest.raises(InputError, match="37"):
        codec.decode(small, max_pixels=37 * 53 - 1)
    assert codec.decode(small, max_pixels=37 * 53).size == (53, 37)
    huge = with_header(small, width=2**31 - 1, height=2**31 - 1)
    for read in (codec.verify, codec.decode):
        with pytest.raises(InputError, match="2147483647"):
            read(huge)


@pytest.mark.parametrize("quality", [10, 75])
def test_a_stable_file_is_its_own_next_generation(photo: Pixels, quality: float) -> None:
    first = codec.encode(photo, quality, stable=True)
    decoded = codec.decode(first, array=True)
    assert codec.encode(decoded, quality) == codec.encode(decoded, quality, stable=True) == first
