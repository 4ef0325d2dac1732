"""Train a model on folders of photos.

    python -m codec.training.train PHOTOS... --valid FOLDER --minutes 60 --out run
    python -m codec.training.train PHOTOS... --out run --resume              # goes on exactly where it stood
    python -m codec.training.train --config docs/settings/head.json --start docs/settings/shipped.pt PHOTOS... --out run
    torchrun --nproc-per-node 2 -m codec.training.train PHOTOS... --out run  # several processes, one batch each

Writes run/checkpoint.pt (everything needed to resume), run/log.jsonl (a line a report, to plot) and run/config.json.
Interrupting it at any time loses at most `save_minutes`. `python -m codec.training.export run/checkpoint.pt` makes weights.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as distributed
from PIL import Image
from torch import Tensor

from codec.network.model import Codec, Forward
from codec.training.grow import grow
from codec.training.muon import Muon, is_matrix
from entropy.config import MULTIPLE, Config


@dataclass(frozen=True)
class Settings:
    """Everything that a run depends on; an unknown key in a settings file is an error."""

    minutes: float = 60.0  # the whole run; the schedule fits it
    max_steps: int = 0  # if not 0, the run and its schedule are this many steps instead
    crops: int = 8  # a batch; small, since early steps are worth more than smooth ones
    size: int = 128  # side of a crop, a multiple of 32
    rescale: float = 0.5  # share of crops that are first reduced by a random factor of 1 to 2
    learning_rate: float = 1e-3  # 5e-4 was worse for the band-wise model
    muon: bool = True  # for the convolutions: after 600 steps 1.2 % less loss than Adam
    only: tuple[str, ...] = ()  # train only parameters whose names begin so: ["head"] costs a third of a step, and
    # ["prior", "side"] two thirds, on what is then a fixed latent
    table_rate: float = 10.0  # times that for steps and scales: Adam moves each by at most the rate a step
    warmup: int = 100  # steps
    clip: float = 2.0  # gradient norm
    couplings_from: float = 0.6  # share of the run on fixed wavelet bands: a step there costs half
    hard_from: float = 0.4  # share of the run after which the rate sees true rounding: noise costs 0.1 bit
    # in an empty band, and steps grow to escape it
    caution: float = 0.0  # if not 0, coefficients are rounded by cost; an error counts so many times what it
    # does in the encoder
    gain_range: float = 1.0  # steps stay within a factor e^this of their start, so that no band is lost
    band_share: float = 0.6  # share of qualities drawn from 0..0.7 (25 to 37 dB), the rest from 0..1
    rate_power: float = 0.3  # loss is weighted by lambda^-power: levels the qualities
    likelihood_weight: float = 0.02  # of the Gaussian likelihood of all that is lost (nats a pixel)
    average: float = 0.998  # weight average, a step
    precision: str = "auto"  # float32, bfloat16; auto: bfloat16 where the processor multiplies in it
    compile: bool = False  # torch.compile
    seed: int = 0
    report_steps: int = 100
    save_minutes: float = 3.0
    valid_minutes: float = 15.0  # between evaluations, with true rounding
    valid_photos: int = 8


#: parameters that are tables over qualities or channels, not networks
TABLES = ("log_gain", "side_log_gain", "head.log_scale")


def photos(folders: list[Path]) -> list[np.ndarray]:
    """All photos (H,W,3 uint8) of the folders, in order of name; what Pillow cannot read is left out, said so."""
    found = []
    for path in sorted(p for folder in folders for p in folder.rglob("*") if p.is_file()):
        try:
            with Image.open(path) as image:
                found.append(np.asarray(image.convert("RGB")))
        except (OSError, SyntaxError, ValueError) as error:
            if path.suffix.lower() in Image.registered_extensions():
                print(f"{path}: left out ({error})", file=sys.stderr)
    return found


class Crops:
    """Random crops, flipped, transposed and (a share of them) reduced; the state is that of its generator."""

    def __init__(self, images: list[np.ndarray], settings: Settings, seed: int):
        self.images = [i for i in images if min(i.shape[:2]) >= settings.size]
        if not self.images:
            raise SystemExit(f"train: no photo with sides of at least {settings.size}")
        self.settings, self.random = settings, np.random.default_rng(seed)
        area = np.array([i.shape[0] * i.shape[1] for i in self.images], float)
        self.share = area / area.sum()

    def crop(self) -> np.ndarray:
        s, r = self.settings.size, self.random
        image = self.images[r.choice(len(self.images), p=self.share)]
        take = s
        if r.random() < self.settings.rescale:
            take = min(int(s * r.uniform(1, 2)), *image.shape[:2])
        y, x = (r.integers(n - take + 1) for n in image.shape[:2])
        patch = image[y : y + take, x : x + take]
        if take > s:
            patch = np.asarray(Image.fromarray(patch).resize((s, s), Image.Resampling.LANCZOS))
        if r.random() < 0.5:
            patch = patch[:, ::-1]
        return patch.transpose(1, 0, 2) if r.random() < 0.5 else patch

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        """Pixels N,3,S,S and qualities N in 0..1."""
        x = torch.from_numpy(np.stack([self.crop() for _ in range(count)])).permute(0, 3, 1, 2).float()
        r = self.random
        q = [r.uniform(0, 0.7) if r.random() < self.settings.band_share else r.uniform() for _ in range(count)]
        return x, torch.tensor(q, dtype=torch.float32)


def multiplies_bfloat16() -> bool:
    """Whether bfloat16 is faster here than float32."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


