"""What the documentation says: examples run or parse, tables are those of the code, links lead somewhere.

``python tests/test_docs.py`` writes the generated tables anew.
"""

from __future__ import annotations

import argparse
import configparser
import dataclasses
import doctest
import importlib
import importlib.util
import inspect
import json
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
GENERATED = re.compile(r"(<!-- generated: (.*?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
PARSED = {
    "irc-bench": "bench.cli",
    "codec.training.train": "codec.training.train",
    "codec.training.photos": "codec.training.photos",
    "codec.training.export": "codec.training.export",
    "bench": "bench.cli",
    "bench.inside.startup": "bench.inside.startup",
    "bench.inside.batch_speed": "bench.inside.batch_speed",
    "bench.inside.training_curve": "bench.inside.training_curve",
    "bench.inside.batches": "bench.inside.batches",
    "bench.inside.scaling": "bench.inside.scaling",
}
PACKAGES = ("codec", "entropy")


# --- generated tables ------------------------------------------------------------------


def fields_table(kind: type) -> str:
    """Name, default and meaning of a dataclass's fields, as Markdown; the meaning is in a field's metadata, or else the
    comment at the end of its line."""
    comments = dict(re.findall(r"^    (\w+): [^=]+ = .*?\s+#:?\s+(.*)$", inspect.getsource(kind), re.MULTILINE))
    lines = ["| name | default | meaning |", "|---|---|---|"]
    for f in dataclasses.fields(kind):
        default = json.dumps(f.default) if "meaning" in f.metadata else f.default
        meaning = f.metadata.get("meaning") or comments.get(f.name, "")
        lines.append(f"| `{f.name}` | `{default}` | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def python_options(kind: type) -> str:
    """Name, default, values and meaning of the options of a Python function, as Markdown."""
    lines = ["| name | default | values | meaning |", "|---|---|---|---|"]
    for f in dataclasses.fields(kind):
        lines.append(f"| `{f.name}` | `{f.default}` | {f.metadata['values'].text} | {f.metadata['meaning']} |")
    return "\n".join(lines)


def table(name: str) -> str:
    if name == "options":
        from codec.tool.manual import options_table

        return options_table()
    if name == "exit codes":
        from codec.errors import EXIT_CODES

        rows = [f"| {entry.code} | {entry.meaning} |" for entry in EXIT_CODES]
        return "\n".join(["| code | meaning |", "|---|---|", *rows])
    if name in ("encode", "decode"):
        from codec.coding import options

        return python_options(options.EncodeOptions if name == "encode" else options.DecodeOptions)
    if name == "settings":
        from codec.training.settings import Settings

        return fields_table(Settings)
    if name == "model":
        from entropy.config import Config

        return fields_table(Config)
    raise KeyError(name)


def renewed(text: str) -> str:
    """The document with its generated tables as the code has them now."""
    return GENERATED.sub(lambda m: f"{m[1]}\n{table(m[2])}\n\n{m[4]}", text)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_tables_are_those_of_the_code(path: Path) -> None:
    text = path.read_text()
    assert text == renewed(text), "python tests/test_docs.py writes the tables anew"


def test_every_setting_has_a_meaning() -> None:
    from codec.training.settings import Settings
    from entropy.config import Config

    for f in dataclasses.fields(Settings):
        assert re.fullmatch(r"[A-Z].*\.", f.metadata["meaning"]), f"not a whole sentence: {f.name}"
    for kind in (Settings, Config):
        assert not re.search(r"\|\s*\|$", fields_table(kind), re.MULTILINE)


# --- examples --------------------------------------------------------------------------


class Example(NamedTuple):
    document: Path
    line: int
    language: str
    code: str
    needs: str = ""  #: a package that nothing else here needs


def examples(path: Path) -> Iterator[Example]:
    """Fenced blocks with a language, and indented lines that are commands of ours.

    A line `<!-- needs: PACKAGE -->` before a block says that it is by itself, and what it imports.
    """
    language, code, start, needs = "", [], 0, ""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("```"):
            if language and language != "other":
                yield Example(path, start, language, "\n".join(code), needs)
            needs = needs if not language else ""
            language = "" if language else line[3:].strip() or "other"
            code, start = [], number + 1
        elif language:
            code.append(line)
        elif found := re.match(r"<!-- needs: (\w+) -->", line):
            needs = found[1]
        elif re.match(r"    (irc|irc-bench|python -m [a-z]+\.?[a-z]*|torchrun) ", line):
            yield Example(path, number, "sh", line.strip())


def commands(code: str) -> Iterator[list[str]]:
    """The single commands of a piece of shell, as lists of words."""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        command: list[str] = []
        for word in [*words, "&&"]:
            if word == "&&":
                if command:
                    yield command
                command = []
            else:
                command.append(word)


class Parsed(Exception):
    """The arguments were right; nothing more is done."""


def check_options(module: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse the arguments with the parser of the module's main(), and stop there."""
    parse = argparse.ArgumentParser.parse_args
    seen: list[argparse.Namespace] = []

    def stop(self: argparse.ArgumentParser, *given: Any, **named: Any) -> None:
        seen.append(parse(self, *given, **named))
        raise Parsed

    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        with pytest.raises(Parsed):
            importlib.import_module(module).main(arguments)
    if module == "codec.training.train":
        from codec.training.settings import Settings, pick

        pick(Settings, dict(item.split("=") for item in seen[0].set))


def check_command(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run what is ours and quick, parse what is ours and long, check what is known of the rest."""
    if words[0] == "torchrun":
        at = words.index("-m")
        words = ["python", *words[at:]]
    if words[:2] == ["python", "-m"] and words[2] in PARSED:
        check_options(PARSED[words[2]], words[3:], monkeypatch)
    elif words[0] in PARSED:
        check_options(PARSED[words[0]], words[1:], monkeypatch)
    elif words[0] == "irc" and any("://" in word for word in words):  # of computers that are not here
        from codec.tool.cli import build_parser

        build_parser().parse_args(words[1:])
    elif words[0] == "irc":
        from codec.tool.cli import main

        assert main(words[1:]) == 0, words
    elif words[:3] == ["python", "-m", "tarfile"]:
        subprocess.run([sys.executable, *words[1:]], check=True)
    elif words[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(words[2]), words
    elif words[:2] == ["pip", "install"]:
        setup = configparser.ConfigParser()
        setup.read(ROOT / "setup.cfg")
        for extra in re.findall(r"\[([\w,]+)\]", " ".join(words)):
            assert set(extra.split(",")) <= set(setup["options.extras_require"]), words
    else:
        assert words[0] in {"ruff", "mypy", "pytest", "git", "cd"}, f"not known to this test: {shlex.join(words)}"


def begin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder that has the sample photo."""
    (folder / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "photo.jpg", folder / "examples")
    monkeypatch.chdir(folder)


RECIPES = [example for path in DOCUMENTS for example in examples(path) if example.needs]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda e: e.needs)
def test_recipes(recipe: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples that go with another package, where it is installed."""
    pytest.importorskip(recipe.needs)
    begin(tmp_path, monkeypatch)
    exec(compile(recipe.code, f"{recipe.document.name}:{recipe.line}", "exec"), {})


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_examples(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of a document, in order, in an empty folder with the sample photo."""
    begin(tmp_path, monkeypatch)
    names: dict[str, Any] = {}
    for example in examples(path):
        if example.needs:
            continue
        where = f"{example.document.name}:{example.line}"
        if example.language == "python":
            exec(compile(example.code, where, "exec"), names)
        elif example.language == "sh":
            for words in commands(example.code):
                check_command(words, monkeypatch)


def test_the_readme_has_examples() -> None:
    found = list(examples(ROOT / "README.md"))
    words = [command for example in found if example.language == "sh" for command in commands(example.code)]
    assert {"encode", "decode", "info", "verify"} <= {w[1] for w in words if w[0] == "irc"}
    assert any(example.language == "python" for example in found)


@pytest.mark.parametrize(
    "words",
    [["irc-bench", "rd", "x", "--oud", "y"], ["python", "-m", "codec.training.train", "x", "--out", "y", "--resum=1"]],
)
def test_wrong_options_are_found(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit):
        check_command(words, monkeypatch)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if "://" not in target and not target.startswith("#"):
            assert (path.parent / target.partition("#")[0]).exists(), target


# --- doctests --------------------------------------------------------------------------


def modules() -> list[str]:
    """All modules of the packages except the scripts' entry points."""
    found = list(PACKAGES)
    for package in PACKAGES:
        folder = [str(ROOT / package)]
        found += [m.name for m in pkgutil.walk_packages(folder, f"{package}.") if not m.name.endswith("__main__")]
    return found


@pytest.mark.parametrize("name", modules())
def test_doctests(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_the_api_opens_with_a_round_trip() -> None:
    for name in ("codec", "codec.api", "codec.container.bitstream"):
        assert doctest.DocTestParser().get_examples(importlib.import_module(name).__doc__ or ""), name


if __name__ == "__main__":
    for document in DOCUMENTS:
        before = document.read_text()
        if (after := renewed(before)) != before:
            document.write_text(after)
            print(f"{document.relative_to(ROOT)}: tables written anew")
