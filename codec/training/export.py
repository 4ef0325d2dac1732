"""Make shipped weights from a checkpoint of training: averaged weights, integer model, tables.

python -m codec.training.export run/checkpoint.pt codec/weights/irc1.safetensors
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch

from codec.network.model import Codec
from codec.network.weights import pack
from entropy.config import Config

LICENCE = (
    "Weights: CC BY-SA 4.0, the licence of the largest set among the training photos. Some photos come under "
    "other terms (GPL packages, the Unsplash and Pexels licences): see docs/training.md."
)
CREDITS = (
    "Trained on photos of Cloudinary CID22 (CC BY-SA 4.0; originals from Pexels), of Wikimedia Commons "
    "contributors (CC BY, CC BY-SA, public domain), dedbox/gallery and link-u (CC BY-SA 4.0), the wallpaper "
    "collections of Ubuntu MATE, Lomiri, Solus, Budgie, openSUSE, Pop!_OS, elementary and deepin (CC0, CC BY, "
    "CC BY-SA, Unsplash licence), of KDE Plasma and MATE (GPL-2+), Vendure (GPL-3.0/MIT) and Drupal (GPL-2.0+) "
    "demo content, Unsplash photographers by way of theme and demo repositories (Unsplash licence), Microsoft "
    "samples (MIT), Nextcloud (CC BY) and others; the whole list is in docs/training.md."
)


def from_checkpoint(path: Path) -> tuple[Codec, dict]:
    """The averaged model of a checkpoint, and the checkpoint."""
    state = torch.load(path, map_location="cpu", weights_only=False)
    model = Codec(Config(**{k: tuple(v) if isinstance(v, list) else v for k, v in state["config"].items()}))
    model.load_state_dict(state["average"])
    return model.eval(), state


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m codec.training.export", description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("weights", type=Path, help="file to write (.safetensors)")
    a = parser.parse_args(argv)
    model, state = from_checkpoint(a.checkpoint)
    data = pack(
        model,
        {"licence": LICENCE, "credits": CREDITS, "training": f"{state['step']} steps, {state['minutes']:.0f} minutes"},
    )
    part = a.weights.with_suffix(".part")
    part.write_bytes(data)
    os.replace(part, a.weights)
    print(f"{a.weights}: {len(data)} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
