"""What the command line says of weights, with a stand-in for those that are installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_codec import FakeApi

from codec.network import registry
from codec.tool import cli

RELEASE = registry.Released("00000000", "codec", "ab" * 32, "3", "2026-11-28", "smaller\nfiles", "python -m x")
FOUND = [
    registry.Installed("00000000", Path("a") / "irc-00000000.safetensors", True, RELEASE),
    registry.Installed("0badf00d", Path("b\n") / "irc-0badf00d.safetensors", False, None),
]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[registry.Installed]:
    """The weights that are here, which a test may change."""
    found = list(FOUND)
    monkeypatch.setattr(registry, "installed", lambda: found)
    monkeypatch.setattr(registry, "check", lambda path: None if path == FOUND[0].path else "it is not")
    return found


def test_list(installed: list[registry.Installed], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["weights"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert [line.split() for line in captured.out.splitlines()] == [
        ["id", "default", "released", "kind", "format", "date", "file"],
        ["00000000", "default", "yes", "codec", "3", "2026-11-28", "a/irc-00000000.safetensors"],
        ["smaller", "files"],
        ["0badf00d", "no", "-", "-", "-", "b\\n/irc-0badf00d.safetensors"],
    ]


def test_a_folder_that_is_not_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("IRC_WEIGHTS", "my-wieghts")
    assert cli.main(["weights"]) == 0
    assert capsys.readouterr().err == "irc: note: there is no folder my-wieghts, which IRC_WEIGHTS names\n"


def test_json(installed: list[registry.Installed], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["weights", "--json"]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == {
        "id": "00000000", "default": True, "released": True, "kind": "codec", "format": "3", "date": "2026-11-28",
        "file": "a/irc-00000000.safetensors", "better": "smaller\nfiles",
    }  # fmt: skip
    assert (second["id"], second["default"], second["released"], second["kind"]) == ("0badf00d", False, False, None)


def test_check(installed: list[registry.Installed], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["weights", "--check"]) == 5
    captured = capsys.readouterr()
    assert captured.err == "irc: b\\n/irc-0badf00d.safetensors: it is not\n"
    assert [line.split()[-1] for line in captured.out.splitlines()] == ["check", "ok", "files", "wrong"]
    assert cli.main(["weights", "--check", "--json"]) == 5
    assert [json.loads(line)["ok"] for line in capsys.readouterr().out.splitlines()] == [True, False]
    del installed[1]
    assert cli.main(["weights", "--check"]) == 0


def test_none_at_all(installed: list[registry.Installed], capsys: pytest.CaptureFixture[str]) -> None:
    installed.clear()
    assert cli.main(["weights"]) == 5
    assert capsys.readouterr().err == "irc: no weights are installed\n"


def test_info_says_whether_they_are_here(
    installed: list[registry.Installed], workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for here in (True, False):
        assert cli.main(["info", "file.irc"]) == cli.main(["info", "--json", "file.irc"]) == 0
        *text, as_json = capsys.readouterr().out.splitlines()
        expected = "installed" if here else "not installed"
        assert f"weights      00000000  ({expected})" in text
        assert json.loads(as_json)["weights_installed"] is here
        del installed[0]


def test_chosen_to_encode_with(api: FakeApi, workplace: Path) -> None:
    assert cli.main(["encode", "--weights", "0badf00d", "photo.png"]) == 0
    assert api.calls[0]["weights"] == "0badf00d"
