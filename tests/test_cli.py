"""The command line, with a stand-in for the codec behind it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fake_codec import PIXELS, FakeApi
from PIL import Image

from codec.container import bitstream
from codec.errors import EXIT_CODES, DamagedError, TargetError, WeightsError
from codec.tool import cli, manual, options


def test_round_trip(api: FakeApi, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("sub").mkdir()
    assert cli.main(["encode", "photo.png", "sub/a.irc"]) == 0
    assert cli.main(["decode", "sub/a.irc"]) == 0
    assert np.array_equal(np.asarray(Image.open("sub/a.png")), PIXELS)
    assert sorted(os.listdir("sub")) == ["a.irc", "a.png"]
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.count("\n") == 2


def test_default_output_and_options(api: FakeApi, workplace: Path) -> None:
    options = ["--temperature", "0.5", "--seed", "3", "--device", "cpu", "--stable"]
    assert cli.main(["encode", *options, "photo.png"]) == 0
    assert bitstream.read(Path("photo.irc").read_bytes()).header.temperature == 0.5
    assert api.calls[0] == {
        "quality": 75.0, "bpp": None, "size": None, "psnr": None,
        "temperature": 0.5, "seed": 3, "stable": True, "effort": 0, "extras": {}, "device": "cpu", "tile": None,
        "weights": None, "progress": None, "tune": "psnr", "ssimulacra2": None,
    }  # fmt: skip
    options = ["-f", "--temperature", "2", "--max-pixels", "99"]
    assert cli.main(["decode", *options, "photo.irc", "new.png"]) == 0
    assert api.calls[1] == {
        "temperature": 2.0, "seed": None, "array": True, "depth": 8, "device": "auto", "max_pixels": 99,
        "region": None, "scale": 1, "salvage": False, "notes": [], "progress": None,
    }  # fmt: skip


@pytest.mark.parametrize("line", [
    "photo.png --quality 30 new.irc -f", "-q 30 photo.png -f new.irc", "photo.png new.irc -fq 30",
    "photo.png -q30 --force -- new.irc", "--quality=30 -f -- photo.png new.irc"])  # fmt: skip
def test_options_stand_anywhere(api: FakeApi, workplace: Path, line: str) -> None:
    Path("new.irc").touch()
    assert cli.main(["encode", *line.split()]) == 0
    assert api.calls[0]["quality"] == 30
    assert bitstream.read(Path("new.irc").read_bytes()).tiles[0] == PIXELS.tobytes()


def test_options_stand_anywhere_in_all_commands(
    api: FakeApi, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["decode", "file.irc", "--seed", "5", "new.png"]) == 0
    assert api.calls[0]["seed"] == 5 and Path("new.png").exists()
    Path("-f").write_bytes(Path("file.irc").read_bytes())
    for command in ("info", "verify"):
        capsys.readouterr()
        assert cli.main([command, "file.irc", "--json", "--", "-f"]) == 0
        assert [json.loads(line)["file"] for line in capsys.readouterr().out.splitlines()] == ["file.irc", "-f"]


@pytest.mark.parametrize(("line", "message"), [
    ("photo.png -q", "-q/--quality: expected one argument"),
    ("photo.png -q --", "-q/--quality: expected one argument"),
    ("photo.png --bogus new.irc", "unrecognized arguments: --bogus"),
    ("photo.png new.irc third", "unrecognized arguments: third (several inputs go with --out-dir DIR)"),
    ("-q 30", "required: IN")])  # fmt: skip
def test_wrong_arguments(
    api: FakeApi, workplace: Path, line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["encode", *line.split()]) == 2
    err = capsys.readouterr().err
    assert err.startswith("irc encode: ") and message in err and err.count("\n") == 1


def test_examples_of_the_help(api: FakeApi, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    help_text = capsys.readouterr().out
    Path("photos").mkdir()
    shutil.copy("photo.png", "photos")
    for line, _ in options.EXAMPLES:
        assert line in help_text
        program, *arguments = line.split()
        assert program == options.PROGRAM
        assert cli.main([*arguments, *(["-f"] if Path("photo.irc").exists() else [])]) == 0
    assert {"photo.irc", "small.irc", "20k.irc", "small.webp"} <= set(os.listdir())
    assert os.listdir("coded") == ["photo.irc"]


def test_help_names_the_formats(capsys: pytest.CaptureFixture[str]) -> None:
    from codec.pictures.writing import WRITE_FORMATS

    assert cli.main(["decode", "--help"]) == 0
    out = capsys.readouterr().out
    # one name of each format
    named = {WRITE_FORMATS[suffix][0] for suffix in WRITE_FORMATS if f"{suffix} " in out or f"{suffix}," in out}
    assert named == {kind for kind, _ in WRITE_FORMATS.values()}


def test_output_mode(api: FakeApi, workplace: Path) -> None:
    before = os.umask(0o027)
    try:
        assert cli.main(["encode", "photo.png"]) == 0
        assert stat.S_IMODE(os.stat("photo.irc").st_mode) == 0o640
        os.chmod("photo.irc", 0o604)
        assert cli.main(["encode", "-f", "photo.png"]) == 0
        assert stat.S_IMODE(os.stat("photo.irc").st_mode) == 0o604
    finally:
        os.umask(before)


def test_metadata_and_strip(api: FakeApi, workplace: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "words"
    Image.fromarray(PIXELS).save("meta.png", exif=exif)
    assert cli.main(["encode", "meta.png"]) == 0
    assert cli.main(["decode", "meta.irc", "out.png"]) == 0
    assert Image.open("out.png").getexif()[0x010E] == "words"
    assert cli.main(["decode", "--strip", "meta.irc", "bare.png"]) == 0
    assert not Image.open("bare.png").getexif()
    assert cli.main(["encode", "--strip", "meta.png", "bare.irc"]) == 0
    assert bitstream.read(Path("bare.irc").read_bytes()).extras == {}


def test_json(api: FakeApi, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["encode", "--json", "photo.png"]) == 0
    assert cli.main(["decode", "--json", "photo.irc", "new.png"]) == 0
    assert cli.main(["info", "--json", "photo.irc", "file.irc"]) == 0
    assert cli.main(["verify", "--json", "file.irc"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0]["output"] == "photo.irc"
    assert rows[0]["bytes"] == os.path.getsize("photo.irc")
    assert rows[1]["output"] == "new.png"
    assert [row["quality"] for row in rows[2:4]] == [75.0, 50.0]
    assert rows[4] == {"file": "file.irc", "ok": True}


def test_info_text(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", "file.irc"]) == 0
    out = capsys.readouterr().out
    for word in ("file.irc", "width        9", "quality      50.0", "bpp", "DATA"):
        assert word in out


def test_one_bad_file_does_not_stop_the_others(
    api: FakeApi, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["info", "missing.irc", "file.irc"]) == 3
    assert cli.main(["verify", "photo.png", "file.irc"]) == 3
    captured = capsys.readouterr()
    assert "file.irc: ok" in captured.out
    assert captured.err.splitlines() == ["irc: missing.irc: no such file", "irc: photo.png: not an .irc file"]


def damaged(edit: Callable[[bytes], bytes]) -> Callable[[], object]:
    return lambda: Path("file.irc").write_bytes(edit(Path("file.irc").read_bytes()))


def put(name: str, data: bytes = b"") -> Callable[[], object]:
    return lambda: Path(name).write_bytes(data)


def huge() -> None:
    header = bitstream.Header.of(2**31 - 1, 2**31 - 1, 50)
    Path("file.irc").write_bytes(bitstream.write(header, [b""]))


def nothing() -> None:
    """Leave the folder as it is."""


BAD: dict[str, tuple[Callable[[], object], str, int, str]] = {
    "q 101": (nothing, "encode photo.png -q 101", 2, "0..100"),
    "q nan": (nothing, "encode photo.png -q nan", 2, "0..100"),
    "q word": (nothing, "encode photo.png -q best", 2, "not a number"),
    "bpp inf": (nothing, "encode photo.png --bpp inf", 2, "finite"),
    "bpp 0": (nothing, "encode photo.png --bpp 0", 2, "above 0"),
    "size 0": (nothing, "encode photo.png --size 0", 2, "1 or more"),
    "temperature": (nothing, "encode photo.png --temperature 2.1", 2, "0..2"),
    "seed": (nothing, "encode photo.png --seed 65536", 2, "0..65535"),
    "two targets": (nothing, "encode photo.png --bpp 1 -q 5", 2, "not allowed"),
    "abbreviated": (nothing, "encode photo.png --qual 5", 2, "unrecognized"),
    "device": (nothing, "encode photo.png --device tpu", 2, "tpu"),
    "no command": (nothing, "", 2, "COMMAND"),
    "json and stream": (nothing, "encode photo.png - --json", 2, "--json"),
    "missing": (nothing, "encode missing.png", 3, "no such file"),
    "missing in no folder": (nothing, "encode a/b/missing.png", 3, "no such file"),
    "no name": (nothing, "encode .", 3, "directory"),
    "directory": (lambda: os.mkdir("d"), "encode d", 3, "directory"),
    "irc directory": (lambda: os.mkdir("d"), "info d", 3, "directory"),
    "empty image": (put("e.png"), "encode e.png", 3, "empty"),
    "empty irc": (put("e.irc"), "decode e.irc", 3, "empty"),
    "no image": (put("e.png", b"text"), "encode e.png", 3, "not an image"),
    "no irc": (nothing, "decode photo.png x.png", 3, "not an .irc file"),
    "endless": (nothing, "info /dev/zero", 3, "not an .irc file"),
    "too many pixels": (nothing, "encode photo.png --max-pixels 53", 3, "limit of 53"),
    "too many in irc": (huge, "decode file.irc", 3, "limit"),
    "newer": (damaged(lambda d: d[:8] + b"\x09" + d[9:]), "decode file.irc", 3, "newer irc"),
    "suffix": (nothing, "decode file.irc out.xyz", 3, ".xyz"),
    "truncated": (damaged(lambda d: d[:-1]), "decode file.irc", 4, "truncated"),
    "truncated info": (damaged(lambda d: d[:20]), "info file.irc", 4, "truncated"),
    "flipped": (damaged(lambda d: d[:60] + b"\0\0" + d[62:]), "verify file.irc", 4, "CRC"),
    "exists": (put("photo.irc"), "encode photo.png", 1, "-f overwrites"),
    "no folder": (nothing, "encode photo.png a/b.irc", 1, "no such folder"),
    "output is a folder": (lambda: os.mkdir("d.irc"), "encode photo.png d.irc", 1, "directory"),
    "output is another folder": (lambda: os.mkdir("d"), "encode photo.png d", 2, "does not end in .irc"),
    "input is output": (put("photo.irc", PIXELS.tobytes()), "encode -f photo.irc photo.irc", 1, "input itself"),
    "two outputs": (nothing, "encode photo.png a.irc -o b.irc", 2, "one is enough"),
    "help of nothing": (nothing, "help bogus", 2, "there is no command"),
    "output is a photo": (put("b.jpg", b"photo"), "encode -f photo.png b.jpg", 2, "does not end in .irc"),
    "output is no name": (nothing, "encode photo.png new", 2, "does not end in .irc"),
    "output is the picture": (nothing, "encode -f photo.png photo.png", 2, "does not end in .irc"),
    "output by -o": (put("b.jpg", b"photo"), "encode -f photo.png -o b.jpg", 2, "does not end in .irc"),
    "default output is a link": (lambda: os.symlink("file.irc.png", "photo.irc"), "encode -f photo.png", 2, "not end in .irc"),
    "output is a link": (lambda: os.symlink("photo.png", "l.irc"), "encode -f file.irc l.irc", 2, "not end in .irc"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str, api: FakeApi, workplace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    prepare, line, code, message = BAD[case]
    prepare()
    before = sorted(os.listdir())
    assert cli.main(line.split()) == code
    captured = capfd.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.startswith("irc")
    assert captured.err.count("\n") == 1
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize("names", [("a.jpg", "b.jpg"), ("a.jpg", "b.JPG"), ("a.irc.png", "b.irc.png")])
def test_no_photo_is_overwritten(names: tuple[str, str], api: FakeApi, workplace: Path) -> None:
    """As by `irc encode -f *.jpg` in a folder of two photos, whose second one would be the output."""
    for name in names:
        Image.fromarray(PIXELS).save(name)
    before = {name: Path(name).read_bytes() for name in os.listdir()}
    for line in (["-f", *names], [*names], ["-f", names[0], "-o", names[1]], ["-f", "photo.png", names[1]]):
        assert cli.main(["encode", *line]) == 2
    assert {name: Path(name).read_bytes() for name in os.listdir()} == before
    assert api.calls == []


@pytest.mark.parametrize("name", ["a.irc", "a.IRC", "a.b.Irc"])
def test_names_that_encode_writes_to(name: str, api: FakeApi, workplace: Path) -> None:
    assert cli.main(["encode", "photo.png", name]) == cli.main(["encode", "-f", "photo.png", "-o", name]) == 0
    assert bitstream.read(Path(name).read_bytes()).tiles[0] == PIXELS.tobytes()


ERRORS: dict[str, tuple[BaseException, int, str]] = {
    "weights": (WeightsError("weights 01020304 are missing"), 5, "01020304"),
    "target": (TargetError("the nearest is 0.2 bpp", 0.2), 6, "nearest is 0.2"),
    "damaged": (DamagedError("checksum differs"), 4, "checksum"),
    "memory": (MemoryError(), 1, "out of memory"),
    "bug": (RuntimeError("two\nlines"), 1, "RuntimeError: two lines"),
    "interrupt": (KeyboardInterrupt(), 130, "interrupted"),
}


@pytest.mark.parametrize("case", ERRORS)
@pytest.mark.parametrize("line", ["encode photo.png", "decode file.irc", "verify file.irc"])
def test_errors_of_the_codec(
    case: str, line: str, api: FakeApi, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.error, code, message = ERRORS[case]
    before = sorted(os.listdir())
    assert cli.main(line.split()) == code
    captured = capsys.readouterr()
    assert captured.err.startswith(f"irc: {line.split()[1]}: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert sorted(os.listdir()) == before


def test_debug_shows_the_traceback(
    api: FakeApi, workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IRC_DEBUG", "1")
    api.error = RuntimeError("here")
    assert cli.main(["verify", "file.irc"]) == 1
    assert "Traceback" in capsys.readouterr().err


def refuse(error: BaseException) -> Callable[..., None]:
    def raising(*_: object, **__: object) -> None:
        raise error

    return raising


@pytest.mark.parametrize(
    ("function", "error", "code"),
    [
        ("os.fsync", OSError(28, "No space left on device"), 1),
        ("os.replace", OSError(5, "Input/output error"), 1),
        ("os.fsync", KeyboardInterrupt(), 130),
        ("os.fsync", SystemExit(143), 143),
    ],
)
def test_nothing_is_left_half_written(
    function: str,
    error: BaseException,
    code: int,
    api: FakeApi,
    workplace: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("photo.irc").write_bytes(b"old")
    before = sorted(os.listdir())
    monkeypatch.setattr(function, refuse(error))
    assert cli.main(["encode", "-f", "photo.png"]) == code
    assert sorted(os.listdir()) == before
    assert Path("photo.irc").read_bytes() == b"old"
    if isinstance(error, OSError):
        assert "irc: photo.png: cannot write photo.irc: " in capsys.readouterr().err


def test_unwritable_folder(
    api: FakeApi, workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The permission bits themselves do not stop root, who may be running this.
    monkeypatch.setattr("os.access", lambda *_: False)
    assert cli.main(["encode", "photo.png"]) == 1
    assert "not writable" in capsys.readouterr().err
    assert api.calls == []


def test_odd_file_names(api: FakeApi, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = os.fsdecode(b"a\nb\xff\x1b.irc")
    assert cli.main(["info", name]) == 3
    assert capsys.readouterr().err == "irc: a\\nb\\xff\\x1b.irc: no such file\n"


def test_notes(api: FakeApi, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(PIXELS).quantize(8).save("palette.png")
    assert cli.main(["encode", "palette.png"]) == 0
    assert "irc: palette.png: note: palette image stored as RGB\n" in capsys.readouterr().err


def test_exit_codes_are_declared_once() -> None:
    assert [entry.code for entry in EXIT_CODES] == list(range(7))


@pytest.mark.parametrize("text", [manual.man_page, manual.options_table])
def test_every_option_is_documented(text: Callable[[], str]) -> None:
    page = text().replace("\\-", "-")
    for option in (*options.OPTIONS, *options.PRINTED):
        for flag in option.flags:
            assert flag in page


@pytest.mark.parametrize("command", [c.name for c in options.COMMANDS])
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([command, "--help"]) == 0
    out = capsys.readouterr().out
    for option in options.OPTIONS:
        if command in option.commands:
            assert option.flags[-1] in out


def test_flipped_header_is_never_a_crash(api: FakeApi, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(Path("file.irc").read_bytes())
    struct.pack_into(">I", data, 17, 2**32 - 1)
    Path("file.irc").write_bytes(data)
    assert cli.main(["decode", "file.irc"]) == 4
    assert "HEAD" in capsys.readouterr().err


# --- tiles -----------------------------------------------------------------------------


def test_options_of_tiles_reach_the_codec(api: FakeApi, workplace: Path) -> None:
    assert cli.main(["encode", "--tile", "512", "photo.png"]) == 0
    assert cli.main(["decode", "--region", "1,2,3,4", "--scale", "1/8", "photo.irc", "out.png"]) == 0
    assert cli.main(["verify", "--max-pixels", "60", "photo.irc"]) == 0
    encode, decode, verify = api.calls
    assert (encode["tile"], decode["region"], decode["scale"], verify["max_pixels"]) == (512, (1, 2, 3, 4), 8, 60)
    assert cli.main(["verify", "--max-pixels", "50", "photo.irc"]) == 3


@pytest.mark.parametrize("option", ["--tile 500", "--tile -1", "--tile x"])
def test_wrong_tile(api: FakeApi, workplace: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["encode", *option.split(), "photo.png"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("option", ["--region 1,2,3", "--region 1,2,0,4", "--region 1,2,3,x", "--region 1,2,3,-4",
                                    "--region 1,2,3,00", "--scale 1/3", "--scale 8"])  # fmt: skip
def test_wrong_part(api: FakeApi, workplace: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["decode", *option.split(), "file.irc"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_verified_before_it_takes_its_place(
    api: FakeApi, workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["encode", "--verify", "photo.png", "good.irc"]) == 0
    assert len(api.calls) == 2
    Path("photo.irc").write_bytes(b"old")
    before = sorted(os.listdir())
    monkeypatch.setattr(api, "verify", refuse(DamagedError("checksum differs")))
    assert cli.main(["encode", "-f", "--verify", "photo.png"]) == 1
    assert sorted(os.listdir()) == before and Path("photo.irc").read_bytes() == b"old"
    assert "does not decode to what was encoded: checksum differs" in capsys.readouterr().err
    assert cli.main(["encode", "-f", "photo.png"]) == 0
