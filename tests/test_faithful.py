"""What Python callers have: PIL images, paths, files, numpy's numbers; all treated as the command treats them."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

import codec
from codec.batch.callables import Encoder
from codec.container import bitstream
from codec.errors import DamagedError, InputError
from codec.pictures import foreign

ROOT = Path(__file__).parent.parent
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def turned_exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "words"
    return exif.tobytes()


@pytest.fixture(scope="module")
def small(photo: np.ndarray) -> Image.Image:
    return Image.fromarray(photo[:48, :64])


FILES: dict[str, Callable[[Image.Image], bytes]] = {
    "turned.jpg": lambda image: saved(image, "JPEG", exif=turned_exif(), icc_profile=SRGB, xmp=XMP),
    "turned.webp": lambda image: saved(image, "WEBP", exif=turned_exif(), icc_profile=SRGB, xmp=XMP),
    "palette.png": lambda image: saved(image.convert("P"), "PNG"),
    "clear.png": lambda image: saved(image.convert("P"), "PNG", transparency=3),
    "bits.png": lambda image: saved(image.convert("1"), "PNG"),
    "plain.png": lambda image: saved(image, "PNG"),
}


@pytest.mark.parametrize("name", FILES)
def test_every_way_in_is_the_commands(name: str, small: Image.Image, tmp_path: Path) -> None:
    """A path, a file, an image that is open and one that is loaded give the bytes that `irc encode` writes."""
    data = FILES[name](small)
    path, asked = tmp_path / name, {"quality": 40.0, "device": "cpu"}
    path.write_bytes(data)
    made = Encoder(**asked).run(io.BytesIO(data))  # type: ignore[arg-type]
    expected = bytes(made.data)
    loaded = Image.open(path)
    loaded.load()
    with path.open("rb") as file:
        for image in (path, str(path), file, io.BytesIO(data), Image.open(path), loaded):
            notes: list[str] = []
            assert codec.encode(image, notes=notes, **asked) == expected
            assert set(notes) <= set(made.notes)
    if name.startswith("turned"):
        back = codec.decode(expected)
        assert back.size == small.size[::-1] and back.getexif().get(0x0112, 1) == 1
        assert back.getexif()[0x010E] == "words"
        assert back.info["icc_profile"] == SRGB and back.info["xmp"] == XMP


def test_what_is_converted_is_said(small: Image.Image) -> None:
    notes: list[str] = []
    codec.encode(small.convert("P"), 20, notes=notes)
    assert notes == ["palette image stored as RGB"]
    with pytest.warns(UserWarning, match="palette image") as caught:
        codec.encode(small.convert("P"), 20)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        codec.encode(small, 20)
    with pytest.raises(InputError, match="profile"):
        codec.encode(small.convert("CMYK"), 20)


def test_an_image_that_cannot_be_loaded(small: Image.Image) -> None:
    data = saved(small, "JPEG")
    with pytest.raises(InputError, match="cannot be read: .*truncated"):
        codec.encode(Image.open(io.BytesIO(data[: len(data) // 2])))


def test_a_jpeg_without_its_end_marker(small: Image.Image) -> None:
    data = saved(small, "JPEG")[:-2]
    files, said = [], []
    for given in (io.BytesIO(data), Image.open(io.BytesIO(data))):
        notes: list[str] = []
        files.append(codec.encode(given, 20, notes=notes))
        said.append(notes)
    assert files[0] == files[1] and said[0] == said[1] and "end marker" in said[0][0]


def test_the_limit_on_files(small: Image.Image, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(saved(small, "PNG"))
    for given in (tmp_path / "a.png", io.BytesIO(saved(small, "PNG"))):
        with pytest.raises(InputError, match="limit of 3071 pixels"):
            codec.encode(given, max_pixels=3071)
    assert codec.encode(tmp_path / "a.png", max_pixels=None) == codec.encode(small, max_pixels=1)


def test_info_of_a_decoded_image(small: Image.Image) -> None:
    data = codec.encode(small, 30, temperature=0.5, seed=7)
    assert {k: codec.decode(data).info[k] for k in ("quality", "temperature", "seed")} == {
        "quality": 30.0,
        "temperature": 0.5,
        "seed": 7,
    }
    info = codec.decode(data, temperature=np.float32(1), seed=np.int64(9)).info
    assert (info["temperature"], info["seed"]) == (1.0, 9) and "exif" not in info


def test_files_and_paths_of_irc(small: Image.Image, tmp_path: Path) -> None:
    data = codec.encode(small, 30)
    path = tmp_path / "a.irc"
    path.write_bytes(data)
    pixels = codec.decode(data, array=True)
    as_array = np.frombuffer(data, np.uint8)
    for given in (path, str(path), io.BytesIO(data), bytearray(data), memoryview(data), as_array):
        assert np.array_equal(codec.decode(given, array=True), pixels)
        assert codec.info(given if not hasattr(given, "seek") else io.BytesIO(data))["width"] == 64
    codec.verify(path)


@pytest.mark.parametrize("function", [codec.encode, codec.decode, codec.info, codec.verify])
def test_what_is_neither_is_refused_in_words(function: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        function(tmp_path / "missing")
    with pytest.raises(InputError, match="is a directory"):
        function(str(tmp_path))
    with (ROOT / "setup.cfg").open() as text, pytest.raises(TypeError, match="rb"):
        function(text)
    for nothing in (None, 5, object()):
        with pytest.raises((InputError, TypeError), match="expected"):
            function(nothing)
    with pytest.raises((InputError, TypeError), match="not an .irc file|io.BytesIO"):
        function(b"abc")


def test_what_there_is() -> None:
    program = (
        "import sys, codec; print(codec.__version__, sorted(set(codec.__all__) - set(dir(codec))), 'torch' in sys.modules);"
        "[getattr(codec, name) for name in codec.__all__]"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], check=True, cwd=ROOT, timeout=100, capture_output=True, text=True
    ).stdout
    assert out.split()[0][0].isdigit() and out.split()[1:] == ["[]", "False"]
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = codec.nothing_of_the_kind


def test_no_limit_on_pixels(small: Image.Image) -> None:
    data = codec.encode(small, 20)
    assert codec.decode(data, max_pixels=None).size == small.size
    with pytest.raises(InputError, match="limit"):
        codec.decode(data, max_pixels=np.int32(100))


# --- formats that other packages read, and raws --------------------------------------


def test_heic_and_jpeg_xl(small: Image.Image) -> None:
    heif, jxl = pytest.importorskip("pillow_heif"), pytest.importorskip("pillow_jxl")
    assert jxl
    heif.register_heif_opener()
    for kind, options in (("HEIF", {"exif": turned_exif(), "quality": 90}), ("JXL", {"quality": 90})):
        data = saved(small, kind, **options)
        notes: list[str] = []
        back = codec.decode(codec.encode(io.BytesIO(data), 95, notes=notes))
        upright = small.transpose(Image.Transpose.ROTATE_270) if kind == "HEIF" else small
        assert back.size == upright.size and notes == []
        assert np.abs(np.asarray(back).astype(int) - np.asarray(upright)).mean() < 5


@pytest.mark.parametrize("reader", [foreign.HEIF, foreign.JPEG_XL], ids=lambda r: r.format)
def test_a_missing_package_is_named(reader: foreign.Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, reader.module, None)
    start = b"\xff\x0a" if reader is foreign.JPEG_XL else b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic"
    with pytest.raises(InputError, match=f"pip install {reader.package}"):
        codec.encode(io.BytesIO(start + bytes(100)))


def test_avif_is_not_taken_for_heic(small: Image.Image) -> None:
    head = saved(small, "AVIF")[:64]
    assert foreign.brands(head)[0] == b"avif" and foreign.reader_of(head) is None


def raw(tag: int, value: int, below: bool = False) -> bytes:
    """A TIFF file of a picture of 1 x 1, with a tag of type u16; below: in a directory of its own."""
    own = [(256, 4, 1), (257, 4, 1), (258, 3, 8), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 4, 1), (279, 4, 1)]
    tags = (
        [*own, (330, 4, 8 + 2 + 12 * 9 + 4)]
        if below
        else sorted({**{t: (k, v) for t, k, v in own}, tag: (3, value)}.items())
    )  # type: ignore[list-item]
    flat = [(t[0], *t[1]) if isinstance(t[1], tuple) else t for t in tags]

    def directory(entries: list[Any]) -> bytes:
        lines = [
            t.to_bytes(2, "little") + k.to_bytes(2, "little") + b"\1\0\0\0" + v.to_bytes(4, "little")
            for t, k, v in entries
        ]
        return len(lines).to_bytes(2, "little") + b"".join(lines) + bytes(4)

    return b"II*\0\x08\0\0\0" + directory(flat) + (directory([(tag, 3, value)]) if below else b"")


@pytest.mark.parametrize(
    "data",
    [
        raw(50706, 1),
        raw(262, 32803),
        raw(262, 32803, below=True),
        raw(259, 34713),
        b"II*\0\x10\0\0\0CR\2\0" + bytes(50),
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(50),
        b"FUJIFILMCCD-RAW 0201" + bytes(50),
        b"IIU\0\x18\0\0\0" + bytes(50),
        b"IIRO\x08\0\0\0" + bytes(50),
    ],
    ids=["dng", "cfa", "cfa below", "nef", "cr2", "cr3", "raf", "rw2", "orf"],
)
def test_camera_raws_are_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="camera raw.*develop it first"):
        codec.encode(io.BytesIO(data))


def test_raws_by_name(small: Image.Image, tmp_path: Path) -> None:
    """A suffix counts where the file is a TIFF or nothing that is known; of other pictures it does not."""
    for name, data in (("a.arw", saved(small, "TIFF")), ("b.NEF", b"something unknown")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match="develop it first"):
            codec.encode(tmp_path / name)
    with Image.open(tmp_path / "a.arw") as image, pytest.raises(InputError, match="develop it first"):
        codec.encode(image)
    (tmp_path / "c.dng").write_bytes(saved(small, "PNG"))
    codec.encode(tmp_path / "c.dng", 10)
    codec.encode(io.BytesIO(saved(small, "TIFF")), 10)


# --- what is left of a damaged file ---------------------------------------------------


def test_info_of_a_damaged_file(small: Image.Image, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    from codec.container.damaged import outline
    from codec.tool.cli import main

    data = codec.encode(small, 30)
    path = tmp_path / "cut.irc"
    path.write_bytes(data[:-9])
    assert main(["info", "--json", str(path)]) == 4
    said = capsys.readouterr()
    facts = json.loads(said.out)
    assert (facts["width"], facts["height"], facts["quality"]) == (64, 48, 30.0) and "truncated" in facts["damaged"]
    assert [chunk["type"] for chunk in facts["chunks"]] == ["HEAD"] and "truncated" in said.err
    assert main(["info", str(path)]) == 4 and "damaged      chunk DATA" in capsys.readouterr().out
    with pytest.raises(DamagedError):
        outline(data[: bitstream.HEAD_END - 1])


def test_a_region_is_reported_as_a_part(
    small: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from codec.tool.cli import main

    monkeypatch.chdir(tmp_path)
    Path("a.irc").write_bytes(codec.encode(small, 30, tile=32))
    for options, said in (
        ("--region 20,10,8,6", "part.png: 8 x 6 pixels (at 20,10 of 64 x 48), .irc"),
        ("--scale 1/4", "part.png: 16 x 12 pixels (at 1/4 of 64 x 48), .irc"),
        ("--scale 1/4 --region 20,8,8,4", "part.png: 2 x 1 pixels (at 1/4 of 8 x 4 at 20,8 of 64 x 48), .irc"),
    ):
        assert main(["decode", "-f", *options.split(), "a.irc", "part.png"]) == 0
        assert capsys.readouterr().out.startswith(said)


def test_tile_is_the_same_in_command_and_function(small: Image.Image, capsys: pytest.CaptureFixture[str]) -> None:
    from codec.tool.cli import main

    assert main(["encode", "--tile", "100", "a.png"]) == 2
    assert "0 or a multiple of 32 up to 65535" in capsys.readouterr().err
    with pytest.raises(ValueError, match="0 or a multiple of 32 up to 65535"):
        codec.encode(small, tile=100)
