"""The settings of a run, each declared once with its meaning; docs/training.md prints them as a table."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entropy.config import MULTIPLE

PRECISIONS = ("auto", "float32", "bfloat16")


class TrainingError(Exception):
    """Why a run cannot be; the message is for whoever started it."""


def setting(default: Any, meaning: str) -> Any:
    """A field of `Settings` with this default; the meaning is a whole sentence."""
    return dataclasses.field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True)
class RunSettings:
    """What every run of training depends on, apart from its photos and its model."""

    minutes: float = setting(60.0, "The whole run lasts this many minutes, and the schedules fit into them.")
    max_steps: int = setting(0, "If not 0, the run and its schedules last this many steps, whatever the time.")
    crops: int = setting(
        8, "A batch has this many crops: few on a CPU, where early steps are worth more than smooth ones."
    )
    size: int = setting(128, "A crop has sides of this many pixels, a multiple of 32.")
    rescale: float = setting(
        0.5, "This share of the crops is first reduced by a random factor of 1 to 2, which makes them sharper."
    )
    learning_rate: float = setting(1e-3, "The step size at its highest: after the warm-up it falls along a cosine.")
    last_rate: float = setting(0.02, "At the end of the run this share of the learning rate is left.")
    muon: bool = setting(True, "Convolutions are trained by Muon instead of Adam: 1.2 % less loss after 600 steps.")
    warmup: int = setting(100, "The learning rate rises linearly over this many steps.")
    clip: float = setting(2.0, "Gradients are scaled down to this norm.")
    average: float = setting(
        0.998, "The exported weights are an exponential average over steps, of which each step keeps this share."
    )
    precision: str = setting(
        "auto", "Networks run in `float32` or `bfloat16`; `auto` takes bfloat16 where the processor multiplies in it."
    )
    compile: bool = setting(False, "The model is compiled by `torch.compile`.")
    seed: int = setting(0, "Two runs with the same seed, settings and photos on one machine are the same.")
    report_steps: int = setting(100, "The mean loss is printed and logged every so many steps, and at the end.")
    save_minutes: float = setting(3.0, "A checkpoint is written every so many minutes, and at the end.")
    checkpoint_mib: int = setting(
        0, "If not 0, a checkpoint of more mebibytes is written as several files of at most this size."
    )
    valid_minutes: float = setting(
        15.0, "Held-out photos are evaluated, with rounded coefficients, every so many minutes, and at both ends."
    )
    valid_photos: int = setting(8, "An evaluation takes this many of the held-out photos, spread over them.")

    def __post_init__(self) -> None:
        """TrainingError for a value that no run can have."""
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            kinds = (int, float) if isinstance(f.default, float) else (type(f.default),)
            if type(value) not in kinds:
                raise TrainingError(f"setting {f.name} cannot be {value!r}")
        if self.size < MULTIPLE or self.size % MULTIPLE:
            raise TrainingError(f"setting size is {self.size}, not a multiple of {MULTIPLE}")
        if min(self.crops, self.report_steps, self.warmup, self.valid_photos) < 1:
            raise TrainingError("settings crops, report_steps, warmup and valid_photos are at least 1")
        if self.precision not in PRECISIONS:
            raise TrainingError(f"setting precision is {self.precision}, not one of {', '.join(PRECISIONS)}")


@dataclass(frozen=True)
class Settings(RunSettings):
    """What a run of the codec depends on, apart from its photos and the model's configuration."""

    only: tuple[str, ...] = setting(
        (),
        'If not empty, only parameters whose names begin so are trained: `["head"]` costs a third of a step, '
        '`["prior", "side"]` two thirds, since the networks that are not needed do not run.',
    )
    table_rate: float = setting(
        10.0, "Tables of steps and scales learn this many times as fast, since Adam moves them by the rate at most."
    )
    couplings_from: float = setting(
        0.6, "For this share of the run the couplings are left out, and a step costs half; 1 never trains them."
    )
    hard_from: float = setting(
        0.4,
        "After this share of the run the rate is that of rounded coefficients; before, of uniform noise, which costs "
        "0.1 bit a coefficient in an empty band, so that steps grow to escape it.",
    )
    caution: float = setting(
        0.0,
        "If not 0, coefficients are rounded by cost (RDOQ), a squared error counting this many times what it counts "
        "in the encoder.",
    )
    gain_range: float = setting(
        1.0, "Quantisation steps stay within a factor of e to this power of their start, so that no band is lost."
    )
    band_share: float = setting(
        0.6, "This share of the qualities is drawn from 0 to 0.7 (25 to 37 dB), the rest from 0 to 1."
    )
    rate_power: float = setting(
        0.3, "The loss of a crop is weighted by its lambda to minus this power, so that qualities count alike."
    )
    likelihood_weight: float = setting(
        0.02, "The Gaussian likelihood of what is lost (nats a pixel) has this weight beside rate and distortion."
    )


def pick(kind: type, given: dict[str, Any]) -> dict[str, Any]:
    """The given values for a dataclass, lists as tuples; TrainingError for a name that it does not have."""
    known = {f.name for f in dataclasses.fields(kind)}
    for key in given:
        if key not in known:
            raise TrainingError(f"unknown setting '{key}' (known: {', '.join(sorted(known))})")
    return {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}


def given_settings(
    path: Path | None, items: Sequence[str], minutes: float | None, kinds: tuple[type, type]
) -> tuple[Any, Any]:
    """Settings and the model's configuration, of these classes: those of a JSON file, if any, overruled by KEY=VALUE
    items, which may name either, and by minutes.
    """
    try:
        given = json.loads(path.read_text()) if path else {}
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: no settings ({error})") from error
    settings, model = dict(given.get("settings", {})), dict(given.get("model", {}))
    for item in items:
        key, _, text = item.partition("=")
        try:
            value = json.loads(text)
        except ValueError:  # a word without quotes
            value = text
        of_model = key in {f.name for f in dataclasses.fields(kinds[1])}
        (model if of_model else settings)[key] = value
    if minutes:
        settings["minutes"] = minutes
    try:
        return kinds[0](**pick(kinds[0], settings)), kinds[1](**pick(kinds[1], model))
    except (TypeError, ValueError) as error:
        raise TrainingError(str(error)) from error
