"""The README's picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from roundtrip import noise_photo

from bench.figures.readme_picture import GAP, LABEL, main, versions


def test_versions_fit_and_are_what_they_say() -> None:
    photo = noise_photo(160, 192, 2)
    (_, first), (jpeg, _), (irc, likely), (_, drawn) = versions(photo, 5000)
    assert np.array_equal(first, photo) and likely.shape == drawn.shape == photo.shape
    for label in (jpeg, irc):
        assert 4000 < int(label.split()[1]) <= 5000
    assert ((likely.astype(float) - photo) ** 2).mean() < ((drawn.astype(float) - photo) ** 2).mean()


def test_the_sheet_shows_one_part_of_each(tmp_path: Path) -> None:
    photo = noise_photo(160, 192, 2)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    assert (
        main(
            [
                str(tmp_path / "photo.png"),
                "--bytes",
                "5000",
                "--box",
                "30,20,50,40",
                "--scale",
                "2",
                "--out",
                str(tmp_path / "out.png"),
            ]
        )
        == 0
    )
    with Image.open(tmp_path / "out.png") as sheet:
        assert sheet.size == (4 * 100 + 3 * GAP, 80 + LABEL)
        shown = np.asarray(sheet)
    assert np.array_equal(shown[LABEL::2, :100:2], photo[20:60, 30:80])
    assert not np.array_equal(shown[LABEL:, :100], shown[LABEL:, 100 + GAP : 200 + GAP])
