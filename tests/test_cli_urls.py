"""Batches whose files are behind URLs and in shards, with a stand-in for the codec; fsspec's memory is the store."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_codec import PIXELS, FakeApi
from PIL import Image
from test_shards import contents, shard

from codec.batch.places import Places
from codec.tool import cli

fsspec = pytest.importorskip("fsspec")
places = Places()
BOX = "memory://box"


def photo() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def box(api: FakeApi, workplace: Path) -> Iterator[None]:
    """Three photos, one of them in a folder, and a text."""
    for name in ("a.png", "trip/b.PNG", "c.png"):
        places.put(f"{BOX}/in/{name}", photo(), False, None)
    places.put(f"{BOX}/in/notes.txt", b"text", False, None)
    yield
    fsspec.filesystem("memory").store.clear()


def there() -> list[str]:
    return [one.path for one in places.listed(f"{BOX}/out", True)] if places.exists(f"{BOX}/out") else []


def test_a_folder_to_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["encode", f"{BOX}/in", "--out-dir", f"{BOX}/out"]) == 0
    assert there() == ["a.irc", "c.irc"]
    assert "encoded 2 of 2 files" in capsys.readouterr().out
    assert cli.main(["encode", "-r", f"{BOX}/in/", "--out-dir", f"{BOX}/out/", "--skip-existing", "--json"]) == 0
    said = capsys.readouterr()
    assert "encoded 1 of 3 files" in said.err and "2 there already, 1 file of other kinds" in said.err
    assert [json.loads(line).get("skipped", False) for line in said.out.splitlines()] == [True, True, False]
    assert there() == ["a.irc", "c.irc", "trip/b.irc"]
    assert cli.main(["verify", "-r", f"{BOX}/out"]) == 0
    assert cli.main(["decode", "-r", f"{BOX}/out", "--out-dir", "back", "--format", "webp"]) == 0
    assert sorted(str(path) for path in Path("back").rglob("*.webp")) == [
        "back/a.webp",
        "back/c.webp",
        "back/trip/b.webp",
    ]


def test_what_is_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["encode", f"{BOX}/in/a.png", "photo.png", "--out-dir", f"{BOX}/out"]
    assert cli.main(command) == 0 and there() == ["a.irc", "photo.irc"]
    assert cli.main(command) == 1
    assert "memory://box/out/a.irc exists; -f overwrites it, --skip-existing leaves it" in capsys.readouterr().err
    assert cli.main([*command, "-f"]) == 0


def test_a_list_of_urls() -> None:
    Path("list").write_text(f"{BOX}/in/trip/b.PNG\n{BOX}/in/a.png\nfile://{os.getcwd()}/photo.png\n")
    places.put(f"{BOX}/list", Path("list").read_bytes(), False, None)
    assert cli.main(["encode", "--files-from", f"{BOX}/list", "--out-dir", f"file://{os.getcwd()}/out"]) == 0
    assert sorted(str(path) for path in Path("out").rglob("*.irc")) == [
        "out/in/a.irc",
        "out/in/trip/b.irc",
        "out/photo.irc",
    ]


def test_what_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["encode", f"{BOX}/none", f"{BOX}/in/a.png", "--out-dir", f"{BOX}/out"]) == 3
    assert "irc: memory://box/none: no such file\n" in capsys.readouterr().err
    assert there() == ["a.irc"]
    assert cli.main(["decode", f"{BOX}/in", "--out-dir", "new"]) == 3
    assert "there are no .irc files in this folder" in capsys.readouterr().err
    assert cli.main(["encode", "photo.png", "--out-dir", "foo://box/out"]) == 3
    assert "the output folder foo://box/out: Protocol not known: foo" in capsys.readouterr().err


def test_two_sources_of_one_name_are_refused_before_any_work(capsys: pytest.CaptureFixture[str]) -> None:
    shard("1.tar", [("1.png", photo())])
    Path("sub").mkdir()
    shard("sub/1.tar", [("2.png", photo())])
    assert cli.main(["encode", "1.tar", "sub/1.tar", "--out-dir", f"{BOX}/out"]) == 2
    assert "1.tar and sub/1.tar would both be written to memory://box/out/1.tar; nothing was" in capsys.readouterr().err
    assert cli.main(["encode", "1.tar", "--out-dir", "."]) == 2
    assert "is one of the inputs" in capsys.readouterr().err
    assert there() == []


def test_shards(capsys: pytest.CaptureFixture[str]) -> None:
    shard("1.tar", [("1.png", photo()), ("1.txt", b"one"), ("2.png", b"no picture, only text"), ("3.png", photo())])
    places.put(f"{BOX}/shards/1.tar", Path("1.tar").read_bytes(), False, None)
    assert cli.main(["encode", f"{BOX}/shards", "--out-dir", "coded", "--verify"]) == 3
    said = capsys.readouterr()
    assert said.err == "irc: memory://box/shards/1.tar/2.png: not an image, or one of a format that is not supported\n"
    assert "encoded 2 of 3 files" in said.out and "1 failed: memory://box/shards/1.tar/2.png" in said.out
    assert [name for name, _ in contents("coded/1.tar")] == ["1.irc", "1.txt", "3.irc"]
    assert cli.main(["encode", f"{BOX}/shards", "--out-dir", "coded", "--skip-existing"]) == 0
    assert "1 there already" in capsys.readouterr().out
    assert cli.main(["verify", "coded/1.tar"]) == 0
    assert "coded/1.tar/3.irc: ok" in capsys.readouterr().out
    assert cli.main(["decode", "coded", "--out-dir", f"{BOX}/out"]) == 0 and there() == ["1.tar"]
    Path("back.tar").write_bytes(places.open(f"{BOX}/out/1.tar").read())
    assert [name for name, _ in contents("back.tar")] == ["1.png", "1.txt", "3.png"]


@pytest.mark.parametrize(("line", "message"), [
    ("encode s3://b/a.png out.irc", "a URL goes with --out-dir DIR"),
    ("encode 1.tar", "a shard (.tar) goes with --out-dir DIR"),
    ("encode photo.png --scheduler tcp://127.0.0.1:1", "--scheduler goes with --out-dir DIR"),
    ("encode photo.png --out-dir o --jobs 2 --scheduler x", "not allowed with argument"),
    ("encode photo.png --out-dir o --scheduler x", "'x' is not the address of a scheduler")])  # fmt: skip
def test_command_lines_that_are_wrong(line: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "scheduler x" in line:
        pytest.importorskip("distributed")
    assert cli.main(line.split()) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not Path("o").exists()
