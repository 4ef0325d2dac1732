"""Files that are whole or not there."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from codec import atomic


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_mode_is_that_of_open(folder: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic.write("a", b"one")
        assert stat.S_IMODE(os.stat("a").st_mode) == 0o640
        os.chmod("a", 0o604)
        atomic.write("a", b"two")
        assert stat.S_IMODE(os.stat("a").st_mode) == 0o604 and Path("a").read_bytes() == b"two"
    finally:
        os.umask(before)


def test_links_stay(folder: Path) -> None:
    Path("real").write_bytes(b"old")
    os.symlink("real", "link")
    atomic.write("link", b"new")
    assert os.path.islink("link") and Path("real").read_bytes() == b"new"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), SystemExit(143)])
@pytest.mark.parametrize("function", ["os.fsync", "os.replace"])
def test_nothing_is_left_of_a_failure(
    function: str, error: BaseException, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise error

    Path("a").write_bytes(b"old")
    monkeypatch.setattr(function, refuse)
    for name in ("a", "b"):
        with pytest.raises(type(error)):
            atomic.write(name, b"new")
    assert os.listdir() == ["a"] and Path("a").read_bytes() == b"old"


def test_nothing_is_left_of_a_block_that_fails(folder: Path) -> None:
    with pytest.raises(RuntimeError), atomic.replacing("a") as stream:
        stream.write(b"half")
        raise RuntimeError
    assert os.listdir() == []


def test_existing_files(folder: Path) -> None:
    atomic.write("a", b"one", overwrite=False)
    with pytest.raises(FileExistsError):
        atomic.write("a", b"two", overwrite=False)
    # also one that another program has made in the meantime
    with pytest.raises(FileExistsError), atomic.replacing("b", overwrite=False):
        Path("b").write_bytes(b"theirs")
    assert sorted(os.listdir()) == ["a", "b"]
    assert (Path("a").read_bytes(), Path("b").read_bytes()) == (b"one", b"theirs")


def test_check_gets_what_was_written(folder: Path) -> None:
    seen: list[bytes] = []
    atomic.write("a", memoryview(b"good"), check=seen.append)
    assert seen == [b"good"]

    def refuse(data: bytes) -> None:
        raise ValueError(data)

    with pytest.raises(ValueError):
        atomic.write("a", b"bad", check=refuse)
    assert os.listdir() == ["a"] and Path("a").read_bytes() == b"good"


def test_pipes_and_devices_are_written_to(folder: Path) -> None:
    os.mkfifo("pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(Path("pipe").read_bytes()))
    reader.start()
    seen: list[bytes] = []
    atomic.write("pipe", b"data", overwrite=False, check=seen.append)
    reader.join()
    assert got == seen == [b"data"] and stat.S_ISFIFO(os.stat("pipe").st_mode)


@pytest.mark.parametrize("name", ["写" * 85, "x" * 255, "a" * 251 + ".irc"])
def test_long_names(name: str, folder: Path) -> None:
    atomic.write(name, b"data")
    assert os.listdir() == [name]
