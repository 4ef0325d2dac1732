"""What drawing the lost information gives: energy of fine detail, and what metrics say.

    python -m bench.inside.texture PHOTOS --qualities 10,20,30

Each photo is encoded once a quality and decoded at each temperature. Energy is the mean square of the luma bands of a
9/7 wavelet at 1/2 and 1/4, decoded over original; of the photos the ratio of the sums, and the median ratio. PSNR falls
where detail is drawn, since what is drawn is not what was there; SSIMULACRA2 is a perceptual metric.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import codec
from bench.inside.program import numbers
from bench.inside.program import parser as program
from bench.runs.images import list_images, read_image
from codec.metrics.distortion import Image8, psnr
from codec.metrics.ssimulacra2 import ssimulacra2
from codec.network.blocks import Wavelet

LUMA = (0.299, 0.587, 0.114)


def energies(pixels: Image8) -> list[float]:
    """Mean square of the luma detail at 1/2 and at 1/4."""
    height, width = (n // 4 * 4 for n in pixels.shape[:2])
    low = torch.from_numpy(pixels[:height, :width] @ np.array(LUMA, np.float32)).expand(1, 3, -1, -1)
    found = []
    for _ in range(2):
        bands = Wavelet(3)(low)
        low, detail = bands[:, :3], bands[:, 3:]
        found.append(float(detail.double().square().mean()))
    return found


def measure(folder: Path, quality: float, temperatures: list[float]) -> list[list[float]]:
    """A row for each temperature: sum and median ratios of energy at 1/2 and 1/4, mean PSNR, mean SSIMULACRA2."""
    before: list[list[float]] = []
    after: list[list[list[float]]] = [[] for _ in temperatures]
    figures: list[list[tuple[float, float]]] = [[] for _ in temperatures]
    for path in list_images(folder):
        image = read_image(path)
        data = codec.encode(image, quality, temperature=max(temperatures))  # with the noise of the picture
        before.append(energies(image))
        for i, temperature in enumerate(temperatures):
            decoded = np.asarray(codec.decode(data, temperature=temperature))
            after[i].append(energies(decoded))
            figures[i].append((psnr(image, decoded), ssimulacra2(image, decoded)))
    original = np.array(before)
    rows = []
    for decoded_energies, found in zip(after, figures):
        a = np.array(decoded_energies)
        sums, medians = a.sum(0) / original.sum(0), np.median(a / original, 0)
        rows.append([sums[0], medians[0], sums[1], medians[1], *np.mean(found, 0)])
    return rows


def main(argv: list[str] | None = None) -> int:
    """Run the program on its arguments (default: the command line's)."""
    parser = program("bench.inside.texture", __doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--qualities", type=numbers, default="10,20,30", help="comma-separated (default: %(default)s)")
    parser.add_argument(
        "--temperatures", type=numbers, default="0,0.5,1", help="comma-separated (default: %(default)s)"
    )
    a = parser.parse_args(argv)
    temperatures = a.temperatures
    print(f"{'':13}{'energy at 1/2':>16}{'energy at 1/4':>16}")
    print(f"{'quality':>7}{'T':>6}{'sum':>8}{'median':>8}{'sum':>8}{'median':>8}{'PSNR':>9}{'SSIMULACRA2':>13}")
    for quality in a.qualities:
        for temperature, row in zip(temperatures, measure(a.folder, quality, temperatures)):
            ratios = "".join(f"{v:8.2f}" for v in row[:4])
            print(f"{quality:7g}{temperature:6g}{ratios}{row[4]:9.2f}{row[5]:13.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
