"""The commands over folders and many files, with a stand-in for the codec behind them; at the end, processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fake_codec import ENVIRONMENT, PIXELS, FakeApi, Streams
from PIL import Image

import codec
from codec.batch import runners
from codec.container import bitstream
from codec.tool import bar, cli


@pytest.fixture(autouse=True)
def one_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `--jobs` a batch runs in this process, whatever the machine has, so that stand-ins for the codec are seen."""
    monkeypatch.setattr(runners, "cores", lambda: 1)


@pytest.fixture
def folder(workplace: Path) -> Path:
    """A folder of photos in the current one, with a folder in it, and things that are no photos."""
    Path("photos/trip/day 1").mkdir(parents=True)
    for name in ("b.png", "a.JPG", "trip/c.webp", "trip/day 1/d.png"):
        Image.fromarray(PIXELS).save(Path("photos", name), lossless=True, exact=True)
    Path("photos/notes.txt").write_text("words")
    Path("photos/.hidden.png").write_bytes(b"")
    return workplace


def tree(top: str) -> list[str]:
    return sorted(str(path.relative_to(top)) for path in Path(top).rglob("*") if path.is_file())


def test_folders_are_mirrored(api: FakeApi, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["encode", "photos", "--out-dir", "out", "-q", "30"]) == 0
    assert tree("out") == ["a.irc", "b.irc"]
    assert cli.main(["encode", "-r", "photos", "photo.png", "--out-dir", "all", "--quiet"]) == 0
    assert tree("all") == ["a.irc", "b.irc", "photo.irc", "trip/c.irc", "trip/day 1/d.irc"]
    assert cli.main(["decode", "-r", "all", "--out-dir", "back", "--format", "webp"]) == 0
    assert tree("back") == [name.replace(".irc", ".webp") for name in tree("all")]
    assert np.array_equal(np.asarray(Image.open("back/trip/c.webp")), PIXELS)
    captured = capsys.readouterr()
    encoded, decoded = captured.out.splitlines()
    assert encoded.startswith("encoded 2 of 2 files, ") and encoded.endswith("2 files of other kinds left out")
    assert decoded.startswith("decoded 5 of 5 files, ") and captured.err == ""
    assert {call.get("quality") for call in api.calls[:2]} == {30.0}


