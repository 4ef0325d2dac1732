"""Tiles, windows, regions, previews: whatever is decoded, it is the same picture."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from roundtrip import noise_photo

import codec
from codec.coding import ahead, windows
from codec.coding.ahead import Ahead, Workers
from codec.coding.picture import assembled
from codec.coding.tiles import Reader
from codec.coding.windows import View
from codec.container import bitstream, grid
from codec.container.grid import UNITS, Layout
from codec.errors import DamagedError, InputError

Pixels = np.ndarray
SIZE = 203, 330  #: no multiple of anything


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks in a small picture."""
    monkeypatch.setattr(grid, "BLOCK", 128)


@pytest.fixture(scope="module")
def picture() -> Pixels:
    return noise_photo(*SIZE, 8)


@pytest.fixture(scope="module")
def tiled(picture: Pixels) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid, "BLOCK", 128)
        return codec.encode(picture, 70, tile=96, temperature=1, seed=3)


@pytest.fixture(scope="module")
def decoded(tiled: bytes) -> Pixels:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid, "BLOCK", 128)
        return codec.decode(tiled, array=True)


def test_round_trip(picture: Pixels, tiled: bytes) -> None:
    file = bitstream.read(tiled)
    assert file.header.grid == (3, 4) and len(file.tiles) == 12
    out = codec.decode(tiled, array=True, temperature=0)
    assert out.shape == picture.shape
    assert ((out.astype(float) - picture) ** 2).mean() < 1.2 * (
        (codec.decode(codec.encode(picture, 70), array=True).astype(float) - picture) ** 2
    ).mean()
    codec.verify(tiled)
    assert [a.shape for a in Reader.of(tiled).latent().k] == [(12, 14, 22), (9, 28, 44), (9, 56, 88), (9, 112, 176)]


def test_no_seam(tiled: bytes) -> None:
    """The same latent decoded window by window and all at once."""
    reader = Reader.of(tiled)
    latent = reader.latent()
    with torch.no_grad():
        whole = reader.session.render([a.astype(np.float32) for a in latent.k], 70 * 256)
    expected = whole[0, :, : SIZE[0], : SIZE[1]].clamp(0, 255).round().permute(1, 2, 0).numpy()
    out = codec.decode(tiled, array=True, temperature=0)
    assert np.abs(out - expected).max() <= 1
    assert (out != expected).mean() < 1e-3


@pytest.mark.parametrize("side", [0, 64, 160, 1024])
def test_pixels_do_not_depend_on_tiles(tiled: bytes, decoded: Pixels, side: int) -> None:
    """The same coefficients in other tiles give the same bytes of pixels, z included."""
    reader, layout = Reader.of(tiled), Layout(*SIZE, side)
    latent = reader.latent()

    def load(i: int) -> windows.Latent:
        k = [np.ascontiguousarray(a[:, *layout.tiles[i].within(layout.padded, u)]) for a, u in zip(latent.k, UNITS)]
        return windows.Latent(latent.side, k)

    view = View(70 * 256, 1.0, 3, grain=reader.grain())
    pieces = windows.pictures(reader.session, layout, load, view, Workers(1))
    assert np.array_equal(assembled(SIZE, pieces, 1), decoded)


@pytest.mark.parametrize(
    "region", [(0, 0, 1, 1), (17, 91, 101, 77), (95, 95, 2, 2), (329, 202, 1, 1), (0, 0, 330, 203)]
)
def test_region_is_the_crop(tiled: bytes, decoded: Pixels, region: tuple[int, int, int, int]) -> None:
    x, y, w, h = region
    assert np.array_equal(codec.decode(tiled, region=region, array=True), decoded[y : y + h, x : x + w])


