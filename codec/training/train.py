"""Train a model on photos.

    python -m codec.training.train PHOTOS... --valid FOLDER --minutes 60 --out run
    python -m codec.training.train PHOTOS... --out run --resume              # goes on exactly where it stood
    python -m codec.training.train --config docs/settings/head.json --start docs/settings/shipped.pt PHOTOS... --out run
    torchrun --nproc-per-node 2 -m codec.training.train PHOTOS... --out run  # several processes, one batch each

Writes run/checkpoint.pt (everything needed to resume), run/log.jsonl (a line a report, to plot) and run/config.json.
Interrupting it at any time loses at most `save_minutes`. `python -m codec.training.export` makes weights of the first.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import dataclasses
import json
import math
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as distributed
from torch import Tensor

from codec import atomic
from codec.network.model import Codec, Forward
from codec.training import checkpoint, photos
from codec.training.evaluate import evaluate
from codec.training.grow import start_from
from codec.training.muon import Muon, is_matrix
from codec.training.photos import Crops
from codec.training.settings import Settings, TrainingError, pick
from entropy.config import Config

#: parameters that are tables over qualities or channels, not networks
TABLES = ("log_gain", "side_log_gain", "head.log_scale")


class Process(NamedTuple):
    """Where this process computes, and which it is of those that train together."""

    device: torch.device
    rank: int
    ranks: int


@contextlib.contextmanager
def joined() -> Iterator[Process]:
    """This process, connected to the others that torchrun started, on a GPU of its own if there is one."""
    process = Process(torch.device("cpu"), int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))
    if torch.cuda.is_available():
        process = process._replace(device=torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))))
        torch.cuda.set_device(process.device)
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    if process.ranks > 1:
        distributed.init_process_group("cpu:gloo,cuda:nccl" if process.device.type == "cuda" else "gloo")
    yield process
    if process.ranks > 1:
        distributed.destroy_process_group()


@contextlib.contextmanager
def interruptions() -> Iterator[list[int]]:
    """A list that SIGINT fills, so that no step is left half done."""
    seen: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, previous)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster on the device than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def rate_distortion(result: Forward, lam: Tensor, area: int, rate_power: float = 0.0) -> Tensor:
    """Mean of bpp + lambda x MSE (of 0..255: lambda is CompressAI's, whose RateDistortionLoss this is where all
    lambdas are equal), each image weighted by (lambda / 0.02)^-rate_power. lam: N; area: pixels an image."""
    return ((result.bits / area + lam * result.mse) * (lam / 0.02) ** -rate_power).mean()


def average_into(average: dict[str, Tensor], model: Codec, decay: float) -> None:
    """Exponential average of the floating-point state; anything else is copied."""
    state = model.state_dict()
    means = [key for key, value in state.items() if value.is_floating_point()]
    torch._foreach_lerp_([average[key] for key in means], [state[key] for key in means], 1 - decay)
    for key in state.keys() - means:
        average[key].copy_(state[key])


def optimiser_for(learning: dict[str, torch.nn.Parameter], settings: Settings) -> Muon:
    """Groups of parameters by how they learn; `times` is a group's share of the learning rate."""
    matrices = {name: p for name, p in learning.items() if settings.muon and is_matrix(p)}
    tables = {name: p for name, p in learning.items() if name in TABLES}
    others = {name: p for name, p in learning.items() if name not in matrices and name not in tables}
    groups: list[dict[str, Any]] = [
        {"params": list(matrices.values()), "times": 1.0, "muon": True},
        {"params": list(others.values()), "times": 1.0},
        {"params": list(tables.values()), "times": settings.table_rate},
    ]
    return Muon(groups, settings.learning_rate)


