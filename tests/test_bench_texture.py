"""Energy of fine detail, and what drawing gives of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from roundtrip import noise_photo

from bench.inside.texture import energies, main, measure


def test_energies_are_those_of_the_detail_alone() -> None:
    flat = np.full((33, 50, 3), 90, np.uint8)
    assert energies(flat) == pytest.approx([0, 0], abs=1e-6)
    rows, columns = np.indices((64, 64))
    checks = np.where((rows + columns) % 2, 100, 140).astype(np.uint8)[:, :, None].repeat(3, 2)
    fine, coarse = energies(checks)
    assert fine == pytest.approx(4 * 20**2 / 3, rel=0.01)  # orthonormal: of 4 pixels in one of 3 coefficients
    assert coarse < 0.01 * fine


def test_drawing_brings_energy_and_costs_psnr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(noise_photo(96, 128)).save(tmp_path / "photo.png")
    likely, drawn = measure(tmp_path, 20, [0, 1])
    assert likely[0] < drawn[0] and likely[4] > drawn[4]
    assert main([str(tmp_path), "--qualities", "20", "--temperatures", "0,1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and [float(n) for n in lines[2].split()[2:6]] == pytest.approx(likely[:4], abs=0.006)
