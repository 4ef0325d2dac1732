"""What irc takes from the shell beyond what `import torch` takes, which it cannot avoid.

    python -m bench.inside.startup photo.png --threads 2

`import torch`, `irc info`, `irc encode` and `irc decode` of one photo take turns, each in a process of its own, after
one turn that does not count; so a slow minute of the machine is everybody's. Printed are medians with the smallest and
the largest, and the median less that of `import torch`, by the wall's clock and in seconds of processor.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from statistics import median

from bench.inside.program import parser as program
from bench.inside.program import timed
from bench.runs.child import Ended

BASE = "import torch"


def compared(photo: Path, threads: int, repeats: int) -> dict[str, list[Ended]]:
    """The runs of each command, `BASE` first."""
    # Python keeps what it compiled, as an installed package does
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["OMP_NUM_THREADS"] = str(threads)
    with tempfile.TemporaryDirectory() as folder:
        coded, again, back = (str(Path(folder, name)) for name in ("a.irc", "b.irc", "c.png"))
        irc = ["-m", "codec"]
        timed([*irc, "encode", str(photo), coded], environment)
        commands = {
            BASE: ["-c", BASE],
            "irc info": [*irc, "info", coded],
            "irc encode": [*irc, "encode", "-f", "--device", "cpu", str(photo), again],
            "irc decode": [*irc, "decode", "-f", "--device", "cpu", coded, back],
        }
        runs: dict[str, list[Ended]] = {name: [] for name in commands}
        for turn in range(repeats + 1):
            for name, arguments in commands.items():
                run = timed(arguments, environment)
                if turn:
                    runs[name].append(run)
    return runs


def table(runs: dict[str, list[Ended]]) -> str:
    """The runs as a Markdown table."""
    lines = ["| command | wall, s | less import torch | processor, s | less import torch |", "|---|---|---|---|---|"]
    for name, of in runs.items():
        cells = []
        for clock in ("wall", "processor"):
            seconds, base = ([getattr(run, clock) for run in some] for some in (of, runs[BASE]))
            cells += [
                f"{median(seconds):.2f} ({min(seconds):.2f}–{max(seconds):.2f})",
                f"{median(seconds) - median(base):+.2f}" if name != BASE else "",
            ]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Run the program on its arguments (default: the command line's)."""
    parser = program("bench.inside.startup", __doc__)
    parser.add_argument("photo", type=Path, help="a photo")
    parser.add_argument("--threads", type=int, default=1, help="processor threads (default 1)")
    parser.add_argument("--repeats", type=int, default=7, help="runs of each (default 7)")
    args = parser.parse_args(arguments)
    print(table(compared(args.photo, args.threads, args.repeats)))


if __name__ == "__main__":
    main()