class Run:
    """A run of training, between two steps: what it learns, how far it is, what it has to report."""

    def __init__(self, process: Process, crops: Crops, settings: Settings, config: Config, out: Path):
        torch.manual_seed(settings.seed)
        self.process, self.crops, self.settings, self.config, self.out = process, crops, settings, config, out
        self.path = out / "checkpoint.pt"
        self.model = Codec(config).to(process.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(not settings.only or name.startswith(settings.only))
        learning = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self.learning = list(learning.values())
        self.optimiser = optimiser_for(learning, settings)
        self.with_rate = any(name.startswith(("prior", "side", "f.", "log_gain")) for name in learning)
        self.with_distortion = any(name.startswith(("head", "f.", "log_gain")) for name in learning)
        self.bfloat16 = settings.precision == "bfloat16" or (
            settings.precision == "auto" and multiplies_bfloat16(process.device)
        )
        self.forward = torch.compile(self.model) if settings.compile else self.model
        if process.ranks > 1:
            self.forward = torch.nn.parallel.DistributedDataParallel(self.forward, find_unused_parameters=True)
        self.average: dict[str, Tensor] = {}
        self.step, self.earlier = 0, 0.0  # steps; minutes before this process began
        self.seen: list[Tensor] = []  # loss, likelihood, gradient norm of each step since the last report
        self.began = self.reported = time.monotonic()  # the latter without evaluations: crops a second are of steps

    # -- set-up --------------------------------------------------------------------------------
    def begin(self, start: Sequence[Path]) -> None:
        """A new run, with weights of these checkpoints (`start_from`) or, if there are none, fresh ones."""
        if start:
            start_from(self.model, start)
        else:
            self.model.start(torch.cat([self.crops.batch(64)[0] for _ in range(4)]))
        if self.process.rank:
            self.crops.generator.manual_seed(self.settings.seed + (self.process.rank << 32))
        else:
            given = {"settings": dataclasses.asdict(self.settings), "model": dataclasses.asdict(self.config)}
            atomic.write(self.out / "config.json", (json.dumps(given, indent=1) + "\n").encode())
        self.average = {k: v.clone() for k, v in self.model.state_dict().items()}

    def resume(self) -> None:
        """Where the run in this folder stood at its last checkpoint; TrainingError where it is not of such a run."""
        state = checkpoint.read(self.path, self.process.device)
        generators = state.get("generators", ())
        if len(generators) != self.process.ranks:
            raise TrainingError(f"{self.path} is of a run of {len(generators)} processes, not {self.process.ranks}")
        if not all(isinstance(t, Tensor) for t in generators[self.process.rank]):
            raise TrainingError(f"{self.path} is of an earlier version: begin a new run with its weights (--start)")
        crops, noise = (t.cpu() for t in generators[self.process.rank])
        try:
            self.model.load_state_dict(state["model"])
            self.optimiser.load_state_dict(state["optimiser"])
        except (RuntimeError, ValueError) as error:
            raise TrainingError(
                f"{self.path} is of a run with other settings ({str(error).splitlines()[0]})"
            ) from error
        self.average, self.step, self.earlier = state["average"], state["step"], state["minutes"]
        self.crops.generator.set_state(crops)
        if self.process.device.type == "cuda":
            torch.cuda.set_rng_state(noise, self.process.device)
        else:
            torch.set_rng_state(noise)

    # -- steps ---------------------------------------------------------------------------------
    def go(self, held_out: list[np.ndarray]) -> None:
        """Steps until the run's end or Ctrl-C, with reports, checkpoints and evaluations by the clock."""
        settings, now = self.settings, self.minutes()
        saved = evaluated = now
        self.reported = time.monotonic()
        if not self.step:
            self.evaluate(held_out)
        with interruptions() as stop:
            while not stop and (done := self.done(now)) < 1:
                self.advance(done)
                if self.step % settings.report_steps == 0:
                    self.report(now)
                now = self.minutes()
                if now - saved >= settings.save_minutes:
                    self.save(now)
                    saved = now
                if now - evaluated >= settings.valid_minutes:
                    self.evaluate(held_out)
                    evaluated = now
        self.report(now)
        self.save(now)
        self.evaluate(held_out)

    def minutes(self) -> float:
        """That the run has lasted; all processes must agree on when to stop, so the first one says it."""
        now = torch.tensor(self.earlier + (time.monotonic() - self.began) / 60)
        if self.process.ranks > 1:
            distributed.broadcast(now, 0)
        return now.item()

    def done(self, minutes: float) -> float:
        """The share of the run that is over."""
        return self.step / self.settings.max_steps if self.settings.max_steps else minutes / self.settings.minutes

    def advance(self, done: float) -> None:
        """One step. Nothing in it is read back from the device. A step whose gradient is not finite counts as one of
        gradient zero: what the optimiser remembers of earlier ones still moves the weights."""
        settings, model = self.settings, self.model
        rate = settings.learning_rate * min(1, (self.step + 1) / settings.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = group["times"] * rate * (0.49 * (1 + math.cos(math.pi * done)) + 0.02)
        model.f.couplings = done >= settings.couplings_from
        x, quality = self.crops.batch(settings.crops)
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
        self.optimiser.zero_grad(set_to_none=True)
        (loss + settings.likelihood_weight * likelihood).backward()
        norm = torch.nn.utils.clip_grad_norm_(self.learning, settings.clip)
        for parameter in self.learning:
            if parameter.grad is not None:
                parameter.grad.nan_to_num_(0.0)  # clipped by a norm that is not finite, every entry is 0 or NaN
        self.optimiser.step()
        with torch.no_grad():
            first = model.log_gain_start
            model.log_gain.clamp_(first - settings.gain_range, first + settings.gain_range)
        self.step += 1
        average_into(self.average, model, min(settings.average, 1 - 10 / (self.step + 20)))
        self.seen.append(torch.stack((loss, likelihood, norm)).detach())

    # -- what it says and keeps ----------------------------------------------------------------
    def report(self, minutes: float) -> None:
        """Means since the last report, printed and logged, and how fast it went."""
        if not self.seen:
            return
        steps = torch.stack(self.seen).cpu().numpy()  # waits for the device
        self.seen.clear()
        began, self.reported = self.reported, time.monotonic()
        speed = len(steps) * self.settings.crops * self.process.ranks / (self.reported - began)
        finite = np.isfinite(steps).all(1)
        loss, likelihood, norm = steps[finite].mean(0).tolist() if finite.any() else (math.nan,) * 3
        row = {"step": self.step, "minutes": round(minutes, 2), "loss": loss, "nll": likelihood, "norm": norm}
        self.log(row | {"crops_per_second": round(speed, 2), "not_finite": int(len(steps) - finite.sum())})
        if self.process.rank == 0:
            print(
                f"step {self.step:6d}  {minutes:7.1f} min  loss {loss:.4f}  nll {likelihood:+.3f}  norm {norm:.2f}  "
                f"{speed:.1f} crops/s",
                flush=True,
            )

    def evaluate(self, held_out: list[np.ndarray]) -> None:
        """The averaged weights on held-out photos, if there are any, printed and logged."""
        if not held_out or self.process.rank:
            return
        began = time.monotonic()
        model = copy.deepcopy(self.model)  # a fresh one would draw from the generator of the run's noise
        model.load_state_dict(self.average)
        model.f.couplings = self.model.f.couplings
        rows = evaluate(model, held_out, caution=self.settings.caution)
        print("valid  " + "  ".join(f"{r['bpp']:.3f} bpp {r['psnr']:.2f} dB" for r in rows), flush=True)
        self.log({"step": self.step, "valid": rows})
        self.reported += time.monotonic() - began

    def log(self, row: dict[str, Any]) -> None:
        """A line of log.jsonl, which the first process alone writes."""
        if self.process.rank == 0:
            with (self.out / "log.jsonl").open("a") as log:
                log.write(json.dumps(row) + "\n")

    def save(self, minutes: float) -> None:
        """The checkpoint, from which `resume` goes on exactly."""
        device, ranks = self.process.device, self.process.ranks
        noise = torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()
        own = self.crops.generator.get_state(), noise
        generators = [own] * ranks
        if ranks > 1:
            distributed.all_gather_object(generators, own)
        if self.process.rank == 0:
            state = {
                "model": self.model.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "average": self.average,
                "step": self.step,
                "minutes": minutes,
                "generators": generators,
                "config": dataclasses.asdict(self.config),
                "settings": dataclasses.asdict(self.settings),
            }
            checkpoint.write(self.path, state, self.settings.checkpoint_mib)


def train(
    sources: Sequence[Path],
    valid: Path | None,
    out: Path,
    settings: Settings,
    config: Config,
    resume: bool = False,
    start: Sequence[Path] = (),
) -> Path:
    """The run, from the first batch to the last checkpoint; returns the checkpoint's path.

    sources, valid: folders or packed files of photos; start: checkpoints whose averaged weights a new run begins with.
    """
    out.mkdir(parents=True, exist_ok=True)
    with joined() as process:
        held_out = photos.read([valid]) if valid else []
        held_out = held_out[:: max(1, len(held_out) // settings.valid_photos)]
        run = Run(process, Crops(photos.read(sources), settings, process.device, settings.seed), settings, config, out)
        if resume:
            run.resume()
        else:
            run.begin(start)
        run.go(held_out)
    return run.path


def given_settings(path: Path | None, items: Sequence[str], minutes: float | None) -> tuple[Settings, Config]:
    """Settings and the model's configuration: those of a JSON file, if any, under KEY=VALUE items and minutes."""
    try:
        given = json.loads(path.read_text()) if path else {}
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: no settings ({error})") from error
    settings = dict(given.get("settings", {}))
    for item in items:
        key, _, value = item.partition("=")
        try:
            settings[key] = json.loads(value)
        except ValueError:  # a word without quotes
            settings[key] = value
    if minutes:
        settings["minutes"] = minutes
    return Settings(**pick(Settings, settings)), Config(**pick(Config, given.get("model", {})))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m codec.training.train", description="Train a model on photos.")
    parser.add_argument(
        "sources", nargs="+", type=Path, metavar="PHOTOS", help="folders of photos of any format, or packed files"
    )
    parser.add_argument("--valid", type=Path, help="folder or packed file of held-out photos")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--config", type=Path, help="JSON of settings ({'settings': ..., 'model': ...})")
    parser.add_argument(
        "--start",
        type=Path,
        nargs="+",
        default=[],
        metavar="CHECKPOINT",
        help="begin with the averaged weights of this checkpoint (its networks may be smaller), and "
        "of further ones with the parts that they trained alone",
    )
    parser.add_argument("--resume", action="store_true", help="go on from OUT/checkpoint.pt")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings, over those of the file")
    parser.add_argument("--minutes", type=float, help="short for --set minutes=...")
    a = parser.parse_args(argv)
    path = a.out / "config.json" if a.resume and not a.config else a.config
    try:
        settings, config = given_settings(path, a.set, a.minutes)
        train(a.sources, a.valid, a.out, settings, config, a.resume, a.start)
    except TrainingError as error:
        raise SystemExit(f"train: {error}") from None
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
