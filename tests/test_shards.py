"""Tar shards: pictures replaced, everything else copied; whole or not there; what is bad is named."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from codec.batch import Decoder, Encoder, Made, ReadBack
from codec.batch.jobs import Job, Report
from codec.batch.places import Places
from codec.batch.shards import ShardTask
from codec.errors import DamagedError, IrcError

PICTURES = frozenset({".jpg", ".png", ".irc"})


class Reversed:
    """Work that is quick: the bytes backwards; those of b"bad" it fails at."""

    def run(self, stream: io.BytesIO, progress: Any = None) -> Made:
        data = stream.read()
        if data == b"bad":
            raise DamagedError("is bad")
        return Made(data[::-1], {"width": 2, "height": 3}, ["a note"])


def shard(path: str | Path, members: Iterable[tuple[str, bytes]], **options: Any) -> None:
    """A tar file as webdataset's writer makes it."""
    with tarfile.open(path, "w", **options) as tar:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(data), 1234567890, 0o444
            tar.addfile(entry, io.BytesIO(data))


def contents(path: str | Path) -> list[tuple[str, bytes]]:
    with tarfile.open(path) as tar:
        return [(entry.name, tar.extractfile(entry).read()) for entry in tar]  # type: ignore[union-attr]


def task(**options: Any) -> ShardTask:
    return ShardTask(Reversed(), takes=PICTURES, suffix=".irc", **options)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_pictures_are_replaced_and_the_rest_is_copied() -> None:
    shard("in.tar", [("d.1/001.jpg", b"abc"), ("d.1/001.json", b"{}"), ("002.left.PNG", b"de"), ("002.cls", b"7"),
                     ("__readme.txt", b"hello"), ("é" * 90 + ".jpg", b"xyz")])  # fmt: skip
    reports = task()(Job("in.tar", "sub/out.tar"))
    assert contents("sub/out.tar") == [
        ("d.1/001.irc", b"cba"), ("d.1/001.json", b"{}"), ("002.left.irc", b"ed"), ("002.cls", b"7"),
        ("__readme.txt", b"hello"), ("é" * 90 + ".irc", b"zyx")]  # fmt: skip
    first = reports[0]
    assert (first.source, first.target) == ("in.tar/d.1/001.jpg", "sub/out.tar/d.1/001.irc")
    assert (first.before, first.after, first.pixels, first.notes, first.error) == (3, 3, 6, ["a note"], None)
    assert len(reports) == 3 and not any(report.error for report in reports)
    with tarfile.open("sub/out.tar") as tar:
        assert {(entry.mtime, entry.mode) for entry in tar} == {(1234567890, 0o444)}
    assert os.listdir("sub") == ["out.tar"]


def test_the_same_shard_gives_the_same_bytes() -> None:
    shard("in.tar", [("1.jpg", b"abc"), ("1.txt", b"t")])
    for name in ("a.tar", "b.tar"):
        task()(Job("in.tar", name))
    assert Path("a.tar").read_bytes() == Path("b.tar").read_bytes()


def test_real_pictures_there_and_back() -> None:
    photo = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 90, 30)).save(photo, "PNG")
    shard("in.tar", [("1.png", photo.getvalue()), ("1.txt", b"orange")])
    encoded = ShardTask(Encoder(quality=90), takes=PICTURES, suffix=".irc", check=ReadBack())(Job("in.tar", "irc.tar"))
    assert [(report.error, report.pixels) for report in encoded] == [(None, 1200)]
    ShardTask(Decoder(), takes=frozenset({".irc"}), suffix=".png")(Job("irc.tar", "out.tar"))
    (name, data), text = contents("out.tar")
    assert name == "1.png" and text == ("1.txt", b"orange")
    assert Image.open(io.BytesIO(data)).getpixel((5, 5)) == pytest.approx((200, 90, 30), abs=3)


def test_a_bad_member_costs_its_sample() -> None:
    shard("in.tar", [("1.jpg", b"abc"), ("2.jpg", b"bad"), ("2.json", b"{}"), ("3.jpg", b"xy"), ("3.json", b"[]")])
    reports = task()(Job("in.tar", "out.tar"))
    assert contents("out.tar") == [("1.irc", b"cba"), ("3.irc", b"yx"), ("3.json", b"[]")]
    assert [(r.source, r.error, r.code) for r in reports if r.error] == [("in.tar/2.jpg", "is bad", 4)]
    assert len(reports) == 3


