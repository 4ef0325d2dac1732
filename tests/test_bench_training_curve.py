"""Curves of training: read from a log, smoothed, drawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.inside.training_curve import main, read_log, smooth


def log(path: Path, cheaper: float = 0.9) -> Path:
    rows: list[dict] = [{"step": 100 * n, "minutes": n, "loss": 2 / n, "nll": 0, "norm": 1} for n in range(1, 21)]
    for step, factor in ((0, 1.0), (2000, cheaper)):
        rows.append(
            {"step": step, "valid": [{"quality": 10 * i, "bpp": factor * 2**i, "psnr": 25 + 4 * i} for i in range(4)]}
        )
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_gain_against_the_first_evaluation(tmp_path: Path) -> None:
    run = read_log(log(tmp_path / "log.jsonl"))
    assert run.evaluated == [0, 2000] and run.gains == pytest.approx([0, -10])
    assert run.steps[-1] == 2000 and run.losses[-1] == pytest.approx(0.1)


def test_smooth() -> None:
    assert smooth([4, 2, 0]).tolist() == [4, 3, 2]
    assert smooth([100, *[1] * 10])[-1] == 1


def test_drawn(tmp_path: Path) -> None:
    logs = [str(log(tmp_path / name / "log.jsonl")) for name in ("first", "second")]
    out = tmp_path / "curve.svg"
    assert main([*logs, "--out", str(out)]) == 0
    assert ">first<" in out.read_text() and ">second<" in out.read_text()


@pytest.mark.parametrize("text", ["", "{}", "[", '{"loss": 1}', '{"step": 1, "valid": 3}', "7"])
def test_not_a_log(tmp_path: Path, text: str) -> None:
    (tmp_path / "log.jsonl").write_text(text)
    with pytest.raises(BenchError):
        read_log(tmp_path / "log.jsonl")
    with pytest.raises(SystemExit):
        main([str(tmp_path / "log.jsonl"), "--out", str(tmp_path / "x.png")])
