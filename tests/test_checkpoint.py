"""Checkpoints: whole or in parts, never half written, and without anything that runs when it is read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from codec import atomic
from codec.training import checkpoint
from codec.training.settings import TrainingError

STATE = {"average": {"weight": torch.arange(600_000, dtype=torch.float32)}, "config": {"side": 4}, "step": 1}


@pytest.mark.parametrize("mebibytes", [0, 1, 16])
def test_what_is_written_is_read(tmp_path: Path, mebibytes: int) -> None:
    path = tmp_path / "checkpoint.pt"
    for step in (1, 2):  # the second replaces the first
        checkpoint.write(path, STATE | {"step": step}, mebibytes)
        assert len(list(tmp_path.iterdir())) == (4 if mebibytes == 1 else 1)
        assert all(p.stat().st_size <= 1 << 20 for p in tmp_path.iterdir()) == (mebibytes == 1)
        state = checkpoint.read(path)
        assert state["step"] == step and torch.equal(state["average"]["weight"], STATE["average"]["weight"])


def test_an_interrupted_write_leaves_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.write(path, STATE, 1)
    whole = atomic.write
    for allowed in range(4):  # three parts, and what names them
        calls: list[Path] = []

        def write(to: Path, data: bytes, allowed: int = allowed, calls: list[Path] = calls) -> None:
            if len(calls) == allowed:
                raise KeyboardInterrupt
            calls.append(to)
            whole(to, data)

        with monkeypatch.context() as patch:
            patch.setattr(atomic, "write", write)
            with pytest.raises(KeyboardInterrupt):
                checkpoint.write(path, STATE | {"step": 2}, 1)
        assert checkpoint.read(path)["step"] == 1
    checkpoint.write(path, STATE | {"step": 2}, 1)
    assert checkpoint.read(path)["step"] == 2 and len(list(tmp_path.iterdir())) == 4


class Stranger:
    """What only a pickle that may run code can hold."""


def test_what_cannot_be_read_is_said_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    for content in (STATE | {"random": Stranger()}, {"model": 1}, [1], b"no checkpoint", b"", None):
        path.unlink(missing_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            torch.save(content, path)
        with pytest.raises(TrainingError, match=re.escape(str(path))) as error:
            checkpoint.read(path)
        assert "\n" not in str(error.value)


def test_a_damaged_part_is_found(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.write(path, STATE, 1)
    part = sorted(tmp_path.glob("*.bin"))[1]
    data = bytearray(part.read_bytes())
    data[1000] ^= 1
    part.write_bytes(data)
    with pytest.raises(TrainingError, match="parts"):
        checkpoint.read(path)
    part.unlink()
    with pytest.raises(TrainingError, match="No such file"):
        checkpoint.read(path)
