"""The layout of the code: what lies where, what may import what, and how large a part may be."""

from __future__ import annotations

import ast
import configparser
import graphlib
from pathlib import Path

import pytest
from test_docs import modules

ROOT = Path(__file__).parent.parent
#: whose functions and doctests are counted here; files and imports are those of bench, too
PACKAGES = ("bench", "codec", "entropy")
MOST_LINES = 500
MOST_PARAMETERS = 7
#: A module imports of its own group and of the rows below, never of a group beside it or above. A group is a module or
#: a folder; `codec` and `bench` alone are what `import codec` and `import bench` run.
LAYERS = (
    ("bench.__main__",),
    ("bench.cli",),
    ("bench.commands",),
    ("bench.inside",),
    ("bench.figures",),
    ("bench.runs",),
    ("bench.peers",),
    ("bench.metrics",),
    ("bench.errors", "bench"),
    ("codec.__main__",),
    ("codec.tool", "codec"),
    ("codec.batch",),
    ("codec.plugin", "codec.compare"),
    ("codec.api", "codec.training"),
    ("codec.rescale",),
    ("codec.coding",),
    ("codec.network",),
    ("codec.pictures",),
    ("codec.container", "codec.metrics"),
    ("codec.errors", "codec.atomic", "codec.version"),
    ("entropy",),
)
ROW = {group: number for number, row in enumerate(LAYERS) for group in row}


def name_of(path: Path) -> str:
    """The name that a file is imported by.

    >>> name_of(ROOT / "codec" / "tool" / "cli.py"), name_of(ROOT / "codec" / "__init__.py")
    ('codec.tool.cli', 'codec')
    """
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for package in ("bench", "codec", "entropy") for path in (ROOT / package).rglob("*.py")}
CHECKED = {name: path for name, path in FILES.items() if name.partition(".")[0] in PACKAGES}


def imported(source: str) -> set[str]:
    """The modules of this tree that a piece of source imports: at its top, inside functions, for type checkers only.

    >>> sorted(imported("import codec, numpy\\ndef f():\\n    from codec import api\\n    from codec.errors import IrcError"))
    ['codec', 'codec.api', 'codec.errors']
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports here have the whole name"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in FILES else str(node.module) for name in names}
    return found & FILES.keys()


IMPORTS = {name: imported(path.read_text()) for name, path in FILES.items()}


def group_of(name: str) -> str:
    """The group of `LAYERS` that a module belongs to; KeyError where it is in none.

    >>> group_of("codec.tool.cli"), group_of("codec"), group_of("codec.api")
    ('codec.tool', 'codec', 'codec.api')
    """
    groups = [name, *(name.rsplit(".", n)[0] for n in range(1, name.count(".") + 1))]
    for group in groups:
        if group in ROW and (group == name or group not in ("bench", "codec")):
            return group
    raise KeyError(f"{name} is in none of the layers of tests/test_house.py")


def upward(imports: dict[str, set[str]]) -> list[str]:
    """The imports that lead to a group beside the module's own or above it."""
    found = []
    for name, targets in sorted(imports.items()):
        own = group_of(name)
        for target in sorted(targets):
            other = group_of(target)
            if other != own and ROW[other] <= ROW[own]:
                found.append(f"{name} -> {target}")
    return found


def circle(imports: dict[str, set[str]]) -> list[str]:
    """Modules each of which imports the next one, the last one being the first; empty where there are none."""
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        return list(reversed(error.args[1]))
    return []


def test_no_circle_of_imports() -> None:
    assert circle(IMPORTS) == []


def test_imports_lead_downward() -> None:
    assert upward(IMPORTS) == []


def test_what_is_against_the_layers_is_found() -> None:
    assert upward({"codec.coding.tiles": {"codec.training.train", "codec.errors", "codec.coding.draw"}}) == [
        "codec.coding.tiles -> codec.training.train"
    ]
    assert upward({"entropy.coder": {"codec.errors"}}) == ["entropy.coder -> codec.errors"]
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    with pytest.raises(KeyError, match="in none of the layers"):
        group_of("codec.new")


def test_no_file_is_long() -> None:
    own = [path for path in (ROOT / "tests").rglob("*.py") if not path.name.startswith("test_bench")]
    lines = {path: len(path.read_text().splitlines()) for path in [*FILES.values(), *own]}
    assert [str(path.relative_to(ROOT)) for path, count in lines.items() if count > MOST_LINES] == []


def many_parameters(source: str) -> list[str]:
    """The functions with more parameters than `MOST_PARAMETERS`, a method's own object not counted."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            if len(names) - (names[:1] in (["self"], ["cls"])) > MOST_PARAMETERS:
                found.append(node.name)
    return found


def test_no_function_has_many_parameters() -> None:
    assert many_parameters("def f(self, a, b, c, d, e, f, g): ...\ndef g(a, b, c, d, *, e, f, g, h): ...") == ["g"]
    found = [f"{name}.{function}" for name, path in CHECKED.items() for function in many_parameters(path.read_text())]
    assert found == []


def test_every_package_is_installed() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    folders = {name for name, path in FILES.items() if path.name == "__init__.py"}
    assert set(setup["options"]["packages"].split()) == folders


def test_no_doctest_vanishes() -> None:
    """A folder that is no package, or a search that is not recursive, would lose them silently."""
    written = {name for name, path in FILES.items() if ">>> " in path.read_text()}
    assert written - set(modules()) == set()
    searched = {name for name in CHECKED if not name.startswith("bench") and not name.endswith("__main__")}
    assert searched <= set(modules())
