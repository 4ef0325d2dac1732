"""`irc integrate` and `irc thumbnail`: what a desktop and shells are told, and whether they understand it."""

from __future__ import annotations

import configparser
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from roundtrip import noise_photo

import codec
from codec.tool import integrate
from codec.tool.cli import build_parser, main
from codec.tool.options import COMMANDS, OPTIONS

ROOT = Path(__file__).parent.parent


def run(*words: str, **environment: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    return done.stdout


def needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of a user's data."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path / "share"


@pytest.fixture
def installed(home: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["integrate"]) == 0
    assert "zsh completes once" in capsys.readouterr().err
    return home


@pytest.fixture(scope="module")
def data() -> bytes:
    return codec.encode(noise_photo(120, 400), 40)


def test_what_is_installed_goes_again(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    assert set(integrate.texts(build_parser())) <= written
    assert main(["integrate"]) == 0  # again: the same
    assert main(["integrate", "--remove"]) == 0
    assert capsys.readouterr().out.count(": removed") == len(integrate.texts(build_parser()))
    left = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    assert not left & set(integrate.texts(build_parser()))
    assert main(["integrate", "--remove"]) == 0
    assert "removed" not in capsys.readouterr().out


def test_a_folder_that_cannot_be_written(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.write_text("not a folder")
    assert main(["integrate"]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_the_desktop_knows_the_type(installed: Path, data: bytes, tmp_path: Path) -> None:
    needs("update-mime-database", "gio")
    for name, content in (("photo.irc", data), ("no-suffix", data), ("other", b"\x9cIRC and other things")):
        (tmp_path / name).write_bytes(content)
        told = run("gio", "info", "-a", "standard::content-type", str(tmp_path / name))
        assert ("image/x-irc" in told) == (content is data), name
    assert main(["integrate", "--remove"]) == 0
    assert "image/x-irc" not in run("gio", "info", "-a", "standard::content-type", str(tmp_path / "no-suffix"))


def test_the_thumbnailers_line(installed: Path, data: bytes, tmp_path: Path) -> None:
    entry = configparser.ConfigParser(interpolation=None)
    entry.read(installed / integrate.THUMBNAILER)
    section = entry["Thumbnailer Entry"]
    assert section["MimeType"] == "image/x-irc;" and shutil.which(section["TryExec"])
    source, target = tmp_path / "a photo's.irc", tmp_path / "thumbnail"  # no suffix, as file managers have it
    source.write_bytes(data)
    target.touch()
    values = {"%i": str(source), "%o": str(target), "%s": "128"}
    subprocess.run([values.get(word, word) for word in shlex.split(section["Exec"])], check=True, cwd=tmp_path)
    with Image.open(target) as thumbnail:
        assert thumbnail.format == "PNG" and thumbnail.size == (128, 38)
        whole = codec.decode(data).resize(thumbnail.size, Image.Resampling.LANCZOS)
        difference = np.asarray(thumbnail.convert("RGB"), float) - np.asarray(whole, float)
        assert np.sqrt((difference**2).mean()) < 8


def test_thumbnails_are_no_larger_than_the_picture(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "photo.irc").write_bytes(data)
    for fit, size in ((1000, (400, 120)), (400, (400, 120)), (25, (25, 8)), (1, (1, 1))):
        assert main(["thumbnail", "--fit", str(fit), str(tmp_path / "photo.irc"), str(tmp_path / "out.png")]) == 0
        with Image.open(tmp_path / "out.png") as thumbnail:
            assert thumbnail.size == size


def test_the_manual_is_found(installed: Path) -> None:
    needs("man")
    text = run("man", "-P", "cat", "irc", MANPATH=str(installed / "man"), MANWIDTH="200")
    assert all(command.name in text for command in COMMANDS) and "--max-pixels" in text


def test_bash_completes(installed: Path) -> None:
    needs("bash")
    script = """source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _shtab_irc; printf '%s\\n' "${COMPREPLY[@]}\""""

    def completed(*words: str) -> list[str]:
        path = str(installed / integrate.COMPLETIONS["bash"])
        return run("bash", "-c", script, "bash", path, "irc", *words).split()

    assert completed("de") == ["decode"]
    known = {flag for option in OPTIONS if "decode" in option.commands for flag in option.flags if flag[:2] == "--"}
    assert set(completed("decode", "--")) >= known
    assert completed("decode", "--device", "cu") == ["cuda"]


def test_fish_completes(installed: Path) -> None:
    needs("fish")
    path = str(installed / integrate.COMPLETIONS["fish"])

    def completed(line: str) -> list[str]:
        told = run("fish", "--no-config", "-c", f"source {shlex.quote(path)}; complete -C {shlex.quote(line)}")
        return [row.split("\t")[0] for row in told.splitlines()]

    assert "decode" in completed("irc de") and "info" not in completed("irc de")
    assert "--region" in completed("irc decode --reg")
    assert "--region" not in completed("irc info --reg")


def test_zsh_reads_its_completion(installed: Path) -> None:
    needs("zsh")
    path = installed / integrate.COMPLETIONS["zsh"]
    run("zsh", "-n", str(path))
    told = run("zsh", "-f", "-c", f"fpath=({shlex.quote(str(path.parent))} $fpath); autoload -U compinit; "
               f"compinit -u -d {shlex.quote(str(installed / 'dump'))}; print $_comps[irc]")  # fmt: skip
    assert told.strip() == "_irc"
    assert path.read_text().count(":_files") > 5  # names of files are completed, too


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems(
    platform: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert main(["integrate"]) == (0 if platform == "darwin" else 1)
    if platform == "darwin":  # manual and completions only
        assert (
            (home / integrate.MANUAL).exists() and not (home / "mime").exists() and not (home / "thumbnailers").exists()
        )
    else:
        assert "Windows" in capsys.readouterr().err and not home.exists()
