"""What irc takes from the shell beyond `import torch`."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.errors import BenchError
from bench.inside import startup
from bench.inside.program import timed
from bench.inside.startup import BASE
from bench.runs.child import Ended, run_python


def test_commands_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "a.png")
    calls: list[list[str]] = []

    def run(arguments: list[str], environment: dict[str, str]) -> Ended:
        assert environment["OMP_NUM_THREADS"] == "3" and "PYTHONDONTWRITEBYTECODE" not in environment
        calls.append(arguments)
        # the first turn is slow
        seconds = (
            9.0
            if len(calls) < 6
            else {BASE: 2.0, "info": 1.0, "encode": 3.0, "decode": 2.5}[arguments[min(2, len(arguments) - 1)]]
        )
        return Ended(seconds, seconds * 2, 0, 0, "", False)

    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(startup, "timed", run)
    startup.main([str(tmp_path / "a.png"), "--threads", "3", "--repeats", "2"])
    assert [a[2] if len(a) > 2 else a[1] for a in calls] == ["encode", *[BASE, "info", "encode", "decode"] * 3]
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| `import torch` | 2.00 (2.00–2.00) |  | 4.00 (4.00–4.00) |  |",
        "| `irc info` | 1.00 (1.00–1.00) | -1.00 | 2.00 (2.00–2.00) | -2.00 |",
        "| `irc encode` | 3.00 (3.00–3.00) | +1.00 | 6.00 (6.00–6.00) | +2.00 |",
        "| `irc decode` | 2.50 (2.50–2.50) | +0.50 | 5.00 (5.00–5.00) | +1.00 |",
    ]


def test_a_process_is_timed() -> None:
    run = timed(["-c", "print(sum(range(3_000_000)))"], {})
    assert run.processor > 0.01 and run.wall > 0.01 and run.peak > 1e6
    assert run.last == str(sum(range(3_000_000)))
    with pytest.raises(BenchError, match="ended with 3"):
        timed(["-c", "raise SystemExit(3)"], {})


def test_a_process_that_takes_too_long() -> None:
    run = run_python(["-c", "import time; time.sleep(60)"], timeout=0.3)
    assert run.late and run.wall < 30 and run.last == "signal 9"
