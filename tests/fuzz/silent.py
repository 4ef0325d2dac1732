"""A long run of structured mutants, each judged by what Pillow sees before and after:

    OMP_NUM_THREADS=1 python tests/fuzz/silent.py --minutes 30 --seed 1

What is altered without a note, and errors that are not ours, are findings: each is written to --out, with what was
mutated; one of each kind is printed.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import donors  # noqa: E402
import judge  # noqa: E402
import mutations  # noqa: E402
from PIL import Image  # noqa: E402

FORMATS = ("png", "png", "png", "jpg", "tif", "webp")


def photo() -> Image.Image:
    """32 x 24 pixels of the sample photo, reduced so that they show something."""
    with Image.open(ROOT / "examples" / "photo.jpg") as image:
        return image.convert("RGB").resize((32, 24), Image.Resampling.LANCZOS)


def case(random: np.random.Generator, pool: list[tuple[str, bytes]], model_every: int) -> tuple[bytes, str, bool, str]:
    """A mutant, what it is, whether to send it through the model, and the format to write."""
    name, data = mutations.picked(random, pool)
    mutant, done = mutations.mutant(random, data)
    through = bool(model_every) and int(random.integers(model_every)) == 0
    return mutant, f"{name}: {'; '.join(done)}", through, "png" if through else donors.one_of(random, *FORMATS)


def kind_of(error: Exception) -> str:
    """Findings of one kind have one name."""
    if not isinstance(error, judge.Findings):
        return f"{type(error).__name__} {re.sub(r'[0-9]+', 'N', str(error))[:60]}"
    aspects = re.findall(r"'(\w+)': ", str(error).partition("; mode")[0])
    return " ".join(aspects) or str(error)[:40]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--model-every", type=int, default=10, help="how many go through encode and decode: one of these"
    )
    parser.add_argument("--out", type=Path, default=Path("findings"))
    a = parser.parse_args()
    warnings.simplefilter("ignore")
    random, pool = np.random.default_rng(a.seed), donors.seeds(photo())
    outcome: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    through_model, said = 0, 0.0
    began, began_cpu = time.monotonic(), time.process_time()
    while (elapsed := time.monotonic() - began) < 60 * a.minutes:
        data, what, through, format = case(random, pool, a.model_every)
        through_model += through
        try:
            outcome[judge.judge(data, through, format)] += 1
        except Exception as error:
            outcome["FINDING"] += 1
            kind = f"{format} {kind_of(error)}"
            kinds[kind] += 1
            if kinds[kind] <= 3:
                a.out.mkdir(exist_ok=True)
                path = a.out / f"{re.sub(r'[^A-Za-z0-9]+', '-', kind)[:60]}-{kinds[kind]}"
                path.write_bytes(data)
                path.with_suffix(".txt").write_text(f"{what}\n{type(error).__name__}: {error}\n")
                print(f"{path.name}: {what}\n    {type(error).__name__}: {str(error)[:700]}", flush=True)
        if elapsed - said > 60:
            said = elapsed
            print(f"{elapsed / 60:.0f} min: {dict(outcome)}", flush=True)
    minutes = (time.process_time() - began_cpu) / 60
    print(
        f"{sum(outcome.values())} files in {elapsed / 60:.1f} min ({minutes:.1f} of processor time), {through_model} of"
    )
    print(f"them through the model: {dict(outcome)}; kinds of findings: {dict(kinds)}")
    return bool(outcome["FINDING"])


if __name__ == "__main__":
    raise SystemExit(main())
