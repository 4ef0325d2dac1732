"""Photos for training: read, packed, cropped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from roundtrip import noise_photo

from codec.training import photos, train
from codec.training.photos import Crops, lanczos
from codec.training.settings import Settings, TrainingError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    (folder / "deeper").mkdir()
    for i, name in enumerate(("a.png", "b.jpg", "deeper/c.webp", "deeper/d.bmp")):
        Image.fromarray(noise_photo(64, 48 + 16 * i, i)).save(folder / name)
    (folder / "notes.txt").write_text("no photo")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Image.fromarray(noise_photo(20, 20)).save(folder / "too-small.png")
    return folder


# --- reading and packing ---------------------------------------------------------------


def test_reading(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = photos.read([folder])
    assert [i.shape for i in images] == [(64, 48, 3), (64, 64, 3), (64, 80, 3), (64, 96, 3), (20, 20, 3)]
    said = capsys.readouterr().err
    assert "broken.png: left out" in said and "notes" not in said


def test_packed_as_they_are(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = tmp_path / "packed.bin"
    assert photos.main(["pack", str(folder), "--out", str(packed)]) == 0
    assert "5 photos as they are" in capsys.readouterr().out
    for ours, theirs in zip(photos.read([packed]), photos.read([folder]), strict=True):
        assert np.array_equal(ours, theirs)
    assert photos.pack([packed], 40)[0] == packed.read_bytes()  # a packed file is a source as a folder is


def test_packed_to_fit(folder: Path, tmp_path: Path) -> None:
    sides = []
    for kibibytes in (32, 20, 12):
        data, what = photos.pack([folder], kibibytes / 1024)
        assert len(data) <= kibibytes << 10 and "JPEG" in what
        (tmp_path / "packed.bin").write_bytes(data)
        images = photos.read([tmp_path / "packed.bin"])
        assert len(images) == 5
        sides.append(images[0].shape[0])
    assert sides == sorted(sides, reverse=True) and sides[0] == 64 > sides[-1]
    with pytest.raises(SystemExit, match="do not fit"):
        photos.main(["pack", str(folder), "--out", str(tmp_path / "small.bin"), "--mebibytes", "0.001"])
    assert not (tmp_path / "small.bin").exists()


def test_what_holds_no_photos(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match="no photo to pack"):
        photos.pack([tmp_path / "empty"], 1)
    for source, reason in (
        (tmp_path / "empty", "no photo"),
        (tmp_path / "missing", "neither"),
        (folder / "a.png", "neither"),
    ):
        with pytest.raises(SystemExit, match=reason):
            train.main([str(source), "--out", str(tmp_path / "run")])


# --- crops -----------------------------------------------------------------------------


def test_a_batch(folder: Path) -> None:
    settings = Settings(size=32, rescale=0.7)
    images = photos.read([folder])
    crops = Crops(images, settings, CPU, 0)
    assert len(crops.end) == 4  # one is too small
    x, q = crops.batch(200)
    assert x.shape == (200, 3, 32, 32) and x.min() >= 0 and x.max() <= 255 and x.std() > 20
    assert x.dtype == q.dtype == torch.float32 and torch.equal(x, x.round())
    assert q.min() >= 0 and q.max() <= 1
    assert len({crop.numpy().tobytes() for crop in x}) > 150
    assert 0.6 < ((q > 0.1) & (q < 0.7)).float().mean() < 0.95
    other, same = Crops(images, settings, CPU, 1), Crops(images, settings, CPU, 0)
    assert torch.equal(same.batch(200)[0], x) and not torch.equal(other.batch(200)[0], x)


def test_crops_are_pieces_of_the_photos() -> None:
    """Each is found in its photo, in all four attitudes, and at every place that it can have."""
    images = [noise_photo(40, 36, 1), noise_photo(33, 47, 2)]
    x, _ = Crops(images, Settings(size=32, rescale=0.0), CPU, 0).batch(400)
    pieces = {}
    for n, image in enumerate(images):
        for top in range(image.shape[0] - 31):
            for left in range(image.shape[1] - 31):
                piece = image[top : top + 32, left : left + 32]
                for a, turned in enumerate(
                    (piece, piece[:, ::-1], piece.swapaxes(0, 1), piece[:, ::-1].swapaxes(0, 1))
                ):
                    pieces[turned.tobytes()] = n, top, left, a
    found = [pieces[crop.permute(1, 2, 0).numpy().astype(np.uint8).tobytes()] for crop in x]
    for n, image in enumerate(images):
        for axis in (0, 1):
            assert {f[1 + axis] for f in found if f[0] == n} == set(range(image.shape[axis] - 31))
    assert {f[3] for f in found} == {0, 1, 2, 3}


def test_large_photos_come_more_often() -> None:
    images = [np.full((96, 96, 3), 200, np.uint8), np.full((96, 32, 3), 100, np.uint8)]
    x, _ = Crops(images, Settings(size=32), CPU, 0).batch(1000)
    assert set(x.unique().tolist()) == {100, 200}
    assert 0.70 < (x[:, 0, 0, 0] == 200).float().mean() < 0.80


@pytest.mark.parametrize("take", [32, 33, 47, 64])
def test_reduced_as_pillow_does(take: int) -> None:
    image = noise_photo(take, take, 3) // 2 + 64  # Pillow clips between its two passes: not so here
    theirs = np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.LANCZOS)).astype(float)
    padded = np.pad(image, ((0, 64 - take), (0, 64 - take), (0, 0)), constant_values=255)  # is not looked at
    matrix = lanczos(torch.tensor([take, 40]), 32, 64)
    assert matrix.shape == (2, 32, 64)
    ours = torch.einsum("ir,rqc,jq->ijc", matrix[0], torch.from_numpy(padded).float(), matrix[0]).round().clamp(0, 255)
    assert np.abs(ours.numpy() - theirs).max() <= 1
    if take == 32:
        assert torch.equal(ours, torch.from_numpy(image).float())
