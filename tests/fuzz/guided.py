"""Coverage-guided fuzzing with atheris (pip install atheris; Linux, Python up to 3.13):

    python tests/fuzz/guided.py -max_total_time=1800 -max_len=4096 findings tests/fuzz/corpus

Mutants come from libFuzzer, get right CRCs (half of them) and go through everything that reads an .irc file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris
import numpy as np

sys.path[:0] = [str(Path(__file__).parent.parent.parent), str(Path(__file__).parent)]

with atheris.instrument_imports(include=["codec", "entropy", "PIL"]):
    import targets

POOLS = targets.seeds()


def one(data: bytes) -> None:
    targets.accepts(targets.decode, data)


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    random = np.random.default_rng(seed)
    if random.random() < 0.5:
        return targets.mutant(random, [data, *POOLS["irc"]], True)[:max_size]
    changed = atheris.Mutate(data, max_size)
    return targets.repaired(changed)[:max_size] if random.random() < 0.5 else changed


if __name__ == "__main__":
    atheris.Setup(sys.argv, one, custom_mutator=mutate)
    atheris.Fuzz()
