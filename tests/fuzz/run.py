"""A long run of seeded mutants: python tests/fuzz/run.py --minutes 30 --seed 1

Every finding is written to --out and ends the run with exit status 1; the summary counts what was tried.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import targets  # noqa: E402

SLOW = 20.0  #: seconds of processor time for one mutant; nothing valid in the corpus takes a hundredth of it


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("findings"))
    a = parser.parse_args()
    warnings.simplefilter("ignore")
    pools, random = targets.seeds(), np.random.default_rng(a.seed)
    for name, pool in pools.items():
        for data in pool:
            targets.accepts(targets.TARGETS[name], data)
    tried: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    findings, slowest = 0, 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, began_cpu, said = time.monotonic(), time.process_time(), 0.0
    names = ["irc", "irc", "irc", "irc", "picture", "picture", "weights"]
    while (elapsed := time.monotonic() - began) < 60 * a.minutes:
        name = names[sum(tried.values()) % len(names)]
        data = targets.mutant(random, pools[name], name == "irc")
        started = time.process_time()
        try:
            taken[name] += targets.accepts(targets.TARGETS[name], data)
            slow = time.process_time() - started > SLOW
        except Exception:
            traceback.print_exc()
            slow = True
        slowest = max(slowest, time.process_time() - started)
        tried[name] += 1
        if slow:
            findings += 1
            a.out.mkdir(exist_ok=True)
            (a.out / f"{name}-{findings}").write_bytes(data)
        if elapsed - said > 60:
            said = elapsed
            print(f"{elapsed / 60:.0f} min: {dict(tried)}, {findings} findings", flush=True)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"{sum(tried.values())} mutants in {elapsed / 60:.1f} min ({(time.process_time() - began_cpu) / 60:.1f} min of "
        f"processor time): {dict(tried)}; taken {dict(taken)}; {findings} findings; slowest {slowest:.2f} s; "
        f"peak memory grew by {grown:.0f} MB"
    )
    return findings > 0


if __name__ == "__main__":
    raise SystemExit(main())