def test_verify_takes_folders(api: FakeApi, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["encode", "-r", "photos", "--out-dir", "out", "--quiet"]) == 0
    Path("out/b.irc").write_bytes(Path("out/b.irc").read_bytes()[:-1])
    assert cli.main(["verify", "out", "file.irc"]) == 4
    captured = capsys.readouterr()
    assert captured.out.splitlines()[:2] == ["out/a.irc: ok", "file.irc: ok"]
    assert captured.out.splitlines()[2].startswith("verified 2 of 3 files, ")
    assert captured.out.endswith("1 failed: out/b.irc\n") and captured.err.count("\n") == 1
    assert cli.main(["verify", "-r", "--json", "out"]) == 4
    rows = {row["file"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert rows["out/trip/c.irc"] == {"file": "out/trip/c.irc", "ok": True}
    assert (rows["out/b.irc"]["ok"], rows["out/b.irc"]["code"]) == (False, 4)


def test_again_after_an_interruption(api: FakeApi, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["encode", "-r", "photos", "--out-dir", "out"]
    assert cli.main(line) == 0
    Path("out/a.irc").unlink()
    Path("out/b.irc").write_bytes(b"mine")
    capsys.readouterr()
    assert cli.main(line) == 1  # what is there is not written over, the rest is done
    captured = capsys.readouterr()
    assert "encoded 1 of 4 files" in captured.out and captured.err.count("exists; -f overwrites it, --skip-") == 3
    Path("out/a.irc").unlink()
    assert cli.main([*line, "--skip-existing"]) == 0
    assert "encoded 1 of 4 files" in (out := capsys.readouterr().out) and "3 there already" in out
    assert Path("out/b.irc").read_bytes() == b"mine"
    assert cli.main([*line, "-f"]) == 0
    assert bitstream.read(Path("out/b.irc").read_bytes()).tiles == (PIXELS.tobytes(),)


def test_a_folder_with_everything_bad_in_it(api: FakeApi, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = Path("photos")
    good = (photos / "b.png").read_bytes()
    (photos / "cut.png").write_bytes(good[:60])
    (photos / "empty.png").touch()
    (photos / "text.png").write_text("words")
    os.mkfifo(photos / "pipe.png")
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind("photos/plug.png")
    os.symlink("loop.png", photos / "loop.png")
    os.symlink("nothing", photos / "dangling.png")
    os.symlink(".", photos / "circle")
    odd = os.fsdecode(b"two\nlines \xff\x1b.png")
    (photos / odd).write_text("words")
    (photos / os.fsdecode(b"good\n\xfe.png")).write_bytes(good)
    assert cli.main(["encode", "-r", "photos", "--out-dir", "out"]) == 3
    captured = capsys.readouterr()
    assert tree("out") == sorted(["a.irc", "b.irc", os.fsdecode(b"good\n\xfe.irc"), "trip/c.irc", "trip/day 1/d.irc"])
    said = dict(line.removeprefix("irc: photos/").split(": ", 1) for line in captured.err.splitlines())
    assert said == {
        "circle": "note: a link to a folder, which is not followed",
        "cut.png": said["cut.png"],
        "dangling.png": "a link that leads nowhere",
        "empty.png": "the file is empty",
        "loop.png": "a link that leads in a circle",
        "pipe.png": "a pipe (FIFO), not a file",
        "plug.png": "a socket, not a file",
        "text.png": "not an image, or one of a format that is not supported",
        "two\\nlines \\xff\\x1b.png": "not an image, or one of a format that is not supported",
    }
    assert "encoded 5 of 13 files" in captured.out and "8 failed: photos/cut.png, " in captured.out
    assert captured.out.count("\n") == 1


def test_no_permission(api: FakeApi, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Permission bits do not stop root, who may be running this: the program then has another user's rights."""
    os.chmod("photos/b.png", 0)
    Path("photos/locked").mkdir()
    os.chmod("photos/locked", 0)
    owner = os.geteuid()
    if owner == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 65534, 65534)
        above = [parent for parent in folder.parents if parent != Path("/") and not parent.stat().st_mode & 0o001]
        if above:
            for parent in above:
                os.chmod(parent, parent.stat().st_mode | 0o011)
        os.seteuid(65534)
    try:
        assert cli.main(["encode", "-r", "photos", "--out-dir", "out"]) == 3
    finally:
        os.seteuid(owner)
        os.chmod("photos/locked", 0o700)
    assert sorted(capsys.readouterr().err.splitlines()) == [
        "irc: photos/b.png: cannot be read: permission denied",
        "irc: photos/locked: cannot be read: permission denied",
    ]
    assert tree("out") == ["a.irc", "trip/c.irc", "trip/day 1/d.irc"]


def test_missing_weights(folder: Path, capsys: pytest.CaptureFixture[str], photo: np.ndarray) -> None:
    """An .irc file whose weights are not here is one failure among others; the real codec is behind this."""
    Path("coded").mkdir()
    data = codec.encode(photo, 20)
    Path("coded/good.irc").write_bytes(data)
    file = bitstream.read(data)
    header = bitstream.Header.of(file.header.width, file.header.height, 20, weights=b"\1\2\3\4")
    Path("coded/alien.irc").write_bytes(bitstream.write(header, list(file.tiles)))
    assert cli.main(["decode", "coded", "--out-dir", "out"]) == 5
    captured = capsys.readouterr()
    assert tree("out") == ["good.png"] and captured.err.startswith("irc: coded/alien.irc: ")
    assert "01020304" in captured.err and captured.err.count("\n") == 1


# --- which files -------------------------------------------------------------------------


def test_raws_and_formats_of_packages(
    api: FakeApi, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raws beside their photos are left out and counted; HEIC is tried, so that its package is named."""
    for name in ("b.CR2", "a.nef"):
        shutil.copy("photos/b.png", Path("photos", name))
    Path("photos/c.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert cli.main(["encode", "photos", "--out-dir", "out"]) == 3
    captured = capsys.readouterr()
    assert tree("out") == ["a.irc", "b.irc"] and "pip install pillow-heif" in captured.err
    assert "2 camera raws left out (develop them first)" in captured.out and captured.err.count("\n") == 1
    Path("photos/a.nef").unlink()
    assert cli.main(["encode", "photos", "--out-dir", "out", "--skip-existing"]) == 3
    assert "1 camera raw left out (develop it first)" in capsys.readouterr().out


def test_files_from(api: FakeApi, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of a list keeps its folders, unless it leads elsewhere."""
    elsewhere = folder / "photos" / "b.png"
    Streams(monkeypatch, f"photos/trip/c.webp\n./photo.png\n{elsewhere}\n".encode())
    assert cli.main(["encode", "--files-from", "-", "--out-dir", "out"]) == 0
    assert tree("out") == ["b.irc", "photo.irc", "photos/trip/c.irc"]
    shutil.copy("photo.png", "two\nlines.png")
    Path("list").write_bytes(b"two\nlines.png\0photo.png\0")
    assert cli.main(["encode", "--files-from", "list", "--out-dir", "more", "photos"]) == 0
    assert tree("more") == ["a.irc", "b.irc", "photo.irc", "two\nlines.irc"]


def test_a_file_named_twice_is_done_once(api: FakeApi, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["encode", "photos", "photos/../photos/a.JPG", "photos/", "--out-dir", "out"]) == 0
    assert len(api.calls) == 2


def test_outputs_in_the_folder_itself(api: FakeApi, folder: Path) -> None:
    """What one run has made is not taken by the next."""
    for _ in range(2):
        assert cli.main(["encode", "-r", ".", "--out-dir", "photos/coded", "-f"]) == 0
    for _ in range(2):
        assert cli.main(["decode", "-r", "photos", "--out-dir", "photos/back", "--skip-existing"]) == 0
    assert len([name for name in tree("photos/back")]) == 5 and len(api.calls) == 15


REFUSED = {
    "one name": (["photos", "other/b.png", "--out-dir", "out"], "would both be written to out/b.irc; nothing was done"),
    "one name but for the suffix": (["photos/b.png", "b.tif", "--out-dir", "out"], "photos/b.png and b.tif would both"),
    "no folder": (["-r", "photos"], "--recursive goes with --out-dir DIR"),
    "no folder for a list": (["--files-from", "-"], "required: IN"),
    "several": (["photo.png", "a.irc", "b.png"], "unrecognized arguments: b.png (several inputs go with --out-dir DIR)"),
    "jobs": (["photo.png", "-j", "2"], "--jobs goes with --out-dir DIR"),
    "no jobs": (["photos", "--out-dir", "out", "-j", "0"], "1 or more"),
    "both": (["photos", "--out-dir", "out", "-f", "--skip-existing"], "not allowed"),
    "stream": (["photos", "-", "--out-dir", "out"], "standard input is one picture"),
    "output": (["photos", "--out-dir", "out", "-o", "a.irc"], "-o names one output"),
    "effort": (["photos", "--out-dir", "out", "--effort", "2", "--bpp", "1"], "--effort goes with -q"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_any_work(case: str, api: FakeApi, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line, message = REFUSED[case]
    Path("other").mkdir()
    for name in ("other/b.png", "b.tif", "b.png"):
        Image.fromarray(PIXELS).save(name)
    before = tree(".")
    assert cli.main(["encode", *line]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1 and captured.out == ""
    assert tree(".") == before and not Path("out").exists() and api.calls == []


def test_an_output_that_is_an_input(api: FakeApi, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy("file.irc", "photos/b.irc")
    assert cli.main(["decode", "-f", "photos/b.irc", "--out-dir", "photos"]) == 0  # b.png is no source here
    shutil.copy("photos/b.png", "photos/b-small.png")
    capsys.readouterr()
    assert cli.main(["downscale", "-f", "photos", "--out-dir", "photos"]) == 2
    assert "the output photos/b-small.png of photos/b.png is one of the inputs" in capsys.readouterr().err


def test_folders_with_nothing_in_them(api: FakeApi, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["decode", "photos", "--out-dir", "out"]) == 3
    assert "photos: there are no .irc files in this folder (--recursive" in capsys.readouterr().err
    assert cli.main(["encode", "nowhere", "photos", "--out-dir", "out"]) == 3
    assert "irc: nowhere: no such file\n" in capsys.readouterr().err and tree("out") == ["a.irc", "b.irc"]
    Path("file").touch()
    assert cli.main(["encode", "photos", "--out-dir", "file"]) == 1
    assert "is not a folder" in capsys.readouterr().err


def test_the_first_failure_counts(api: FakeApi, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the order of the sources, not of the time at which they fail."""
    Path("damaged.irc").write_bytes(Path("file.irc").read_bytes()[:-1])
    for names, code in ((["damaged.irc", "missing.irc"], 4), (["missing.irc", "damaged.irc"], 3)):
        assert cli.main(["decode", *names, "file.irc", "--out-dir", "out", "-f"]) == code
    assert tree("out") == ["file.png"]


# --- what is said ------------------------------------------------------------------------


def test_json_of_many(api: FakeApi, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos/bad.png").touch()
    assert cli.main(["encode", "photos", "--out-dir", "out", "--json"]) == 3
    captured = capsys.readouterr()
    rows = {row["input"]: row for row in map(json.loads, captured.out.splitlines())}
    assert rows["photos/a.JPG"]["output"] == "out/a.irc" and rows["photos/a.JPG"]["width"] == 9
    assert rows["photos/bad.png"] == {
        "input": "photos/bad.png", "output": "out/bad.irc", "error": "the file is empty", "code": 3
    }  # fmt: skip
    assert captured.err.splitlines()[-1].startswith("encoded 2 of 3 files")
    assert cli.main(["encode", "photos", "--out-dir", "out", "--json", "--quiet", "--skip-existing"]) == 3
    captured = capsys.readouterr()
    assert [json.loads(line).get("skipped") for line in captured.out.splitlines()] == [True, True, None]
    assert captured.err == "irc: photos/bad.png: the file is empty\n"


def test_quiet(api: FakeApi, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(PIXELS).quantize(8).save("photos/palette.png")
    for line in (["photos", "--out-dir", "out"], ["photos/palette.png", "one.irc"]):
        assert cli.main(["encode", "--quiet", *line]) == 0
        assert capsys.readouterr() == ("", "")
    assert cli.main(["encode", "photos/palette.png", "two.irc"]) == 0
    captured = capsys.readouterr()
    assert "note: palette" in captured.err and captured.out.startswith("two.irc: ")


def test_jpeg_quality_and_format(api: FakeApi, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["decode", "file.irc", "--format", "jpg"]) == 0
    assert cli.main(["decode", "file.irc", "low.jpg", "--jpeg-quality", "20"]) == 0
    assert os.path.getsize("low.jpg") < os.path.getsize("file.jpg")
    for options, message in (
        (["low.png", "--jpeg-quality", "20"], "is of .jpg files"),
        (["--jpeg-quality", "101"], "1..100"),
        (["low.png", "--format", "jpg"], "whose suffix says the format"),
    ):
        capsys.readouterr()
        assert cli.main(["decode", "file.irc", *options]) == 2
        assert message in capsys.readouterr().err
    assert not Path("low.png").exists()


def test_the_bar(
    api: FakeApi, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for all files, which makes room for a message and comes back; none where nobody watches."""
    Path("photos/bad.png").touch()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(bar, "DELAY", 0)
    monkeypatch.setattr(FakeApi, "encode", lambda *a, _do=FakeApi.encode, **k: (time.sleep(0.15), _do(*a, **k))[1])
    assert cli.main(["encode", "-r", "photos", "--out-dir", "out"]) == 3
    err = capsys.readouterr().err
    before, after = err.split("\rirc: photos/bad.png: the file is empty\n")
    assert "encode: 1/5 files, 0.00 megapixels/s: " in before and before.endswith("    ")
    assert after.startswith("\rencode: 3/5 files, ") and "encode: 4/5 files, " in after and " left" in after
    assert {call["progress"] for call in api.calls} == {None}
    assert cli.main(["encode", "-r", "photos", "--out-dir", "out2", "--quiet"]) == 3
    assert capsys.readouterr().err == "irc: photos/bad.png: the file is empty\n"


# --- processes ---------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_and_run_again(
    sent: signal.Signals, tmp_path: Path, photo: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two processes at work; Ctrl-C reaches all of them, `kill` only the first. What is there is whole."""
    (tmp_path / "in").mkdir()
    for n in range(12):
        Image.fromarray(np.roll(np.tile(photo, (3, 3, 1)), 7 * n, 0)).save(tmp_path / "in" / f"{n:02}.png")
    command = [sys.executable, "-m", "codec", "encode", "in", "--out-dir", "out", "-j", "2", "--skip-existing"]
    run = subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while not list(tmp_path.glob("out/*.irc")) and run.poll() is None:
        time.sleep(0.02)
    (os.killpg if sent == signal.SIGINT else os.kill)(run.pid, sent)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 128 + sent, err
    assert err == ("irc: interrupted\n" if sent == signal.SIGINT else "")
    assert "interrupted; the same again with --skip-existing goes on from here" in out
    left = [path.name for path in (tmp_path / "out").iterdir()]
    assert 0 < len(left) < 12 and all(name.endswith(".irc") and not name.startswith(".") for name in left)
    assert (
        cli.main(
            [*command[3:4], str(tmp_path / "in"), "--out-dir", str(tmp_path / "out"), "--skip-existing", "-j", "1"]
        )
        == 0
    )
    assert f"{len(left)} there already" in capsys.readouterr().out
    for n in range(12):
        codec.verify((tmp_path / "out" / f"{n:02}.irc").read_bytes())
