"""Invertible rescaling: the network, its windows, marks, weights, the two commands and Python's two functions."""

import dataclasses
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from roundtrip import noise_photo

import codec
from codec.errors import InputError, WeightsError
from codec.network import registry
from codec.rescale import picture, search, weights
from codec.rescale.mark import Mark, without
from codec.rescale.network import Haar, Rescaler, Shape
from codec.rescale.objective import bicubic
from codec.rescale.photos import down, up
from codec.tool.cli import main
from codec.training import checkpoint, export, rescaling

SHAPES = (Shape(2, (8,), (2,), 1), Shape(4, (8, 6), (1, 2), 1))


def network(shape: Shape) -> Rescaler:
    """With couplings that do something."""
    torch.manual_seed(0)
    found = Rescaler(shape)
    with torch.no_grad():
        for name, parameter in found.named_parameters():
            if ".last." in name:
                parameter.normal_(std=0.05)
        found.deviation.fill_(0.01)
    return found.requires_grad_(False)


@pytest.fixture
def photo() -> np.ndarray:
    """Smooth, with some noise, and of odd sides."""
    with Image.open(Path(__file__).parent.parent / "examples" / "photo.jpg") as image:
        return np.array(image.convert("RGB"))[:151, :203]


@pytest.mark.parametrize("shape", SHAPES)
def test_keeping_z_it_is_exact(shape: Shape) -> None:
    x = torch.rand(2, 3, 48, 64)
    f = network(shape)
    small, details = f(x)
    assert small.shape == (2, 3, 48 // shape.scale, 64 // shape.scale)
    assert (f.inverse(small, details) - x).abs().max() < 1e-4
    assert (f.inverse(small) - x).abs().max() > 1e-3  # without z it is not
    assert (small - bicubic(x, shape.scale)).abs().max() > 1e-3


def test_haar() -> None:
    x = torch.rand(1, 3, 4, 6)
    y = Haar()(x)
    assert torch.allclose(y[:, 9:], torch.nn.functional.avg_pool2d(x, 2)) and torch.allclose(Haar().inverse(y), x)


@pytest.mark.parametrize("shape", SHAPES)
def test_windows_leave_no_seam(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    f, pixels = network(shape), noise_photo(200, 232)
    whole = picture.reduced(f, pixels)
    back = picture.enlarged(f, whole, (200, 232), 1)
    monkeypatch.setattr(picture, "SIDE", 64)
    assert np.abs(picture.reduced(f, pixels).astype(int) - whole).max() <= 1
    assert np.abs(picture.enlarged(f, whole, (200, 232), 1).astype(int) - back).max() <= 1


def test_the_reach_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies farther away changes nothing, and something nearer does."""
    f = network(SHAPES[0])
    x = torch.rand(1, 3, 160, 160)
    other = x.clone()
    other[..., f.reach + 2 :] = 0
    assert torch.equal(f(x)[0][..., 0], f(other)[0][..., 0])
    other[..., 2:] = 0
    assert not torch.equal(f(x)[0][..., 0], f(other)[0][..., 0])


# --- with the shipped weights ------------------------------------------------------------


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(65025 / np.square(a.astype(float) - b).mean()))


def scales() -> list[int]:
    return [int(kind.partition("-")[2]) for kind in registry._index()[0] if kind.startswith("rescale-")]


@pytest.mark.parametrize("scale", scales())
def test_better_than_interpolation(scale: int, photo: np.ndarray) -> None:
    small, mark = down(photo, scale)
    assert (small.shape[1], small.shape[0]) == mark.small
    image = Image.fromarray(photo)
    plain = np.asarray(image.resize(mark.small, Image.Resampling.BICUBIC))
    assert psnr(small, plain) > 30  # an ordinary picture to look at
    large = up(small, mark)
    lanczos = np.asarray(Image.fromarray(plain).resize(image.size, Image.Resampling.LANCZOS))
    assert not large.notes and large.pixels.shape == photo.shape
    assert psnr(large.pixels, photo) > psnr(lanczos, photo) + 3


@pytest.mark.parametrize("scale", [2, 4])
def test_effort_makes_it_better(scale: int, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    part = photo[-72:, -84:]
    monkeypatch.setattr(search, "SIDE", 48)  # several blocks
    psnrs = []
    for effort in (0, 1):
        small, mark = down(part, scale, effort=effort)
        plain = np.asarray(Image.fromarray(part).resize(mark.small, Image.Resampling.BICUBIC))
        assert psnr(small, plain) > 30
        psnrs.append(psnr(up(small, mark).pixels, part))
    assert psnrs[1] > psnrs[0] + 0.05
    with pytest.raises(ValueError, match="effort must be in 0..9"):
        down(part, effort=10)


def test_drawn(photo: np.ndarray) -> None:
    small, mark = down(photo)
    plain = up(small, mark).pixels
    one, again, two = (up(small, mark, temperature=1, seed=seed).pixels for seed in (1, 1, 2))
    assert np.array_equal(one, again) and not np.array_equal(one, two) and not np.array_equal(one, plain)
    assert psnr(one, plain) > 25


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 40, 3), (3, 3, 3), (17, 16), (17, 16, 2), (20, 31, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_any_kind_and_size(shape: tuple[int, ...], dtype: type) -> None:
    depth = 8 * np.dtype(dtype).itemsize
    pixels = np.random.default_rng(0).integers(0, 1 << depth, shape).astype(dtype)
    small, mark = down(pixels)
    assert small.dtype == np.uint8 and small.shape[2] == 3 + (pixels.ndim == 3 and shape[2] % 2 == 0)
    large = up(small, mark, depth=depth)
    assert large.pixels.shape == shape and large.pixels.dtype == dtype and not large.notes


def test_what_was_changed_is_a_guess(photo: np.ndarray) -> None:
    small, mark = down(photo)
    changed = small.copy()
    changed[0, 0] ^= 1
    assert "pixels were changed" in up(changed, mark).notes[0]
    cropped = up(small[1:], mark)
    assert "cropped" in cropped.notes[0] and cropped.pixels.shape[0] == 2 * (small.shape[0] - 1)
    assert "no mark" in up(small).notes[0] and "no mark" in up(small[..., 0]).notes[0]
    with pytest.raises(InputError, match="made small by 2, not by 4"):
        up(small, mark, scale=4)
    with pytest.raises(WeightsError, match="00000000"):
        up(small, dataclasses.replace(mark, weights="00000000"))
    with pytest.raises(ValueError, match="scale must be 2 or 4"):
        down(photo, 3)


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float16, np.float32, np.longdouble])
def test_numbers_of_numpy_are_numbers(photo: np.ndarray, kind: type) -> None:
    photo = photo[:32, :32]
    small, mark = down(photo, kind(2))
    assert mark == down(photo, 2)[1] == Mark.find(mark.in_xmp(None))
    large = up(small, mark, scale=kind(2), temperature=kind(1), seed=kind(7), depth=kind(16))
    assert np.array_equal(large.pixels, up(small, mark, scale=2, temperature=1, seed=7, depth=16).pixels)


@pytest.mark.parametrize("given", [{"seed": np.array(2)}, {"seed": True}, {"seed": 1.5}, {"temperature": "1"}])
def test_what_is_no_number_is_said(photo: np.ndarray, given: dict) -> None:
    with pytest.raises(TypeError, match="must be a (whole )?number, not "):
        up(photo[:16, :16], **given)


# --- marks -----------------------------------------------------------------------------------

MARK = Mark(2, 7, 5, 8, False, "0123abcd", 9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version 2"),
        ({"scale": 3}, "values"),
        ({"width": 0}, "values"),
        ({"height": 2**40}, "values"),
        ({"weights": "x"}, "weights"),
        ({"depth": "8"}, "values"),
        ({"more": 1}, "damaged"),
    ],
)
def test_a_wrong_mark(change: dict, message: str) -> None:
    text = json.dumps(json.loads(str(MARK)) | change)
    with pytest.raises(InputError, match=message):
        Mark.parse(text)


@pytest.mark.parametrize("packet", [None, b"", b"no xml", MARK.in_xmp(None)])
def test_a_mark_in_xmp(packet: bytes | None) -> None:
    marked = MARK.in_xmp(packet)
    assert Mark.find(marked) == MARK and Mark.find(without(marked)) is None and marked.count(b"irc:rescale") == 1


def test_a_photos_own_xmp_stays() -> None:
    own = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:title="x"/></rdf:RDF></x:xmpmeta>'
    )
    assert without(MARK.in_xmp(own)) == own and Mark.find(own) is None


# --- Python and the command line -------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_saved_it_keeps_its_mark(photo: np.ndarray, tmp_path: Path, suffix: str) -> None:
    small = codec.downscale(Image.fromarray(photo))
    small.save(tmp_path / f"small.{suffix}")
    with Image.open(tmp_path / f"small.{suffix}") as image:
        large = codec.upscale(image)
    assert isinstance(large, Image.Image) and large.size == (203, 151)
    stream = io.BytesIO()
    small.save(stream, "PNG")
    assert np.array_equal(np.asarray(large), np.asarray(codec.upscale(Image.open(stream))))
    with pytest.warns(UserWarning, match="no mark"):
        codec.upscale(Image.fromarray(photo[:20, :20]))


@pytest.fixture
def workplace(tmp_path: Path, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo).save("photo.png")
    yield tmp_path


def test_there_and_back(workplace: Path, photo: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["downscale", "photo.png", "small.webp", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["width"], facts["height"], facts["scale"]) == (102, 76, 2)
    assert main(["upscale", "small.webp", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["marked"] is True
    with Image.open("small-large.png") as large:
        assert psnr(np.asarray(large), photo) > 32 and Mark.find(large.info.get("xmp")) is None
    assert main(["upscale", "small.webp", "deep.png", "--depth", "16", "--strip"]) == 0


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("downscale photo.png -s 3", 2, "not one of 2, 4"),
        ("downscale photo.png small.jpg", 3, "kept without loss"),
        ("downscale photo.png photo.png -f", 1, "input itself"),
        ("downscale none.png", 3, "no such file"),
        ("upscale photo.png large.jpg --depth 16", 3, "16 bits"),
        ("upscale photo.png large.png", 0, "a guess"),
        ("upscale bad.png", 3, "mark of irc downscale"),
        ("upscale unknown.png", 5, "0123abcd"),
    ],
)
def test_bad_input(workplace: Path, line: str, status: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name, packet in (("bad", b'<rdf:RDF irc:rescale="{}"></rdf:RDF>'), ("unknown", MARK.in_xmp(None))):
        small = codec.downscale(Image.new("RGB", (7, 5)))
        small.info["xmp"] = packet
        small.save(f"{name}.png")
    before = sorted(p.name for p in workplace.iterdir())
    assert main(line.split()) == status
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1 and "Traceback" not in told
    if status:
        assert sorted(p.name for p in workplace.iterdir()) == before


# --- weights and training --------------------------------------------------------------------


def test_weights_there_and_back(tmp_path: Path) -> None:
    f = network(SHAPES[1])
    path = export.write(weights.pack(f, {"licence": "none", "credits": "nobody"}), tmp_path)
    found = weights.read(path)
    assert path.name == f"irc-{found.id}.safetensors" and found.network.shape == SHAPES[1]
    x = torch.rand(1, 3, 16, 16)
    assert torch.allclose(found.network(x)[0], f(x)[0], atol=1e-3)
    with pytest.raises(WeightsError, match="not usable"):
        weights.read(registry.locate(registry.default()))


@pytest.mark.parametrize(
    "given", [{"scale": 3}, {"width": [0]}, {"width": [1 << 20]}, {"pairs": [1, 2]}, {"depth": -1}]
)
def test_a_shape_that_cannot_be(given: dict) -> None:
    with pytest.raises(ValueError, match="rescaling network"):
        Shape.of({"scale": 2, "width": [8], "pairs": [1], "depth": 1} | given)


def test_training(tmp_path: Path) -> None:
    """A short run learns something; a wider network begins with it and computes the same; its weights can be used."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(noise_photo(96, 120)).save(folder / "a.png")
    given = [str(folder), "--valid", str(folder), "--set", "size=64", "crops=2", "report_steps=2", "precision=float32"]
    small = [*given, "max_steps=20", "width=[6]", "pairs=[1]", "learning_rate=0.01", "warmup=2"]
    assert rescaling.main([*small, "--out", str(tmp_path / "run")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    held_out = [row["valid"] for row in rows if "valid" in row]
    assert held_out[-1]["luma"] > held_out[0]["luma"]
    state = checkpoint.read(tmp_path / "run" / "checkpoint.pt")
    assert (state["average"]["deviation"] > 0).all()
    wider, narrow = network(Shape(2, (9,), (1,), 1)), Rescaler(Shape(2, (6,), (1,), 1))
    narrow.load_state_dict(state["average"])
    wider.load_state_dict(rescaling.grown(state["average"], wider))
    x = torch.rand(1, 3, 16, 16)
    assert torch.allclose(wider(x)[0], narrow(x)[0], atol=1e-5)
    out = tmp_path / "weights"
    arguments = [str(tmp_path / "run" / "checkpoint.pt"), str(out), "--licence", "none", "--credits", "nobody"]
    assert export.main(arguments) == 0
    assert weights.read(next(out.iterdir())).network.shape.width == (6,)


def test_one_checkpoint_to_begin_with(tmp_path: Path) -> None:
    Image.fromarray(noise_photo(64, 64)).save(tmp_path / "a.png")
    given = [str(tmp_path), "--set", "size=32", "width=[6]", "--start", "a.pt", "b.pt", "--out", str(tmp_path / "run")]
    with pytest.raises(SystemExit, match="one checkpoint at most"):
        rescaling.main(given)


def test_a_shape_with_an_unknown_key() -> None:
    with pytest.raises(TypeError, match="more"):
        Shape.of({"scale": 2, "width": [8], "pairs": [1], "depth": 1, "more": 1})
