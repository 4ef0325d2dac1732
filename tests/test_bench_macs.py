"""The count of multiply-accumulates."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from bench.inside import macs
from entropy.layers import Pointwise


def test_a_known_convolution() -> None:
    layer = torch.nn.Conv2d(8, 12, 3, stride=2, padding=1, groups=4)
    before = torch.nn.functional.conv2d
    with macs.counted() as counts:
        layer(torch.zeros(2, 8, 10, 6))
    assert counts == {"other": 2 * 5 * 3 * 12 * (8 // 4) * 9}
    assert torch.nn.functional.conv2d is before
    with macs.counted() as counts:
        Pointwise(8, 12)(torch.zeros(2, 8, 10, 6))
    assert counts == {"other": 2 * 10 * 6 * 12 * 8}


def test_of_a_decode(photo, tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(photo).save(tmp_path / "photo.png")
    assert macs.main([str(tmp_path / "photo.png"), "--quality", "60"]) == 0
    rows = dict(line.rsplit(maxsplit=2)[:2] for line in capsys.readouterr().out.splitlines())
    parts = {name.strip(): float(value) for name, value in rows.items()}
    total = parts.pop("decode")
    assert set(parts) == {"head", "probability model", "transform"}
    assert total == pytest.approx(sum(parts.values()), abs=0.03)
    assert 5 < total < 100  # the bound that the design sets
