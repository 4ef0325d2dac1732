"""Train a rescaling network (codec/rescale/network.py).

    python -m codec.training.rescaling PHOTOS... --valid FOLDER --config docs/settings/rescaling-2.json --out run
    python -m codec.training.rescaling PHOTOS... --out run --resume      # goes on exactly where it stood

Writes run/checkpoint.pt, run/log.jsonl and run/config.json, as codec/training/train.py does.
`python -m codec.training.export` makes weights of the first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from codec.rescale.network import DETAIL, Rescaler, Shape
from codec.rescale.objective import Errors, bicubic, errors, objective, stored
from codec.training import checkpoint
from codec.training.run import Asked, Run, command, train
from codec.training.settings import RunSettings, TrainingError, setting

MEASURED = 32  #: batches on which what is missing is measured
LARGEST_SIDE = 256  #: of the part of a held-out photo that an evaluation takes


@dataclass(frozen=True)
class RescalingSettings(RunSettings):
    """What a run of rescaling depends on, apart from its photos and the network's shape."""

    colour: float = setting(1.0, "The error over red, green and blue has this weight beside that of luma.")
    guidance: float = setting(
        300.0, "The squared error of the small picture against the bicubic reduction (of full scale) has this weight."
    )
    floor: float = setting(1e-5, "The errors of a photo count by their logarithm, to which this is added before.")


def grown(state: dict[str, Tensor], network: Rescaler) -> dict[str, Tensor]:
    """The state of `network` that computes what `state`, of narrower predictors, does (Net2Net, arXiv 1511.05641).

    New channels start as half of what they were drawn, and nothing that was there before listens to them. ValueError
    where a tensor is missing or became smaller.
    """
    out = network.state_dict()
    for name, fresh in out.items():
        given = state.get(name)
        if given is None or any(a > b for a, b in zip(given.shape, fresh.shape, strict=True)):
            raise ValueError(f"{name} is not in the smaller network")
        if given.shape != fresh.shape:
            fresh = fresh / 2 if name.endswith("weight") and ".last." not in name else torch.zeros_like(fresh)
            if fresh.ndim == 4:
                fresh[: len(given), given.shape[1] :] = 0
            fresh[tuple(slice(n) for n in given.shape)] = given
        out[name] = fresh if given.shape != out[name].shape else given.clone()
    return out


class RescalingRun(Run):
    """A run of a rescaling network."""

    columns = ("luma", "colour", "small")
    settings: RescalingSettings
    config: Shape
    model: Rescaler

    def fresh(self) -> Rescaler:
        """A new model."""
        return Rescaler(self.config)

    def first(self, start: Sequence[Path]) -> None:
        """The weights that a run begins with."""
        if len(start) > 1:
            raise TrainingError("a rescaling network begins with one checkpoint at most")
        for path in start:
            given = checkpoint.read(path, self.process.device)
            try:
                self.model.load_state_dict(grown(given["average"], self.model))
            except (KeyError, ValueError) as error:
                raise TrainingError(f"{path}: not weights of this network or a narrower one ({error})") from error

    def errors(self, model: Rescaler, x: Tensor) -> Errors:
        """Photos N,3,H,W in 0..1 down and up again."""
        return errors(model, x, model(x)[0], bicubic(x, model.shape.scale))

    def loss(self, done: float) -> tuple[Tensor, list[Tensor]]:
        """Of the next batch, what is minimised and what is reported."""
        x = self.crops.batch(self.settings.crops)[0] / 255
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bfloat16):
            found = self.errors(self.model, x)
        s = self.settings
        loss = objective(found, s.colour, s.guidance, s.floor)
        return loss, [loss, *(decibels(e.detach()).mean() for e in found)]

    @torch.no_grad()
    def evaluation(self, model: nn.Module, held_out: list[np.ndarray]) -> tuple[str, Any]:
        """Held-out photos with these weights."""
        if not isinstance(model, Rescaler):
            raise TypeError(f"not a rescaling network: {type(model).__name__}")
        rows = []
        for image in held_out:
            side = [min(n, LARGEST_SIDE) // model.shape.scale * model.shape.scale for n in image.shape[:2]]
            x = torch.tensor(image[: side[0], : side[1]], device=self.process.device).permute(2, 0, 1)[None] / 255
            rows.append([float(decibels(e)) for e in self.errors(model, x)])
        means = dict(zip(self.columns, np.mean(rows, 0).tolist(), strict=True))
        return "  ".join(f"{name} {value:.2f} dB" for name, value in means.items()), means

    @torch.no_grad()
    def finish(self) -> None:
        """How strong a drawing decoder draws: as what is missing of training photos, by channel of the details."""
        network, seen = self.fresh().to(self.process.device), []
        network.load_state_dict(self.average)
        for _ in range(MEASURED):
            seen.append(missing(network, self.crops.batch(self.settings.crops)[0] / 255))
        self.average["deviation"].copy_(torch.stack(seen).mean(0).sqrt())


def missing(network: Rescaler, x: Tensor) -> Tensor:
    """Mean squares of what is missing of photos N,3,H,W that went down and up: a row of detail channels a halving."""
    rest, rows = x - network.inverse(stored(network(x)[0])), []
    for part in network.halvings:
        y = part.parts[0](rest)  # the Haar wavelet alone
        rows.append(y[:, :DETAIL].square().mean((0, 2, 3)))
        rest = y[:, DETAIL:]
    return torch.stack(rows)


def decibels(square: Tensor) -> Tensor:
    """PSNR of mean squared errors of full scale."""
    return -10 / math.log(10) * torch.log(square.clamp(min=1e-12))


def main(argv: list[str] | None = None) -> int:
    """The command line."""

    def run(asked: Asked, settings: RescalingSettings, shape: Shape) -> None:
        train(RescalingRun, asked, settings, shape)

    kinds = RescalingSettings, Shape
    return command(argv, "codec.training.rescaling", "Train a rescaling network on photos.", kinds, run)


if __name__ == "__main__":
    raise SystemExit(main())
