"""Real bytes against what the floating-point model estimates, for a training checkpoint.

    python -m bench.inside.integer_cost run/checkpoint.pt PHOTOS

Exports the checkpoint as it would ship, encodes every photo, and prints for each quality the mean bpp of the float
model's estimate for the latent that the file holds (symbols of the lowest scale are not coded and cost nothing), of the
coded payload, and their ratio (mean, least and most over photos): the cost of integers, tables and coder. `saved` is
what the encoder saves beforehand by rounding by cost, as a share of the estimate for the nearest integers.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from bench.inside.program import numbers
from bench.inside.program import parser as program
from bench.runs.images import list_images, read_image
from codec.container.bitstream import QUALITY_STEPS, in_steps
from codec.network import weights
from codec.network.model import Codec
from codec.network.session import Session
from codec.training.export import from_checkpoint
from entropy.config import BANDS
from entropy.latent import Latent


@torch.no_grad()
def estimated(model: Codec, latent: Latent, quality: torch.Tensor, coded: list[torch.Tensor]) -> float:
    """Bits that the floating-point model gives what is coded of a latent."""
    side, *ks = (torch.from_numpy(a.astype(np.float32))[None] for a in (latent.side, *latent.k))
    given = model.prior_inputs(quality, coded)
    bits = model.prior.side_bits(side, side, given.at, skipped=True) + model.prior(side, ks, ks, given, skipped=True)
    return bits.item()


def main(argv: list[str] | None = None) -> int:
    """Run the program on its arguments (default: the command line's)."""
    parser = program("bench.inside.integer_cost", __doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--qualities", type=numbers, default="5,25,50,75,100", help="comma-separated (default: %(default)s)"
    )
    a = parser.parse_args(argv)
    model, _ = from_checkpoint(a.checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        path.write_bytes(weights.pack(model, {}))
        session = Session(weights.read(path), torch.device("cpu"))
    # the same float16 networks on both sides: only the probability model differs
    model.load_state_dict({**model.state_dict(), **session.model.state_dict()})
    model.f.couplings = session.model.f.couplings
    print(f"{'quality':>7} {'estimate':>9} {'payload':>9} {'mean ratio':>10} {'least':>7} {'most':>7} {'saved':>7}")
    for quality in a.qualities:
        code = in_steps(quality)
        q = torch.tensor([code / QUALITY_STEPS])
        rows = []
        for photo in list_images(a.folder):
            pixels = read_image(photo)
            bands = session.bands(pixels)
            rounded = session.quantise(bands, code)
            stream, held = session.encode(bands, code)
            coded = [
                torch.from_numpy(c)[None, :, None, None].float()
                for c in np.split(session.prior.coded(code), np.cumsum(BANDS)[:-1])
            ]
            before, estimate = (estimated(model, latent, q, coded) for latent in (rounded, held))
            area = pixels.shape[0] * pixels.shape[1]
            rows.append((estimate / area, 8 * len(stream) / area, 1 - estimate / before))
        estimates, payloads, saved = np.array(rows).T
        ratios = payloads / estimates
        print(
            f"{quality:7g} {estimates.mean():9.4f} {payloads.mean():9.4f} {ratios.mean():10.4f} {ratios.min():7.4f} "
            f"{ratios.max():7.4f} {saved.mean():7.4f}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