def test_nothing_good_makes_no_shard() -> None:
    shard("in.tar", [("2.jpg", b"bad")])
    reports = task()(Job("in.tar", "out.tar"))
    assert [report.error for report in reports] == ["is bad"] and os.listdir() == ["in.tar"]
    shard("in.tar", [("2.json", b"{}")])
    assert task()(Job("in.tar", "out.tar"))[0].error == "no picture in this shard"
    assert not Path("out.tar").exists()


def test_two_members_of_one_name() -> None:
    shard("in.tar", [("1.jpg", b"abc"), ("1.png", b"de"), ("2.jpg", b"fg"), ("3.json", b"{}"), ("2.jpg", b"hi")])
    reports = task()(Job("in.tar", "out.tar"))
    assert contents("out.tar") == [("2.irc", b"gf"), ("3.json", b"{}")]
    failed = [report for report in reports if report.error]
    assert [report.source for report in failed] == ["in.tar/1.jpg", "in.tar/1.png", "in.tar/2.jpg"]
    assert all(report.error == "two members of the shard would have its name" and report.code == 3 for report in failed)


def cut(size: int) -> None:
    data = Path("in.tar").read_bytes()
    Path("in.tar").write_bytes(data[:size])


@pytest.mark.parametrize("size", [700, 1300, 1024, 2048])  # in data, in a header, after a member, after all of them
def test_a_cut_shard_is_damaged(size: int) -> None:
    shard("in.tar", [("1.jpg", b"abc"), ("2.jpg", b"def")])
    cut(size)
    (report,) = task()(Job("in.tar", "out.tar"))
    assert report.code == 4 and "cut short" in str(report.error) and report.source == "in.tar"
    assert os.listdir() == ["in.tar"]


def test_what_is_no_shard() -> None:
    Path("in.tar").write_bytes(b"certainly not a tar file " * 100)
    (report,) = task()(Job("in.tar", "out.tar"))
    assert report.code == 3 and "is not a tar file" in str(report.error)
    Path("in.tar").write_bytes(b"")
    (report,) = task()(Job("in.tar", "out.tar"))
    assert report.code == 3 and "is not a tar file" in str(report.error)
    shard("in.tar", [("1.jpg", b"abc")], format=tarfile.GNU_FORMAT)
    assert task()(Job("none.tar", "out.tar"))[0].error == "no such file"
    assert os.listdir() == ["in.tar"]


def test_a_full_disk_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shard("in.tar", [("1.jpg", b"abc"), ("2.jpg", b"def")])

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    (report,) = task()(Job("in.tar", "out.tar"))
    assert report.error == "cannot write out.tar: no space left on device" and report.code == 1
    assert os.listdir() == ["in.tar"]


def test_what_is_there_stays() -> None:
    shard("in.tar", [("1.jpg", b"abc")])
    Path("out.tar").write_bytes(b"mine")
    (report,) = task()(Job("in.tar", "out.tar"))
    assert "exists" in str(report.error) and Path("out.tar").read_bytes() == b"mine"
    task(overwrite=True)(Job("in.tar", "out.tar"))
    assert contents("out.tar") == [("1.irc", b"cba")]


def test_what_was_made_is_checked() -> None:
    def check(data: bytes) -> None:
        if data == b"cba":
            raise IrcError("not what it was")

    shard("in.tar", [("1.jpg", b"abc"), ("2.jpg", b"def")])
    reports = task(check=check)(Job("in.tar", "out.tar"))
    assert [report.error for report in reports] == ["not what it was", None]
    assert contents("out.tar") == [("2.irc", b"fed")]


def test_without_a_target_nothing_is_written() -> None:
    shard("in.tar", [("1.irc", b"abc"), ("2.irc", b"bad")])
    reports: list[Report] = task()(Job("in.tar"))
    assert [report.error for report in reports] == [None, "is bad"] and os.listdir() == ["in.tar"]


def test_links_and_folders_are_passed_over() -> None:
    Path("d").mkdir()
    Path("d/1.jpg").write_bytes(b"abc")
    os.symlink("1.jpg", "d/2.jpg")
    with tarfile.open("in.tar", "w") as tar:
        tar.add("d")
    task()(Job("in.tar", "out.tar"))
    assert contents("out.tar") == [("d/1.irc", b"cba")]


def test_a_stream_that_breaks_off(monkeypatch: pytest.MonkeyPatch) -> None:
    shard("in.tar", [("1.jpg", b"abc")])

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ConnectionError("the line is dead")

    monkeypatch.setattr(Places, "stream", lambda self, name: Broken())
    (report,) = task()(Job("in.tar", "out.tar"))
    assert report.error == "cannot be read: the line is dead" and report.code == 3
    assert os.listdir() == ["in.tar"]
