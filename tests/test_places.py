"""Files behind URLs: in fsspec's memory, in folders and in an S3 server on this computer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from object_store import s3_bucket  # noqa: F401  (fixture)

from codec.batch.places import Places, is_url, joined, local
from codec.errors import InputError, IrcError

fsspec = pytest.importorskip("fsspec")
places = Places()


@pytest.fixture
def memory() -> Iterator[str]:
    yield "memory://box"
    fsspec.filesystem("memory").store.clear()


@pytest.mark.parametrize("name", ["a.jpg", "/a/b.jpg", "C:\\a.jpg", "a:b", "-", "s3:/a"])
def test_names_of_this_computer(name: str) -> None:
    assert not is_url(name) and local(name) == name


def test_paths_in_folders() -> None:
    assert joined("s3://b", "a/c") == joined("s3://b/", "a/c") == "s3://b/a/c"
    assert local("file:///a/b") == "/a/b"


def test_there_and_back(memory: str) -> None:
    places.put(f"{memory}/a/1.irc", b"one", False, None)
    places.put(f"{memory}/2.irc", memoryview(b"three"), False, None)
    assert places.open(f"{memory}/a/1.irc").read() == b"one"
    assert [tuple(one) for one in places.listed(memory, True)] == [
        ("memory://box/2.irc", "2.irc", 5), ("memory://box/a/1.irc", "a/1.irc", 3)]  # fmt: skip
    assert [one.path for one in places.listed(memory + "/", False)] == ["2.irc"]
    assert places.is_folder(f"{memory}/a") and not places.is_folder(f"{memory}/2.irc")
    assert places.exists(f"{memory}/2.irc") and not places.exists(f"{memory}/3.irc")


def test_what_is_there_stays(memory: str) -> None:
    places.put(f"{memory}/1", b"one", False, None)
    with pytest.raises(IrcError, match=r"memory://box/1 exists; -f overwrites it"):
        places.put(f"{memory}/1", b"two", False, None)
    with pytest.raises(IrcError, match="exists"), places.making(f"{memory}/1", False) as stream:
        stream.write(b"two")
    assert places.open(f"{memory}/1").read() == b"one"
    places.put(f"{memory}/1", b"two", True, None)
    assert places.open(f"{memory}/1").read() == b"two"


def test_nothing_half_made(memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in (f"{memory}/1", str(tmp_path / "sub" / "1")):
        with pytest.raises(KeyboardInterrupt), places.making(name, False) as stream:
            stream.write(b"half")
            raise KeyboardInterrupt
        with pytest.raises(IrcError, match="cannot write .*: no space left"), places.making(name, False):
            raise OSError(28, "No space left on device")

        def refuse(data: bytes) -> None:
            raise IrcError(f"not good: {data!r}")

        with pytest.raises(IrcError, match="not good: b'abc'"):
            places.put(name, b"abc", False, refuse)
    assert [*places.listed(memory, True)] == []
    assert [path.name for path in tmp_path.rglob("*")] == ["sub"]


def test_elsewhere_it_is_written_beside_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As over sftp, where what is half sent can be seen: here with fsspec's file system of this computer."""
    url = f"local://{tmp_path}/sub/a.irc"
    places.put(url, b"one", False, None)
    assert (tmp_path / "sub" / "a.irc").read_bytes() == b"one" and len([*(tmp_path / "sub").iterdir()]) == 1
    kind = type(fsspec.filesystem("local"))

    def breaks(self: object, path: str, data: bytes) -> None:
        Path(path).write_bytes(data[:1])
        raise ConnectionError("the line is dead")

    monkeypatch.setattr(kind, "pipe_file", breaks)
    with pytest.raises(IrcError, match=r"cannot write local://.*a\.irc: the line is dead"):
        places.put(url, b"two", True, None)
    assert (tmp_path / "sub" / "a.irc").read_bytes() == b"one" and len([*(tmp_path / "sub").iterdir()]) == 1


def test_what_is_not_there(memory: str) -> None:
    for name in (f"{memory}/none", "memory://nothing/none"):
        with pytest.raises(InputError, match="^no such file$"):
            places.open(name)
        with pytest.raises(InputError, match="^no such file$"):
            places.is_folder(name)
    with pytest.raises(InputError, match="Protocol not known: foo"):
        places.open("foo://a/b")


def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(url: str) -> None:
        raise ImportError(f"Please install {url[0]}cs")

    monkeypatch.setattr(fsspec.core, "url_to_fs", lacks)
    with pytest.raises(
        IrcError, match=r"^s3:// needs the package s3fs, which is not .*pip install 'irc-codec\[cluster\]'"
    ):
        places.open("s3://b/a")
    with pytest.raises(IrcError, match="^gs:// needs another package: Please install gcs"):
        places.open("gs://b/a")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(IrcError, match=r"^gs:// needs the package fsspec.*pip install 'irc-codec\[cluster\]'"):
        places.open("gs://b/a")


def test_s3(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    places.put(f"{bucket}/a/1.irc", b"one", False, None)
    with places.making(f"{bucket}/a/2.tar", False) as stream:
        stream.write(b"three")
        assert [one.path for one in places.listed(bucket, True)] == ["a/1.irc"]
    assert [(one.path, one.size) for one in places.listed(bucket, True)] == [("a/1.irc", 3), ("a/2.tar", 5)]
    with pytest.raises(IrcError, match="exists"):
        places.put(f"{bucket}/a/1.irc", b"two", False, None)
    with places.stream(f"{bucket}/a/2.tar") as stream:
        assert stream.read(2) == b"th" and stream.read() == b"ree"
    with pytest.raises(InputError, match="^no such file$"):
        places.open(f"{bucket}/none")
    with pytest.raises(IrcError, match=r"cannot write s3://none/1: The specified bucket does not exist"):
        places.put("s3://none/1", b"one", False, None)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    type(fsspec.filesystem("s3")).clear_instance_cache()
    with pytest.raises(InputError, match="cannot be read: Unable to locate credentials .AWS_ACCESS_KEY_ID"):
        places.open(f"{bucket}/a/1.irc")