def test_region_decodes_only_what_it_needs(tiled: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    before = Reader.tile
    monkeypatch.setattr(Reader, "tile", lambda self, i, levels=4: (seen.append(i), before(self, i, levels))[1])
    codec.decode(tiled, region=(0, 0, 60, 60))
    assert sorted(seen) == [0, 1, 4, 5]


@pytest.mark.parametrize("region", [(0, 0, 0, 1), (-1, 0, 2, 2), (300, 0, 31, 1), (0, 203, 1, 1), (0, 0, 331, 203)])
def test_regions_outside(tiled: bytes, region: tuple[int, int, int, int]) -> None:
    with pytest.raises(InputError, match="not inside the picture of 330 x 203"):
        codec.decode(tiled, region=region)


def test_one_tile_and_many_threads(
    picture: Pixels, tiled: bytes, decoded: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    for workers in (2, 3):
        monkeypatch.setattr(ahead, "default_workers", lambda w=workers: w)
        assert codec.encode(picture, 70, tile=96, temperature=1, seed=3) == tiled
        assert np.array_equal(codec.decode(tiled, array=True), decoded)
        codec.verify(tiled)


def test_threads_are_shared_out() -> None:
    """Those that make the items, and the one that takes them, together have no more than there are, or little more."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        steps = [[i] for i in range(5)]
        with Workers(2) as workers:
            walk = Ahead(lambda _: torch.get_num_threads(), steps, workers)
            seen = [(made[i], torch.get_num_threads()) for i, made in enumerate(walk)]
        assert seen == [(2, 2)] * 5 and torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_sizes_at_random() -> None:
    random = np.random.default_rng(5)
    for _ in range(4):
        h, w = random.integers(1, 200, 2).tolist()
        side = int(random.choice([32, 64, 96]))
        pixels = noise_photo(max(h, 2), max(w, 2), h)[:h, :w]
        data = codec.encode(pixels, 60, tile=side)
        whole = codec.decode(data, array=True)
        assert whole.shape == pixels.shape
        x, y = int(random.integers(w)), int(random.integers(h))
        part = codec.decode(data, array=True, region=(x, y, w - x, h - y))
        assert np.array_equal(part, whole[y:, x:])


def test_size_target(picture: Pixels) -> None:
    assert 1350 < len(codec.encode(picture[:64, :90], size=1500, tile=64)) <= 1500


def test_stable(photo: Pixels) -> None:
    data = codec.encode(photo, 40, tile=64, stable=True)
    assert codec.encode(codec.decode(data), 40, tile=64) == data


def test_psnr_target(picture: Pixels) -> None:
    small = picture[:64, :90]
    data = codec.encode(small, psnr=33, tile=64)
    error = ((codec.decode(data, array=True).astype(float) - small) ** 2).mean()
    assert 33 <= 10 * np.log10(65025 / error) < 33.5


@pytest.mark.parametrize("tile", [-32, 1, 100, 65536])
def test_wrong_tiles(picture: Pixels, tile: int) -> None:
    with pytest.raises(ValueError, match="tile must be"):
        codec.encode(picture, tile=tile)


def test_automatic() -> None:
    assert [Layout.automatic(2048, width).tile_size for width in (2048, 2049)] == [0, 1024]


def test_progress(picture: Pixels, tiled: bytes) -> None:
    calls: list[tuple[int, int]] = []
    codec.encode(picture, 50, tile=96, progress=lambda n, total: calls.append((n, total)))
    assert calls == [(n, 12) for n in range(1, 13)]
    for read in (codec.decode, codec.verify):
        calls.clear()
        read(tiled, progress=lambda n, total: calls.append((n, total)))
        assert [c[0] for c in calls] == list(range(1, calls[0][1] + 1))


def work(picture: Pixels, **options: object) -> tuple[bytes, list[int], int]:
    """What encoding gives, and what it says of its progress, which must end where it said it would."""
    calls: list[tuple[int, int]] = []
    data = codec.encode(picture, progress=lambda *call: calls.append(call), **options)  # type: ignore[arg-type]
    done, totals = [c[0] for c in calls], {c[1] for c in calls}
    assert done == sorted(set(done)) and done[-1] == max(totals)
    return data, done, len(totals)


def test_progress_within_the_only_tile(picture: Pixels) -> None:
    """Level by level and step by step, since the whole of 4 megapixels takes seconds."""
    photo = np.ascontiguousarray(picture[:100, :150])
    data, done, totals = work(photo)
    assert done[-1] == 100 and len(done) >= 12 and max(np.diff(done)) <= 20 and totals == 1
    for read in (codec.decode, codec.verify):
        calls: list[tuple[int, int]] = []
        read(data, progress=lambda *call, seen=calls: seen.append(call))  # type: ignore[misc]
        assert calls[-1] == (100, 100) and len(calls) >= 12


@pytest.mark.parametrize("options", [{"size": 1500}, {"psnr": 33}, {"stable": True}])
@pytest.mark.parametrize("tile", [0, 64])
def test_progress_of_several_rounds(picture: Pixels, options: dict[str, float], tile: int) -> None:
    work(np.ascontiguousarray(picture[:64, :90]), tile=tile, **options)


# --- previews ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 4, 8, 16])
def test_preview(photo: Pixels, scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    large = np.asarray(Image.open(Path(__file__).parent.parent / "examples" / "photo.jpg").convert("RGB"))[:384, :512]
    data = codec.encode(large, 80, tile=192)
    small = codec.decode(data, scale=scale, array=True)
    expected = Image.fromarray(large).resize((512 // scale, 384 // scale), Image.Resampling.LANCZOS)
    assert small.shape == (384 // scale, 512 // scale, 3)
    error = ((small.astype(float) - np.asarray(expected)) ** 2).mean()
    assert 10 * np.log10(65025 / error) > 29
    # one block or several: no seam
    monkeypatch.setattr(grid, "BLOCK", 1024)
    assert np.abs(codec.decode(data, scale=scale, array=True).astype(int) - small).max() <= 1


@pytest.mark.parametrize("scale", [2, 8])
def test_preview_of_a_region(tiled: bytes, scale: int) -> None:
    whole = codec.decode(tiled, scale=scale, array=True)
    assert whole.shape == (-(-203 // scale), -(-330 // scale), 3)
    part = codec.decode(tiled, scale=scale, region=(37, 50, 100, 90), array=True)
    assert np.array_equal(part, whole[50 // scale : -(-140 // scale), 37 // scale : -(-137 // scale)])


def test_wrong_scale(tiled: bytes) -> None:
    with pytest.raises(ValueError, match="scale"):
        codec.decode(tiled, scale=3)


# --- damage --------------------------------------------------------------------------------------


def damaged(data: bytes, number: int) -> bytes:
    """A bit of a tile's payload changed."""
    chunk = [c for c in bitstream.read(data).chunks if c.type == "DATA"][number]
    broken = bytearray(data)
    broken[chunk.offset + 8 + chunk.size // 2] ^= 4
    return bytes(broken)


def test_damage_names_the_tile(tiled: bytes) -> None:
    for read in (codec.decode, codec.verify):
        with pytest.raises(DamagedError, match=r"^tile 6 \(row 1, column 2\): chunk DATA at offset \d+: the CRC"):
            read(damaged(tiled, 6))


def test_damage_that_the_crc_does_not_show(tiled: bytes) -> None:
    file = bitstream.read(tiled)
    tiles = list(file.tiles)
    tiles[6] = tiles[6][:-8] + b"\1\2\3\4\5\6\7\x08"
    broken = bitstream.write(file.header, tiles, file.extras, file.checksums)
    with pytest.raises(DamagedError, match=r"^tile 6 \(row 1, column 2\): "):
        codec.decode(broken)
    assert codec.decode(broken, region=(0, 0, 40, 40)).size == (40, 40)  # other tiles are not touched


def test_checksums_and_tile_size_go_together(tiled: bytes) -> None:
    file = bitstream.read(tiled)
    with pytest.raises(DamagedError, match="checksum"):
        codec.decode(bitstream.write(file.header, list(file.tiles), file.extras))
    odd = dataclasses.replace(file.header, tile_size=100)
    with pytest.raises(DamagedError, match="not a multiple of 32"):
        codec.decode(bitstream.write(odd, list(file.tiles), file.extras, file.checksums))


# --- salvage -------------------------------------------------------------------------------------


def salvaged(data: bytes, **options: object) -> tuple[Pixels, list[str]]:
    notes: list[str] = []
    return codec.decode(data, salvage=True, notes=notes, array=True, temperature=0, **options), notes


@pytest.fixture(scope="module")
def mode(tiled: bytes) -> Pixels:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid, "BLOCK", 128)
        return codec.decode(tiled, array=True, temperature=0)


def test_salvage_of_a_whole_file(tiled: bytes, mode: Pixels) -> None:
    out, notes = salvaged(tiled)
    assert np.array_equal(out, mode) and notes == []


def check_salvaged(out: Pixels, mode: Pixels, lost: list[int]) -> None:
    """Beyond the reach of the lost tiles all is as it was, and in them it is neither black nor grey."""
    away = np.ones(SIZE, bool)
    for number in lost:
        top, left = number // 4 * 96, number % 4 * 96
        away[max(0, top - 96) : top + 192, max(0, left - 96) : left + 192] = False
        middle = slice(top + 24, top + 72), slice(left + 24, left + 72)
        inside, before = out[middle].astype(float), mode[middle].astype(float)
        # smooth, and about as bright as what was there
        assert np.abs(np.diff(inside, axis=0)).max() < 40
        assert np.abs(inside.mean((0, 1)) - before.mean((0, 1))).max() < 45
    assert np.array_equal(out[away], mode[away])


def test_salvage(tiled: bytes, mode: Pixels) -> None:
    out, notes = salvaged(damaged(tiled, 4))
    check_salvaged(out, mode, [4])
    assert notes == [
        "1 of 12 tiles are lost and were filled from around them: tile 4 (row 1, column 0), x 0..95, y 96..191"
    ]
    with pytest.warns(UserWarning, match="1 of 12 tiles"):
        codec.decode(damaged(tiled, 4), salvage=True, region=(0, 0, 40, 120))
    assert salvaged(damaged(tiled, 4), region=(230, 0, 90, 203))[1] == []
    assert salvaged(damaged(tiled, 4), scale=8)[1] == notes


def test_salvage_of_a_truncated_file(tiled: bytes, mode: Pixels) -> None:
    chunks = [c for c in bitstream.read(tiled).chunks if c.type == "DATA"]
    out, notes = salvaged(tiled[: chunks[8].offset + 20])
    assert np.array_equal(out[:96], mode[:96])
    assert notes[0].startswith("4 of 12 tiles are lost") and "tile 11 (row 2, column 3), x 288..329" in notes[0]
    with pytest.raises(DamagedError, match="truncated"):
        salvaged(tiled[: chunks[0].offset + 20])


def test_salvage_of_a_damaged_length_or_index(tiled: bytes, mode: Pixels) -> None:
    chunks = bitstream.read(tiled).chunks
    data = [c for c in chunks if c.type == "DATA"]
    broken = bytearray(tiled)
    broken[data[3].offset + 5] ^= 64  # the length of a chunk in the middle
    assert salvaged(bytes(broken))[1][0].startswith("1 of 12 tiles are lost and were filled from around them: tile 3 ")
    broken = bytearray(tiled)
    broken[next(c for c in chunks if c.type == "TILE").offset + 9] ^= 1
    out, notes = salvaged(bytes(broken))
    assert np.array_equal(out, mode) and notes == []
    broken[data[2].offset + 30] ^= 1  # index and a tile: what follows cannot be told apart
    assert salvaged(bytes(broken))[1][0].startswith("10 of 12")


def test_salvage_of_a_tile_that_does_not_decode(tiled: bytes, mode: Pixels) -> None:
    file = bitstream.read(tiled)
    tiles = list(file.tiles)
    tiles[5] = tiles[5][: len(tiles[5]) // 8 * 4]
    out, notes = salvaged(bitstream.write(file.header, tiles, file.extras, file.checksums))
    check_salvaged(out, mode, [5])
    assert notes[0].startswith("1 of 12 tiles")


def test_nothing_to_salvage(picture: Pixels, tiled: bytes) -> None:
    one = bytearray(codec.encode(picture[:60, :60], 50))
    one[-20] ^= 1
    with pytest.raises(DamagedError, match="CRC"):
        salvaged(bytes(one))
    head = bytearray(tiled)
    head[20] ^= 1
    with pytest.raises(DamagedError, match="HEAD"):
        salvaged(bytes(head))
    with pytest.raises(InputError):
        salvaged(b"something else")


def test_salvage_without_a_chunk(picture: Pixels) -> None:
    small = np.dstack([picture[:60, :100], picture[:60, :100, 0]])
    data = bytearray(codec.encode(small, 50, tile=64, extras={"eXIF": b"MM"}))
    chunks = {c.type: c for c in bitstream.read(bytes(data)).chunks}
    assert salvaged(bytes(data))[0].shape == (60, 100, 4)
    data[chunks["alPH"].offset + 30] ^= 1
    out, notes = salvaged(bytes(data))
    assert out.shape == (60, 100, 3) and notes == ["lost and left out: chunk alPH"]


def test_salvage_of_one_tile(picture: Pixels) -> None:
    """What is beside the only tile may be damaged, even in its length."""
    small = np.dstack([picture[:60, :100], picture[:60, :100, 0]])
    data = codec.encode(small, 50, extras={"eXIF": b"MM"})
    whole = codec.decode(data, array=True)
    chunks = {c.type: c for c in bitstream.read(data).chunks}
    for kind, at, channels in (("eXIF", 8, 4), ("eXIF", 6, 3), ("alPH", 30, 3), ("alPH", 6, 3)):
        broken = bytearray(data)
        broken[chunks[kind].offset + at] ^= 1
        with pytest.raises(DamagedError):
            codec.decode(bytes(broken))
        out, notes = salvaged(bytes(broken))
        assert np.array_equal(out, whole[..., :channels]) and kind in notes[0]
    out, notes = salvaged(data + b"\0")
    assert np.array_equal(out, whole) and notes == []


def test_salvage_without_alpha_that_does_not_decode(picture: Pixels) -> None:
    for tile in (0, 64):
        file = bitstream.read(codec.encode(picture[:60, :100], 50, tile=tile))
        data = bitstream.write(file.header, list(file.tiles), {"alPH": b"no"}, file.checksums)
        out, notes = salvaged(data)
        assert out.shape == (60, 100, 3) and notes == ["lost and left out: chunk alPH"]


def test_salvage_is_not_for_anything(tiled: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Crafted files: tiles of a size that there cannot be, none that decodes, a thousand things like an index."""
    file = bitstream.read(tiled)
    for side in (95, 97):
        odd = dataclasses.replace(file.header, tile_size=side)
        if odd.grid == file.header.grid:
            with pytest.raises(DamagedError, match="not a multiple of 32"):
                salvaged(bitstream.write(odd, list(file.tiles), {}, file.checksums))
    with pytest.raises(DamagedError, match="no tile decodes"):
        salvaged(bitstream.write(file.header, [t[:8] for t in file.tiles], {}, file.checksums))
    tries = []
    before = bitstream.payload_at
    monkeypatch.setattr(bitstream, "payload_at", lambda data, at, kind: (tries.append(at), before(data, at, kind))[1])
    with pytest.raises(DamagedError):
        salvaged(tiled[: bitstream.HEAD_END] + b"TILE\0\0\0\x60" * 1000 + bytes(200))
    assert 10 < len(tries) < 200


# --- kinds of pixels -----------------------------------------------------------------------------


def test_kinds_in_tiles(picture: Pixels) -> None:
    deep = picture[:120, :150].astype(np.uint16) * 257 + 3
    for kind in (deep, deep[..., 1], np.dstack([deep, deep[..., 0]])):
        data = codec.encode(kind, 60, tile=64)
        whole = codec.decode(data, array=True, depth=16)
        assert whole.shape == kind.shape and whole.dtype == np.uint16
        assert np.array_equal(codec.decode(data, array=True, depth=16, region=(33, 11, 70, 80)), whole[11:91, 33:103])
        assert codec.decode(data, array=True, scale=4).shape[:2] == (30, 38)
