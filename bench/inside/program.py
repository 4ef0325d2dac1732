"""What the programs of this folder have in common: `python -m bench.inside.NAME`."""

import argparse

from bench.errors import BenchError
from bench.runs.child import Ended, run_python

__all__ = ["numbers", "parser", "timed"]


def parser(module: str, doc: str | None) -> argparse.ArgumentParser:
    """Return the parser of a program: it is called as its module, and described by the first line of its docstring."""
    return argparse.ArgumentParser(prog=f"python -m {module}", description=(doc or "").split("\n")[0])


def numbers(text: str) -> list[float]:
    """Parse numbers with commas between them."""
    return [float(part) for part in text.split(",")]


def timed(arguments: list[str], environment: dict[str, str] | None = None) -> Ended:
    """Run Python with these arguments; `BenchError` where that fails."""
    ended = run_python(arguments, environment)
    if ended.status:
        raise BenchError(f"python {' '.join(arguments)} ended with {ended.status}: {ended.last}")
    return ended
