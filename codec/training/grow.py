"""Weights of a smaller model carried into a larger one that computes the same (Net2Net, arXiv 1511.05641).

New outputs start as they were drawn, but nothing that was there before reads them yet; new residual blocks start at
zero; tables over qualities move to the new range of lambda.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from codec.network.model import Codec
from codec.training import checkpoint
from codec.training.settings import TrainingError, pick
from entropy.config import BANDS, Config


def start_from(model: Codec, checkpoints: Sequence[Path]) -> None:
    """Averaged weights of the first checkpoint, of this or a smaller configuration; then of each further one those
    that it trained (its setting `only`), so that parts that were trained apart come together.
    """
    for i, path in enumerate(checkpoints):
        given = checkpoint.read(path, model.deviation.device)
        try:
            only = tuple(given["settings"].get("only", ())) if i else ()
            state = grow(given["average"], Config(**pick(Config, given["config"])), model)
        except (KeyError, ValueError) as error:
            raise TrainingError(f"{path}: not weights of this model or a smaller one ({error})") from error
        model.load_state_dict(model.state_dict() | {k: v for k, v in state.items() if not only or k.startswith(only)})


def grow(state: dict[str, Tensor], old: Config, model: Codec) -> dict[str, Tensor]:
    """The state of `model` that computes what `state`, of configuration `old`, does.

    Widths, blocks and lambda's range may differ; KeyError or ValueError where a shape became smaller.
    """
    config, out = model.config, model.state_dict()
    tables = {name for name, p in out.items() if p.ndim == 2 and len(p) == config.knots and name != "log_gain_start"}
    for name, fresh in out.items():
        if name == "log_gain_start":  # follows from lambda's range
            continue
        if name not in state:
            if ".block." not in name and name != "head.log_scale":
                raise KeyError(f"{name} is not in the smaller model")
            if ".narrow." in name:
                fresh = torch.zeros_like(fresh)
            out[name] = fresh
            continue
        given = state[name]
        if name in tables:
            given = _moved(given, old, config)
        out[name] = given.clone() if given.shape == fresh.shape else _placed(name, given, fresh, old)
    return out


def _moved(table: Tensor, old: Config, new: Config) -> Tensor:
    """A table over the knots of one range of lambda, read at the knots of another (linear, also beyond the ends)."""
    low, high = math.log(old.lambda_min), math.log(old.lambda_max)
    wanted = torch.linspace(math.log(new.lambda_min), math.log(new.lambda_max), new.knots, dtype=torch.float64)
    at = (wanted - low) / (high - low) * (old.knots - 1)
    index = at.floor().long().clamp(0, old.knots - 2)
    share = (at - index)[:, None].to(table.dtype)
    return table[index] * (1 - share) + table[index + 1] * share


def _placed(name: str, given: Tensor, fresh: Tensor, old: Config) -> Tensor:
    """The smaller tensor in the corner of the larger one."""
    if any(a > b for a, b in zip(given.shape, fresh.shape)):
        raise ValueError(f"{name} became smaller")
    out = fresh.clone()
    if given.ndim == 4 and fresh.shape[1] > given.shape[1]:
        out[: len(given)] = 0  # what was there does not read what is new
    if name.startswith("prior.graph.finer.") and name.endswith("weight"):
        # inputs are a level's trunk and then its coefficients: those stay last
        level = int(name.split(".")[3])
        width, coefficients = old.prior[level], 2 * BANDS[level]
        out[: len(given), :width] = given[:, :width]
        out[: len(given), fresh.shape[1] - coefficients :] = given[:, width:]
    else:
        out[tuple(slice(0, n) for n in given.shape)] = given
    return out
