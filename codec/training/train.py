"""Train a model on photos.

    python -m codec.training.train PHOTOS... --valid FOLDER --minutes 60 --out run
    python -m codec.training.train PHOTOS... --out run --resume              # goes on exactly where it stood
    python -m codec.training.train --config docs/settings/head.json --start docs/settings/shipped.pt PHOTOS... --out run
    torchrun --nproc-per-node 2 -m codec.training.train PHOTOS... --out run  # several processes, one batch each

Writes run/checkpoint.pt (everything needed to resume), run/log.jsonl (a line a report, to plot) and run/config.json.
Interrupting it at any time loses at most `save_minutes`. `python -m codec.training.export` makes weights of the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from codec.network.model import Codec, Forward
from codec.training.evaluate import evaluate
from codec.training.grow import start_from
from codec.training.run import Asked, Run, command, train
from codec.training.settings import Settings
from entropy.config import Config

#: parameters that are tables over qualities or channels, not networks
TABLES = ("log_gain", "side_log_gain", "head.log_scale")


def rate_distortion(result: Forward, lam: Tensor, area: int, rate_power: float = 0.0) -> Tensor:
    """Mean of bpp + lambda x MSE (of 0..255: lambda is CompressAI's, whose RateDistortionLoss this is where all
    lambdas are equal), each image weighted by (lambda / 0.02)^-rate_power. lam: N; area: pixels an image.
    """
    return ((result.bits / area + lam * result.mse) * (lam / 0.02) ** -rate_power).mean()


class CodecRun(Run):
    """A run of the codec: rate and distortion at qualities from 0 to 1."""

    columns = ("nll",)
    settings: Settings
    config: Config
    model: Codec

    def fresh(self) -> Codec:
        """A new model."""
        return Codec(self.config)

    def optimised(self) -> dict[str, nn.Parameter]:
        """What learns: all, or what the settings name."""
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(not self.settings.only or name.startswith(self.settings.only))
        learning = super().optimised()
        self.with_rate = any(name.startswith(("prior", "side", "f.", "log_gain")) for name in learning)
        self.with_distortion = any(name.startswith(("head", "f.", "log_gain")) for name in learning)
        return learning

    def groups(self, learning: dict[str, nn.Parameter]) -> list[dict[str, Any]]:
        """Tables of steps and scales are apart."""
        tables = [p for name, p in learning.items() if name in TABLES]
        networks = super().groups({name: p for name, p in learning.items() if name not in TABLES})
        return [*networks, {"params": tables, "times": self.settings.table_rate}]

    def first(self, start: Sequence[Path]) -> None:
        """The weights that a run begins with."""
        if start:
            start_from(self.model, start)
        else:
            self.model.start(torch.cat([self.crops.batch(64)[0] for _ in range(4)]))

    def loss(self, done: float) -> tuple[Tensor, list[Tensor]]:
        """Of the next batch, what is minimised and what is reported."""
        settings, model = self.settings, self.model
        model.f.couplings = done >= settings.couplings_from
        x, u = self.crops.batch(settings.crops)
        quality = torch.where(u[0] < settings.band_share, 0.7 * u[1], u[1])
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bfloat16):
            result = self.forward(
                x,
                quality,
                hard=done >= settings.hard_from,
                pixels=model.f.couplings,
                rate=self.with_rate,
                distortion=self.with_distortion,
                caution=settings.caution,
            )
        loss = rate_distortion(result, model.lambda_at(quality), settings.size**2, settings.rate_power)
        likelihood = result.nll.mean()
        return loss + settings.likelihood_weight * likelihood, [loss, likelihood]

    def constrain(self) -> None:
        """Steps stay near their start."""
        first, reach = self.model.log_gain_start, self.settings.gain_range
        self.model.log_gain.clamp_(first - reach, first + reach)

    def evaluation(self, model: nn.Module, held_out: list[np.ndarray]) -> tuple[str, Any]:
        """Held-out photos with these weights."""
        if not isinstance(model, Codec):
            raise TypeError(f"not a codec: {type(model).__name__}")
        model.f.couplings = self.model.f.couplings
        rows = evaluate(model, held_out, caution=self.settings.caution)
        return "  ".join(f"{r['bpp']:.3f} bpp {r['psnr']:.2f} dB" for r in rows), rows


def main(argv: list[str] | None = None) -> int:
    """The command line."""

    def run(asked: Asked, settings: Settings, config: Config) -> None:
        train(CodecRun, asked, settings, config)

    return command(argv, "codec.training.train", "Train a model on photos.", (Settings, Config), run)


if __name__ == "__main__":
    raise SystemExit(main())
