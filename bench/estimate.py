"""Real bytes against what the floating-point model estimates, for a training checkpoint.

    python -m bench.estimate run/checkpoint.pt PHOTOS

Exports the checkpoint as it would ship, encodes every photo, and prints for each quality the mean bpp of the float
model's estimate (true rounding), of the coded payload, and their ratio: the cost of integers, tables and coder.
"""
from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from bench.images import list_images, read_image
from codec import api, weights
from codec.export import from_checkpoint


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.estimate", description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--qualities", default="5,25,50,75,100", help="comma-separated (default: %(default)s)")
    a = parser.parse_args(argv)
    model, _ = from_checkpoint(a.checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        path.write_bytes(weights.pack(model, {}))
        session = api._Session(weights.read(path), torch.device("cpu"))
    # the same float16 networks on both sides: only the probability model differs
    model.load_state_dict({**model.state_dict(), **session.model.state_dict()})
    model.f.couplings = session.model.f.couplings
    print(f"{'quality':>7} {'estimate':>9} {'payload':>9} {'mean ratio':>10} {'worst':>7}")
    for quality in [float(q) for q in a.qualities.split(",")]:
        estimates, payloads = [], []
        for photo in list_images(a.folder):
            pixels = read_image(photo)
            area = pixels.shape[0] * pixels.shape[1]
            code = round(quality * 256)
            with torch.no_grad():
                out = model(api._tensor(pixels), torch.tensor([code / api.QUALITY_STEPS]), hard=True, pixels=False)
            estimates.append(out.bits.item() / area)
            payloads.append(8 * len(session.prior.encode(session.quantise(session.bands(pixels), code), code)[0]) / area)
        ratios = np.array(payloads) / np.array(estimates)
        print(f"{quality:7g} {np.mean(estimates):9.4f} {np.mean(payloads):9.4f} {ratios.mean():10.4f} {ratios.max():7.4f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
