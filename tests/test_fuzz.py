"""Seeded mutants of .irc files, pictures and weights: nothing but an answer or an error of ours, in bounded memory."""

from __future__ import annotations

import resource
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))

import targets  # noqa: E402

MUTANTS = {"irc": 2500, "picture": 1200, "weights": 60}
MEGABYTES = 300  #: that the peak may grow by
SECONDS = 20  #: of processor time, for the slowest mutant


@pytest.fixture(autouse=True)
def with_test_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRC_WEIGHTS", str(targets.DATA))


@pytest.fixture(scope="module")
def pools() -> dict[str, list[bytes]]:
    return targets.seeds()


def test_seeds_are_valid(pools: dict[str, list[bytes]]) -> None:
    """Mutants of what is refused anyway would test little: of the pictures only CMYK without a profile is."""
    refused = {
        name: sum(not targets.accepts(targets.TARGETS[name], data) for data in pool) for name, pool in pools.items()
    }
    assert refused == {"irc": 0, "picture": 1, "weights": 0}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants(name: str, pools: dict[str, list[bytes]]) -> None:
    random, taken = np.random.default_rng(1), 0
    targets.accepts(targets.TARGETS[name], pools[name][0])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(MUTANTS[name]):
            data = targets.mutant(random, pools[name], name == "irc")
            started = time.process_time()
            taken += targets.accepts(targets.TARGETS[name], data)
            assert time.process_time() - started < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEGABYTES * 1024
    assert taken < MUTANTS[name] // 2


def test_corpus() -> None:
    """The guided fuzzer's corpus: what reached something new."""
    files = sorted((targets.FOLDER / "corpus").iterdir())
    taken = [targets.accepts(targets.decode, path.read_bytes()) for path in files]
    assert len(files) > 20 and any(taken) and not all(taken)
