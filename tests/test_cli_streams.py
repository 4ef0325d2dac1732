"""Standard streams of the command line: pipes, closed ones, endless ones; signals; what is imported to start."""

from __future__ import annotations

import io
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from fake_codec import ENVIRONMENT, PIXELS, FakeApi, Streams
from PIL import Image

from codec.container import bitstream
from codec.tool import cli, console


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash, in which `irc` is this tree's."""
    script = f'irc() {{ {sys.executable} -m codec "$@"; }}\n{line}'
    return subprocess.run(["bash", "-c", script], env=ENVIRONMENT, capture_output=True, text=True, timeout=100)


def test_streams(api: FakeApi, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams(monkeypatch, Path("photo.png").read_bytes())
    assert cli.main(["encode", "-"]) == 0
    coded = streams.raw.getvalue()
    assert bitstream.read(coded).header.width == 9
    streams = Streams(monkeypatch, coded)
    assert cli.main(["decode", "-", "-"]) == 0
    picture = Image.open(io.BytesIO(streams.raw.getvalue()))
    assert picture.format == "PNG"
    assert np.array_equal(np.asarray(picture), PIXELS)


def test_sigterm_unwinds(api: FakeApi, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("os.fsync", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    before = sorted(os.listdir())
    assert cli.main(["encode", "photo.png"]) == 143
    assert sorted(os.listdir()) == before
    assert signal.getsignal(signal.SIGTERM) is handler


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk(api: FakeApi, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["encode", "photo.png", "/dev/full"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    for line in ("info file.irc", "--help", "help info", "-V", "info --json file.irc"):
        done = shell(f"irc {line} > /dev/full")
        assert done.returncode == 1
        assert done.stderr.endswith("cannot write standard output: no space left on device\n"), done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("line", ["--help", "-V", "--man", "help encode", "info file.irc", "weights"])
def test_starts_without_heavy_modules(workplace: Path, line: str) -> None:
    program = (
        "import sys; from codec.tool.cli import main; code = main(sys.argv[1:]); "
        "heavy = {'torch', 'numpy', 'PIL'} & set(sys.modules); "
        "sys.exit(code or ', '.join(heavy) or 0)"
    )
    command = [sys.executable, "-c", program, *line.split()]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


# --- closed streams, as daemons have them ----------------------------------------------


@pytest.mark.parametrize(
    ("line", "code", "out", "err"),
    [
        # the report is what was asked for, and nobody got it
        ("irc info file.irc >&-", 1, "", "irc: file.irc: cannot write standard output: it is closed\n"),
        ("irc --help >&-", 1, "", "irc: cannot write standard output: it is closed\n"),
        ("irc info file.irc 2>&- | grep -c ^chunk", 0, "2\n", ""),
        ("irc info missing.irc 2>&-", 3, "", ""),
        ("irc info missing.irc >&- 2>&-", 3, "", ""),
        ("irc bogus 2>&-", 2, "", ""),
        ("irc info file.irc <&- | grep -c ^chunk", 0, "2\n", ""),
        ("irc info - <&-", 3, "", "irc: standard input: cannot be read: it is closed\n"),
        ("irc encode - <&- | wc -c", 0, "0\n", "irc: standard input: cannot be read: it is closed\n"),
        ("irc info file.irc <&- >&- 2>&-", 1, "", ""),
    ],
)
def test_closed_streams(line: str, code: int, out: str, err: str, workplace: Path) -> None:
    done = shell(line)
    assert (done.returncode, done.stdout, done.stderr) == (code, out, err)


#: the command line with the stand-in for the codec, which talks while it works as a library might, in C or in Python
TALKING = """
import os, sys, unittest.mock
from codec.tool import cli, console
console.open_streams()
sys.path.insert(0, {tests!r})
import codec, fake_codec
class Talking(fake_codec.FakeApi):
    def _called(self, **values):
        print("talk", file=sys.stderr)
        os.write(2, b"talk")
codec.api = sys.modules["codec.api"] = Talking()
cli.entry()
"""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_no_message_in_the_data(closed: str, workplace: Path) -> None:
    """Where a stream is closed, the next file opened would take its number, and get what is meant for the stream."""
    Path("talking.py").write_text(TALKING.format(tests=str(Path(__file__).parent)))
    for line in ("encode photo.png", "decode photo.irc out.png"):
        program = f"{sys.executable} talking.py {line} {closed}"
        done = subprocess.run(["bash", "-c", program], env=ENVIRONMENT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert bitstream.read(Path("photo.irc").read_bytes()).tiles == (PIXELS.tobytes(),)
    assert b"talk" not in Path("photo.irc").read_bytes() + Path("out.png").read_bytes()
    assert np.array_equal(np.asarray(Image.open("out.png")), PIXELS)


# --- readers that stop early -----------------------------------------------------------


def test_a_reader_that_has_seen_enough(workplace: Path) -> None:
    """Quiet, and no further file is looked at."""
    many = "file.irc " * 3000
    assert shell(f"irc info {many} | head -1").stdout == "file         file.irc\n"
    done = shell(f"irc info {many} missing | head -1; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (console.BROKEN_PIPE, "")
    assert signal.SIGPIPE == console.BROKEN_PIPE - 128


def test_data_that_nobody_takes(api: FakeApi, workplace: Path) -> None:
    """That is an error: the picture has got lost."""
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.MonkeyPatch.context() as patch, open(writer, "w") as stream:
        patch.setattr(sys, "stdout", stream)
        said = io.StringIO()
        patch.setattr(sys, "stderr", said)
        assert cli.main(["encode", "photo.png", "-"]) == 1
    assert said.getvalue() == "irc: photo.png: cannot write standard output: broken pipe\n"


# --- how much is read ------------------------------------------------------------------


def test_an_endless_stream_is_no_irc_file() -> None:
    done = shell("irc info - < /dev/zero")
    assert (done.returncode, done.stderr) == (3, "irc: standard input: not an .irc file\n")


@pytest.mark.parametrize("line", ["encode -", "encode /dev/zero x.irc"])
def test_an_endless_picture(
    line: str, api: FakeApi, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "LARGEST_INPUT", 1 << 22)
    with open("/dev/zero") as endless:
        monkeypatch.setattr(sys, "stdin", endless)
        assert cli.main(line.split()) == 3
    assert capsys.readouterr().err.endswith(": more than the limit of 4194304 bytes\n")
    assert sorted(os.listdir()) == ["file.irc", "photo.png"]


@pytest.mark.parametrize("command", ["info", "verify", "decode"])
def test_an_endless_irc_file(
    command: str, api: FakeApi, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As large as the limit is good, a byte more is not; neither by name nor from a stream."""
    data = Path("file.irc").read_bytes()
    monkeypatch.setattr(console, "LARGEST_INPUT", len(data))
    assert cli.main([command, "file.irc"]) == 0
    monkeypatch.setattr(console, "LARGEST_INPUT", len(data) - 1)
    Path("photo.png").unlink()
    for name in ("file.irc", "-"):
        Streams(monkeypatch, data)
        capsys.readouterr()
        assert cli.main([command, name, *(["new.png"] if command == "decode" else [])]) == 3
        assert f"more than the limit of {len(data) - 1} bytes" in capsys.readouterr().err


def test_pipes_with_names(api: FakeApi, workplace: Path) -> None:
    """As the shell's <(...) makes them: a picture is read from one, an .irc file written to one, whatever its name."""
    os.mkfifo("in"), os.mkfifo("out")
    got: list[bytes] = []
    photo = Path("photo.png").read_bytes()
    ends = [
        threading.Thread(target=lambda: Path("in").write_bytes(photo)),
        threading.Thread(target=lambda: got.append(Path("out").read_bytes())),
    ]
    for end in ends:
        end.start()
    assert cli.main(["encode", "in", "out"]) == 0
    for end in ends:
        end.join()
    assert bitstream.read(got[0]).tiles == (PIXELS.tobytes(),) and stat.S_ISFIFO(os.stat("out").st_mode)


@pytest.mark.parametrize("kind", ["file", "pipe"])
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "-"])
def test_other_names_of_standard_output(kind: str, name: str, workplace: Path) -> None:
    """What is written there is the data and nothing else, be it a file or a pipe, and photos need no -f for it."""
    if not os.path.exists("/dev/fd/1"):
        pytest.skip("no names of descriptors here")
    line = f"irc decode file.irc {name}" + (" > out" if kind == "file" else " | cat > out")
    Path("talking.py").write_text(TALKING.format(tests=str(Path(__file__).parent)))
    done = subprocess.run(
        ["bash", "-c", line.replace("irc ", f"{sys.executable} talking.py ", 1)], env=ENVIRONMENT, capture_output=True
    )
    assert (done.returncode, done.stdout) == (0, b"")
    assert Path("out").read_bytes().endswith(b"IEND\xaeB`\x82")
    assert np.array_equal(np.asarray(Image.open("out")), PIXELS)


@pytest.mark.skipif(not os.path.exists("/dev/fd/1"), reason="no names of descriptors here")
def test_descriptors(
    api: FakeApi, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are written to from where they stand: a file that is appended to is not cut off, nor replaced."""
    Path("log").write_bytes(b"before")
    with open("log", "ab") as log:
        for _ in range(2):
            assert cli.main(["encode", "photo.png", f"/dev/fd/{log.fileno()}"]) == 0
        number = log.fileno()
    data = Path("log").read_bytes().removeprefix(b"before")
    assert data[: len(data) // 2] == data[len(data) // 2 :]
    assert bitstream.read(data[: len(data) // 2]).tiles == (PIXELS.tobytes(),)
    capsys.readouterr()
    assert cli.main(["encode", "photo.png", f"/dev/fd/{number}"]) == 1
    assert capsys.readouterr().err == f"irc: photo.png: cannot write /dev/fd/{number}: it is closed\n"


def test_where_a_pipes_output_goes(api: FakeApi, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To standard output, as that of standard input does: beside /dev/fd/63 there is no place for a file."""
    os.mkfifo("in")
    photo = Path("photo.png").read_bytes()
    end = threading.Thread(target=lambda: Path("in").write_bytes(photo))
    end.start()
    streams = Streams(monkeypatch, b"")
    assert cli.main(["encode", "in"]) == 0
    end.join()
    assert bitstream.read(streams.raw.getvalue()).tiles == (PIXELS.tobytes(),)


# --- progress ------------------------------------------------------------------------


def test_progress_is_for_terminals(
    api: FakeApi, workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["decode", "file.irc", "a.png"]) == 0
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("codec.tool.bar.DELAY", 0)
    assert cli.main(["decode", "file.irc", "b.png"]) == 0
    silent, report = (call["progress"] for call in api.calls)
    assert silent is None and report is not None
    capsys.readouterr()
    from codec.tool import bar

    report = bar.reporter("decode")
    for n in range(1, 4):
        time.sleep(0.15)  # tqdm does not draw more often than every 0.1 seconds
        report(n, 4)
    shown = capsys.readouterr().err
    assert " 75%" in shown and "00:00 left" in shown
    bar.close()