@torch.no_grad()
def evaluate(
    model: Codec, images: list[np.ndarray], qualities: tuple[float, ...] = (0.2, 0.35, 0.5, 0.7), caution: float = 0.0
) -> list[dict]:
    """Mean estimated bpp (true rounding) and mean PSNR of 8-bit pictures, over the photos' largest even crop."""
    rows = []
    device = next(model.parameters()).device
    for q in qualities:
        bpp, psnr = [], []
        for image in images:
            h, w = (n // MULTIPLE * MULTIPLE for n in image.shape[:2])
            x = torch.from_numpy(image[:h, :w].copy()).permute(2, 0, 1)[None].float().to(device)
            out = model(x, torch.tensor([q], device=device), hard=True, caution=caution)
            bpp.append(out.bits.item() / (h * w))
            psnr.append(10 * math.log10(65025 / ((out.x.clamp(0, 255).round() - x) ** 2).mean().item()))
        rows.append({"quality": 100 * q, "bpp": float(np.mean(bpp)), "psnr": float(np.mean(psnr))})
    return rows


def rate_distortion(result: Forward, lam: Tensor, area: int, rate_power: float = 0.0) -> Tensor:
    """Mean of bpp + lambda x MSE (of 0..255: lambda is CompressAI's, whose RateDistortionLoss this is where all
    lambdas are equal), each image weighted by (lambda / 0.02)^-rate_power. lam: N; area: pixels an image."""
    return ((result.bits / area + lam * result.mse) * (lam / 0.02) ** -rate_power).mean()


def average_into(average: dict[str, Tensor], model: Codec, decay: float) -> None:
    """Exponential average of the floating-point state; anything else is copied."""
    for key, value in model.state_dict().items():
        if value.is_floating_point():
            average[key].lerp_(value, 1 - decay)
        else:
            average[key].copy_(value)


def begin(model: Codec, checkpoints: Sequence[Path]) -> None:
    """Averaged weights of the first checkpoint, of this or a smaller configuration; then of each further one those
    that it trained (its setting `only`), so that parts that were trained apart come together."""
    for i, path in enumerate(checkpoints):
        given = torch.load(path, map_location=model.deviation.device, weights_only=True)
        only = tuple(given["settings"].get("only", ())) if i else ()
        state = grow(given["average"], Config(**pick(Config, given["config"])), model)
        model.load_state_dict(model.state_dict() | {k: v for k, v in state.items() if not only or k.startswith(only)})


def save(path: Path, state: dict) -> None:
    """Beside its place, then renamed: an interrupted run leaves the last whole checkpoint."""
    torch.save(state, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)


def train(
    folders: list[Path],
    valid: Path | None,
    out: Path,
    settings: Settings,
    config: Config,
    resume: bool,
    start: Sequence[Path] = (),
) -> Path:
    """The run, from the first batch to the last checkpoint; returns the checkpoint's path.

    start: checkpoints whose averaged weights a new run begins with, as in `begin`.
    """
    out.mkdir(parents=True, exist_ok=True)
    ranks, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    device = (
        torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if torch.cuda.is_available() else torch.device("cpu")
    )
    if ranks > 1:
        distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")

    # data and model
    torch.manual_seed(settings.seed)
    crops = Crops(photos(folders), settings, settings.seed)
    model = Codec(config).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if start and not resume:
        begin(model, start)
    elif not resume:
        model.start(torch.cat([crops.batch(64)[0] for _ in range(4)]).to(device))
    if rank:
        crops.random = np.random.default_rng((settings.seed, rank))
    held_out = photos([valid])[:: max(1, len(photos([valid])) // settings.valid_photos)] if valid else []
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not settings.only or name.startswith(settings.only))
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    matrices = {name: p for name, p in learning.items() if settings.muon and is_matrix(p)}
    tables = {name: p for name, p in learning.items() if name in TABLES}
    others = {name: p for name, p in learning.items() if name not in matrices and name not in tables}
    optimiser = Muon(
        [
            {"params": list(matrices.values()), "times": 1.0, "muon": True},
            {"params": list(others.values()), "times": 1.0},
            {"params": list(tables.values()), "times": settings.table_rate},
        ],
        lr=settings.learning_rate,
    )
    with_rate = any(name.startswith(("prior", "side", "f.", "log_gain")) for name in learning)
    with_distortion = any(name.startswith(("head", "f.", "log_gain")) for name in learning)
    average = {k: v.clone() for k, v in model.state_dict().items()}
    step, before = 0, 0.0
    path = out / "checkpoint.pt"

    # where an earlier run stood
    if resume:
        state = torch.load(path, map_location=device, weights_only=False)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        average, step, before = state["average"], state["step"], state["minutes"]
        generators = state.get("generators") or [(state["crops"], state["random"])]  # the latter: of earlier versions
        if len(generators) != ranks:
            raise SystemExit(f"train: {path} is of a run of {len(generators)} processes, not {ranks}")
        crops.random.bit_generator.state, noise = generators[rank]
        torch.set_rng_state(noise.cpu())
    else:
        (out / "config.json").write_text(
            json.dumps({"settings": dataclasses.asdict(settings), "model": dataclasses.asdict(config)}, indent=1) + "\n"
        )

    forward = torch.compile(model) if settings.compile else model
    if ranks > 1:
        forward = torch.nn.parallel.DistributedDataParallel(forward, find_unused_parameters=True)
    low = settings.precision == "bfloat16" or settings.precision == "auto" and multiplies_bfloat16()
    began = time.monotonic()
    saved = evaluated = before
    seen: list[list[float]] = []

    def minutes() -> float:
        now = torch.tensor(before + (time.monotonic() - began) / 60)
        if ranks > 1:  # all processes must agree on when to stop
            distributed.broadcast(now, 0)
        return now.item()

    def checkpoint(at: float) -> None:
        own = crops.random.bit_generator.state, torch.get_rng_state()
        generators: list = [own] * ranks
        if ranks > 1:
            distributed.all_gather_object(generators, own)
        if rank == 0:
            save(
                path,
                {
                    "model": model.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "average": average,
                    "step": step,
                    "minutes": at,
                    "generators": generators,
                    "config": dataclasses.asdict(config),
                    "settings": dataclasses.asdict(settings),
                },
            )

    if held_out and rank == 0 and not resume:
        report(model, average, held_out, step, out, settings.caution)
    stop: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda *_: stop.append(1))  # a step is never left half done
    try:
        while (
            not stop and (done := step / settings.max_steps if settings.max_steps else minutes() / settings.minutes) < 1
        ):
            # one step
            now = minutes()
            rate = settings.learning_rate * min(1, (step + 1) / settings.warmup)
            for group in optimiser.param_groups:
                group["lr"] = group["times"] * rate * (0.49 * (1 + math.cos(math.pi * done)) + 0.02)
            model.f.couplings = done >= settings.couplings_from
            x, q = (t.to(device) for t in crops.batch(settings.crops))
            with torch.autocast(device.type, torch.bfloat16, enabled=low):
                result = forward(
                    x,
                    q,
                    hard=done >= settings.hard_from,
                    pixels=model.f.couplings,
                    rate=with_rate,
                    distortion=with_distortion,
                    caution=settings.caution,
                )
            loss = rate_distortion(result, model.lambda_at(q), settings.size**2, settings.rate_power)
            optimiser.zero_grad(set_to_none=True)
            (loss + settings.likelihood_weight * result.nll.mean()).backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
            if torch.isfinite(norm):
                optimiser.step()
                with torch.no_grad():
                    first = model.log_gain_start
                    model.log_gain.clamp_(first - settings.gain_range, first + settings.gain_range)
            step += 1
            average_into(average, model, min(settings.average, 1 - 10 / (step + 20)))

            # what it reports and keeps
            seen.append([loss.item(), result.nll.mean().item(), norm.item()])
            if rank == 0 and step % settings.report_steps == 0:
                means = np.mean(seen, 0)
                row = {"step": step, "minutes": round(now, 2), "loss": means[0], "nll": means[1], "norm": means[2]}
                print(
                    f"step {step:6d}  {now:7.1f} min  loss {means[0]:.4f}  nll {means[1]:+.3f}  norm {means[2]:.2f}",
                    flush=True,
                )
                with (out / "log.jsonl").open("a") as log:
                    log.write(json.dumps(row) + "\n")
                seen.clear()
            if now - saved >= settings.save_minutes:
                checkpoint(now)
                saved = now
            if held_out and rank == 0 and now - evaluated >= settings.valid_minutes:
                evaluated = now
                report(model, average, held_out, step, out, settings.caution)
    finally:
        signal.signal(signal.SIGINT, previous)
    checkpoint(minutes())
    if held_out and rank == 0:
        report(model, average, held_out, step, out, settings.caution)
    if ranks > 1:
        distributed.destroy_process_group()
    return path


def report(
    model: Codec, average: dict[str, Tensor], images: list[np.ndarray], step: int, out: Path, caution: float
) -> None:
    """Evaluate the averaged weights, print and log the points."""
    copy = Codec(model.config)
    copy.load_state_dict(average)
    copy.f.couplings = model.f.couplings
    rows = evaluate(copy, images, caution=caution)
    print("valid  " + "  ".join(f"{r['bpp']:.3f} bpp {r['psnr']:.2f} dB" for r in rows), flush=True)
    with (out / "log.jsonl").open("a") as log:
        log.write(json.dumps({"step": step, "valid": rows}) + "\n")


def pick(kind: type, given: dict) -> dict:
    """The given values, tuples as such; an unknown key is an error."""
    known = {f.name for f in dataclasses.fields(kind)}
    for key in given:
        if key not in known:
            raise SystemExit(f"train: unknown setting '{key}' (known: {', '.join(sorted(known))})")
    return {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m codec.training.train", description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="PHOTOS", help="folders of photos of any format")
    parser.add_argument("--valid", type=Path, help="folder of held-out photos")
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
    given = (
        json.loads((a.out / "config.json" if a.resume and not a.config else a.config).read_text())
        if a.config or a.resume
        else {}
    )
    settings = dict(given.get("settings", {}))
    for item in a.set:
        key, _, value = item.partition("=")
        try:
            settings[key] = json.loads(value)
        except ValueError:
            settings[key] = value
    if a.minutes:
        settings["minutes"] = a.minutes
    train(
        a.folders,
        a.valid,
        a.out,
        Settings(**pick(Settings, settings)),
        Config(**pick(Config, given.get("model", {}))),
        a.resume,
        a.start,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
