"""A run of training, whatever it trains: devices and processes, steps by the clock, reports, checkpoints, resuming."""

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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as distributed
from torch import Tensor, nn

from codec import atomic
from codec.training import checkpoint, photos
from codec.training.muon import Muon, is_matrix
from codec.training.photos import Crops
from codec.training.settings import RunSettings, TrainingError, given_settings


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


def average_into(average: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    """Exponential average of the floating-point state; anything else is copied."""
    state = model.state_dict()
    means = [key for key, value in state.items() if value.is_floating_point()]
    torch._foreach_lerp_([average[key] for key in means], [state[key] for key in means], 1 - decay)
    for key in state.keys() - means:
        average[key].copy_(state[key])


class Run:
    """A run of training, between two steps: what it learns, how far it is, what it has to report.

    A subclass says what a step's loss is (`loss`), how held-out photos fare (`evaluation`), and what the columns of its
    reports are called; the model's configuration is a dataclass that goes into checkpoints.
    """

    #: names of what `loss` returns beside the loss itself
    columns: tuple[str, ...] = ()

    def __init__(self, process: Process, crops: Crops, settings: RunSettings, config: Any, out: Path):
        torch.manual_seed(settings.seed)
        self.process, self.crops, self.settings, self.config, self.out = process, crops, settings, config, out
        self.path = out / "checkpoint.pt"
        self.model = self.built()
        self.learning = self.optimised()
        self.optimiser = Muon(self.groups(self.learning), settings.learning_rate)
        self.bfloat16 = settings.precision == "bfloat16" or (
            settings.precision == "auto" and multiplies_bfloat16(process.device)
        )
        self.forward: nn.Module = torch.compile(self.model) if settings.compile else self.model  # type: ignore[assignment]  # torch says a function
        if process.ranks > 1:
            self.forward = torch.nn.parallel.DistributedDataParallel(self.forward, find_unused_parameters=True)
        self.average: dict[str, Tensor] = {}
        self.step, self.earlier = 0, 0.0  # steps; minutes before this process began
        self.seen: list[Tensor] = []  # loss, columns and gradient norm of each step since the last report
        self.began = self.reported = time.monotonic()

    # -- what a subclass says --------------------------------------------------------------------
    def fresh(self) -> nn.Module:
        """A new model of this configuration."""
        raise NotImplementedError

    def first(self, start: Sequence[Path]) -> None:
        """Weights of a new run: those of checkpoints, or, where there are none, what is measured on crops."""
        raise NotImplementedError

    def loss(self, done: float) -> tuple[Tensor, list[Tensor]]:
        """Of the next batch what is minimised, and what is reported: first the loss, then a value for each column."""
        raise NotImplementedError

    def constrain(self) -> None:
        """What must hold of the parameters after a step."""

    def finish(self) -> None:
        """What is measured with the averaged weights when the run ends."""

    def evaluation(self, model: nn.Module, held_out: list[np.ndarray]) -> tuple[str, Any]:
        """The averaged weights on held-out photos: as a line to print and as JSON to log."""
        raise NotImplementedError

    def optimised(self) -> dict[str, nn.Parameter]:
        """The parameters that learn, by name."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def groups(self, learning: dict[str, nn.Parameter]) -> list[dict[str, Any]]:
        """Groups of parameters by how they learn; `times` is a group's share of the learning rate."""
        matrices = {name: p for name, p in learning.items() if self.settings.muon and is_matrix(p)}
        others = [p for name, p in learning.items() if name not in matrices]
        return [{"params": list(matrices.values()), "times": 1.0, "muon": True}, {"params": others, "times": 1.0}]

    # -- set-up --------------------------------------------------------------------------------
    def built(self) -> nn.Module:
        """A new model where this run computes."""
        return self.fresh().to(self.process.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def begin(self, start: Sequence[Path]) -> None:
        """A new run, with weights of these checkpoints or, if there are none, fresh ones."""
        self.first(start)
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
        settings, before = self.settings, self.step
        # however short a run is, what was read and measured to begin it leaves time for a step
        self.began = self.reported = time.monotonic()
        saved = evaluated = now = self.minutes()
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
        self.finish()
        self.save(now)
        self.evaluate(held_out)
        if self.process.rank == 0:
            print(self.summary(before, now), flush=True)

    def summary(self, before: int, minutes: float) -> str:
        """What the process has done since step `before`, as a line; minutes: that the run has lasted by now."""
        if self.step == before:
            return (
                f"nothing done: the run has had its {before} steps, and its settings (max_steps, minutes) end it here"
            )
        steps = f"{self.step - before} steps, {self.step} in all"
        return f"done  {steps}, {minutes:.1f} min; {self.path} and log.jsonl beside it"

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
        gradient zero: what the optimiser remembers of earlier ones still moves the weights.
        """
        settings = self.settings
        rate = settings.learning_rate * min(1, (self.step + 1) / settings.warmup)
        share = settings.last_rate + (1 - settings.last_rate) * 0.5 * (1 + math.cos(math.pi * done))
        for group in self.optimiser.param_groups:
            group["lr"] = group["times"] * rate * share
        objective, seen = self.loss(done)
        self.optimiser.zero_grad(set_to_none=True)
        objective.backward()  # type: ignore[no-untyped-call]  # torch's has no types
        learning = list(self.learning.values())
        norm = torch.nn.utils.clip_grad_norm_(learning, settings.clip)
        for parameter in learning:
            if parameter.grad is not None:
                parameter.grad.nan_to_num_(0.0)  # clipped by a norm that is not finite, every entry is 0 or NaN
        self.optimiser.step()
        with torch.no_grad():
            self.constrain()
        self.step += 1
        average_into(self.average, self.model, min(settings.average, 1 - 10 / (self.step + 20)))
        self.seen.append(torch.stack((*seen, norm)).detach())

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
        names = ("loss", *self.columns, "norm")
        means = dict(
            zip(names, steps[finite].mean(0).tolist() if finite.any() else [math.nan] * len(names), strict=True)
        )
        row = {"step": self.step, "minutes": round(minutes, 2), **means}
        self.log(row | {"crops_per_second": round(speed, 2), "not_finite": int(len(steps) - finite.sum())})
        if self.process.rank == 0:
            said = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
            print(f"step {self.step:6d}  {minutes:7.1f} min  {said}  {speed:.1f} crops/s", flush=True)

    def evaluate(self, held_out: list[np.ndarray]) -> None:
        """The averaged weights on held-out photos, if there are any, printed and logged."""
        if not held_out or self.process.rank:
            return
        model = copy.deepcopy(self.model)  # a new one would draw from the run's generator
        model.load_state_dict(self.average)
        line, rows = self.evaluation(model, held_out)
        print(f"valid  {line}", flush=True)
        self.log({"step": self.step, "valid": rows})

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


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a command line of training asks for, apart from settings and configuration."""

    sources: Sequence[Path]  #: folders or packed files of photos
    out: Path  #: folder of the run
    valid: Path | None = None  #: folder or packed file of held-out photos
    resume: bool = False
    start: Sequence[Path] = ()  #: checkpoints whose averaged weights a new run begins with


def train(kind: type[Run], asked: Asked, settings: RunSettings, config: Any) -> Path:
    """A run, from the first batch to the last checkpoint; returns the checkpoint's path.

    TrainingError where a new run would write over one that is there.
    """
    if not asked.resume and (asked.out / "checkpoint.pt").exists():
        raise TrainingError(f"{asked.out} has a run: --resume goes on from it, another --out leaves it as it is")
    asked.out.mkdir(parents=True, exist_ok=True)
    with joined() as process:
        held_out = photos.read([asked.valid]) if asked.valid else []
        held_out = held_out[:: max(1, len(held_out) // settings.valid_photos)]
        crops = Crops(photos.read(asked.sources), settings, process.device, settings.seed)
        run = kind(process, crops, settings, config, asked.out)
        if asked.resume:
            run.resume()
        else:
            run.begin(asked.start)
        run.go(held_out)
    return run.path


def command(
    argv: list[str] | None, prog: str, what: str, kinds: tuple[type, type], run: Callable[[Asked, Any, Any], object]
) -> int:
    """A command line of training; kinds: the classes of settings and of the model's configuration."""
    parser = argparse.ArgumentParser(prog=f"python -m {prog}", description=what)
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
        if a.resume and not (a.out / "checkpoint.pt").exists():
            raise TrainingError(f"{a.out} has no checkpoint.pt to resume from")
        settings, config = given_settings(path, a.set, a.minutes, kinds)
        run(Asked(a.sources, a.out, a.valid, a.resume, a.start), settings, config)
    except TrainingError as error:
        raise SystemExit(f"{prog.rpartition('.')[2]}: {error}") from None
    return 0
