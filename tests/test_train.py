"""Training: short runs of a small model, interrupted, resumed, exported, and on two processes."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from roundtrip import TINY, batch, noise_photo, tiny_model
from torch.utils._python_dispatch import TorchDispatchMode

import codec
from codec.network import weights, weights_file
from codec.network.model import Codec
from codec.rescale.network import Shape
from codec.training import checkpoint, export, grow, photos, rescaling, run, train
from codec.training.evaluate import evaluate
from codec.training.settings import Settings, given_settings, pick
from entropy.config import Config

STEPS = 8
SETTINGS = {
    "max_steps": STEPS,
    "crops": 2,
    "size": 32,
    "warmup": 2,
    "report_steps": 2,
    "precision": "float32",
    "couplings_from": 0.5,
    "hard_from": 0.25,
    "valid_photos": 2,
}
MODEL = {
    "hidden_quarter": 4,
    "hidden_eighth": 4,
    "prior": [12, 8, 8, 8],
    "head": [8, 8, 8, 8],
    "side": 4,
    "side_prior": 8,
    "knots": 3,
}


@pytest.fixture(scope="module", name="folder")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    (folder / "deeper").mkdir()
    for i, name in enumerate(("a.png", "b.jpg", "deeper/c.webp", "deeper/d.bmp")):
        Image.fromarray(noise_photo(64, 48 + 16 * i, i)).save(folder / name)
    (folder / "notes.txt").write_text("no photo")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Image.fromarray(noise_photo(20, 20)).save(folder / "too-small.png")
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"settings": SETTINGS, "model": MODEL}))
    return path


def start(folder: Path, out: Path, *more: str, config: Path | None = None) -> dict:
    """A run from the command line; its last checkpoint."""
    given = ["--config", str(config)] if config else []
    assert train.main([str(folder), "--out", str(out), *given, *more]) == 0
    return checkpoint.read(out / "checkpoint.pt")


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(v, b[k]) for k, v in a.items())


def rows(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_a_run(
    folder: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    state = start(folder, out, "--valid", str(folder / "deeper"), config=config)
    assert "broken.png" in capsys.readouterr().err
    assert state["step"] == STEPS
    log = rows(out)
    assert [r["step"] for r in log if "loss" in r] == [2, 4, 6, 8]
    assert all(np.isfinite([r["loss"], r["nll"], r["norm"]]).all() for r in log if "loss" in r)
    valid = [r for r in log if "valid" in r]
    assert [v["step"] for v in valid] == [0, state["step"]]
    assert all(p["bpp"] > 0 and p["psnr"] > 10 for v in valid for p in v["valid"])
    kept = json.loads((out / "config.json").read_text())
    assert kept["settings"]["crops"] == 2 and kept["model"]["prior"] == [12, 8, 8, 8]
    assert not list(out.glob("*.part"))

    # what it made is weights
    texts = ["--licence", "CC0", "--credits", "those who took part"]
    assert export.main([str(out / "checkpoint.pt"), str(tmp_path / "made"), *texts, "--better", "nothing"]) == 0
    (path,) = (tmp_path / "made").iterdir()
    made = weights.read(path)
    assert made.model.config == TINY and path.name == f"irc-{made.name.hex()}.safetensors"
    notes = weights_file.read(path)[0]
    assert (notes["licence"], notes["credits"], notes["better"]) == ("CC0", "those who took part", "nothing")
    picture = noise_photo(50, 70, 9)
    data = codec.encode(picture, 90, weights=path)
    assert codec.info(data)["weights"] == made.name.hex()
    monkeypatch.setenv("IRC_WEIGHTS", str(path.parent))
    codec.verify(data)
    error = ((codec.decode(data, array=True).astype(float) - picture) ** 2).mean()
    assert 10 * np.log10(65025 / error) > 30

    # licence and credits are asked for
    for missing in (texts[:2], texts[2:]):
        with pytest.raises(SystemExit) as caught:
            export.main([str(out / "checkpoint.pt"), str(tmp_path / "made"), *missing])
        assert caught.value.code == 2
    other = ["--licence", "mine", *texts[2:]]
    for arguments in ([str(out / "checkpoint.pt"), *other], [str(out / "log.jsonl"), *texts]):
        assert export.main([arguments[0], str(tmp_path / "made"), *arguments[1:]]) == 1
        assert capsys.readouterr().err.splitlines()[-1].startswith("export: ")
    assert export.main([str(out / "checkpoint.pt"), str(tmp_path / "made"), "--licence", " ", *texts[2:]]) == 1


def test_training_learns(folder: Path, config: Path, tmp_path: Path) -> None:
    """Forty steps lower the cost, rate and distortion with true rounding, that the model starts from."""
    images, costs = photos.read([folder / "deeper"]), []
    for steps in (1, 40):
        out = tmp_path / str(steps)
        start(folder, out, "--set", f"max_steps={steps}", "couplings_from=0", "hard_from=0", config=config)
        model = export.from_checkpoint(out / "checkpoint.pt")[0]
        points = evaluate(model, images)
        lam = model.lambda_at(torch.tensor([p["quality"] / 100 for p in points])).tolist()
        costs.append([p["bpp"] + factor * 65025 / 10 ** (p["psnr"] / 10) for p, factor in zip(points, lam)])
    assert all(after < before for before, after in zip(*costs)), costs


def test_the_same_run_twice(folder: Path, config: Path, tmp_path: Path) -> None:
    a = start(folder, tmp_path / "a", config=config)
    b = start(folder, tmp_path / "b", "--valid", str(folder / "deeper"), config=config)  # which only looks
    assert same(a["model"], b["model"]) and same(a["average"], b["average"])
    c = start(folder, tmp_path / "c", "--set", "seed=1", config=config)
    assert not same(a["model"], c["model"])
    assert not same(a["model"], a["average"])


def after_calls(count: int, function: Callable, act: Callable[[], None]) -> Callable:
    """The function, with `act` called at the end of its count-th call."""
    calls = 0

    def wrapped(*args: object, **named: object) -> object:
        nonlocal calls
        out = function(*args, **named)
        calls += 1
        if calls == count:
            act()
        return out

    return wrapped


@pytest.mark.parametrize("steps", [1, 3, 6])
def test_resume_is_exact(
    folder: Path, config: Path, tmp_path: Path, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between two steps and resumed: the weights of a run that was not."""
    whole = start(folder, tmp_path / "whole", config=config)

    def stop() -> None:
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(run, "average_into", after_calls(steps, run.average_into, stop))
        half = start(folder, tmp_path / "parts", config=config)
    assert half["step"] == steps
    resumed = start(folder, tmp_path / "parts", "--resume")
    assert resumed["step"] == STEPS
    for key in ("model", "average"):
        assert same(resumed[key], whole[key]), key
        assert not same(half[key], whole[key])
    assert all(torch.equal(a, b) for a, b in zip(resumed["generators"][0], whole["generators"][0]))


@pytest.mark.parametrize("where", ["batch", "clip", "optimiser"])
def test_interrupted_in_the_middle_of_a_step(
    folder: Path, config: Path, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C at any moment: resuming still gives the weights of an uninterrupted run."""
    whole = start(folder, tmp_path / "whole", config=config)

    def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        if where == "batch":  # the first 4 calls measure the photos
            patch.setattr(photos.Crops, "batch", after_calls(4 + 4, photos.Crops.batch, interrupt))
        elif where == "clip":
            patch.setattr(torch.nn.utils, "clip_grad_norm_", after_calls(4, torch.nn.utils.clip_grad_norm_, interrupt))
        else:
            patch.setattr(run.Muon, "step", after_calls(4, run.Muon.step, interrupt))
        half = start(folder, tmp_path / "parts", config=config)
    assert half["step"] < STEPS
    resumed = start(folder, tmp_path / "parts", "--resume")
    for key in ("model", "average"):
        assert same(resumed[key], whole[key]), key


def test_schedule_in_minutes(folder: Path, config: Path, tmp_path: Path) -> None:
    state = start(folder, tmp_path / "run", "--minutes", "0.02", "--set", "max_steps=0", config=config)
    assert state["step"] > 0 and 0.02 <= state["minutes"] < 0.2


@pytest.mark.parametrize("arguments", [["--set", "learning_rat=1"], ["--set", "priors=3"]])
def test_unknown_setting(folder: Path, tmp_path: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="unknown setting"):
        train.main([str(folder), "--out", str(tmp_path / "run"), *arguments])
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


@pytest.mark.parametrize("given", [{"settings": {"sise": 32}}, {"model": {"widths": [1]}}])
def test_unknown_setting_in_a_file(folder: Path, tmp_path: Path, given: dict) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(given))
    with pytest.raises(SystemExit, match="unknown setting"):
        train.main([str(folder), "--out", str(tmp_path / "run"), "--config", str(path)])


@pytest.mark.parametrize("item", ["size=33", "crops=many", "precision=int8", "report_steps=0", "only=head"])
def test_a_setting_that_cannot_be(folder: Path, tmp_path: Path, item: str) -> None:
    with pytest.raises(SystemExit, match=item.split("=")[0]):
        train.main([str(folder), "--out", str(tmp_path / "run"), "--set", item])


@pytest.mark.parametrize("path", sorted((Path(train.__file__).parents[2] / "docs" / "settings").glob("*.json")))
def test_settings_of_the_shipped_weights_are_settings(path: Path) -> None:
    given = json.loads(path.read_text())
    rescaled = path.name.startswith("rescaling-")
    kinds = (rescaling.RescalingSettings, Shape) if rescaled else (Settings, Config)
    settings, model = given_settings(path, ["seed=7"], None, kinds)
    assert settings.seed == 7 and settings.learning_rate == given["settings"]["learning_rate"]
    for name in ("width", "pairs") if rescaled else ("prior",):
        assert getattr(model, name) == tuple(given["model"][name])


@pytest.mark.parametrize("content", [None, "{"])
def test_a_settings_file_that_is_none(folder: Path, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "settings.json"
    if content:
        path.write_text(content)
    with pytest.raises(SystemExit, match="no settings"):
        train.main([str(folder), "--out", str(tmp_path / "run"), "--config", str(path)])


def test_a_short_run_says_what_it_did(
    folder: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start(folder, tmp_path / "run", "--set", "max_steps=3", "report_steps=2", config=config)
    assert [r["step"] for r in rows(tmp_path / "run")] == [2, 3]
    assert all(r["crops_per_second"] > 0 and r["not_finite"] == 0 for r in rows(tmp_path / "run"))
    said = capsys.readouterr().out
    assert said.count("crops/s") == 2
    assert re.search(rf"done  3 steps, 3 in all, \d+\.\d min; {re.escape(str(tmp_path / 'run'))}", said)
    start(folder, tmp_path / "run", "--resume")
    assert capsys.readouterr().out.startswith("nothing done: the run has had its 3 steps")
    state = start(folder, tmp_path / "shortest", "--minutes", "1e-6", "--set", "max_steps=0", config=config)
    assert [r["step"] for r in rows(tmp_path / "shortest")] == [1] and state["step"] == 1


def test_a_gradient_that_is_not_finite_harms_nothing(
    folder: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def overflowing(*given: Any) -> torch.Tensor:
        calls.append(1)
        return rate_distortion(*given) * (math.inf if len(calls) == 3 else 1)

    rate_distortion = train.rate_distortion
    monkeypatch.setattr(train, "rate_distortion", overflowing)
    state = start(folder, tmp_path / "run", "--set", "report_steps=8", config=config)
    assert state["step"] == len(calls) == STEPS
    assert all(v.isfinite().all() for key in ("model", "average") for v in state[key].values())
    (row,) = rows(tmp_path / "run")
    assert row["not_finite"] == 1 and math.isfinite(row["loss"] + row["norm"])


class NothingReadBack(TorchDispatchMode):
    """Fails where a value leaves the device, for which a GPU would have to be waited for."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(function)
        assert not any(n in name for n in ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique")), name
        return function(*args, **(kwargs or {}))


def test_a_step_reads_nothing_back(tmp_path: Path) -> None:
    settings = Settings(size=32, crops=2, hard_from=0.5, couplings_from=0.5, caution=1.0, max_steps=10)
    process = run.Process(torch.device("cpu"), 0, 1)
    crops = photos.Crops([noise_photo(64, 48)], settings, process.device, 0)
    one = train.CodecRun(process, crops, settings, TINY, tmp_path)
    one.begin(())
    with pytest.raises(AssertionError, match="_local_scalar_dense"), NothingReadBack():
        one.model.deviation.sum().item()
    with NothingReadBack():
        one.advance(0.2)
        one.advance(0.8)
    assert len(one.seen) == 2


def test_a_checkpoint_of_another_version(folder: Path, config: Path, tmp_path: Path) -> None:
    """It can't be resumed, but its weights can be begun with."""
    out = tmp_path / "run"
    state = start(folder, out, config=config)
    state["generators"] = [(np.random.default_rng(0).bit_generator.state, torch.get_rng_state())]
    torch.save(state, out / "checkpoint.pt")
    with pytest.raises(SystemExit, match="earlier version.*--start"):
        start(folder, out, "--resume")
    start(folder, tmp_path / "next", "--start", str(out / "checkpoint.pt"), config=config)
    with pytest.raises(SystemExit, match="not weights of this model"):
        start(folder, tmp_path / "small", "--start", str(out / "checkpoint.pt"), config=smaller(config))


def test_a_run_is_not_written_over(folder: Path, config: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(SystemExit, match=r"no checkpoint\.pt to resume"):
        start(folder, out, "--resume")
    start(folder, out, "--set", "max_steps=1", config=config)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(SystemExit, match="--resume goes on from it"):
        start(folder, out, config=config)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_checkpoint_that_is_none(folder: Path, config: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="not a checkpoint that this version reads$"):
        start(folder, tmp_path / "run", "--start", str(folder / "notes.txt"), config=config)


def test_resume_with_other_parameters(folder: Path, config: Path, tmp_path: Path) -> None:
    start(folder, tmp_path / "run", config=config)
    with pytest.raises(SystemExit, match="other settings"):
        start(folder, tmp_path / "run", "--resume", "--set", 'only=["head"]')


def smaller(config: Path) -> Path:
    """The settings, for a model with fewer channels."""
    path = config.with_name("smaller.json")
    path.write_text(json.dumps({"settings": SETTINGS, "model": MODEL | {"side": 2}}))
    return path


def test_resume_from_parts(folder: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "MEBIBYTE", 1 << 16)
    out = tmp_path / "run"
    half = start(folder, out, "--set", "checkpoint_mib=1", "max_steps=4", config=config)
    assert half["step"] == 4 and len(list(out.glob("*.bin"))) > 1
    state = start(folder, out, "--resume", "--set", "max_steps=6")
    assert state["step"] == 6
    assert max(path.stat().st_size for path in out.iterdir()) <= 1 << 16


def test_parts_trained_apart_come_together(
    folder: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["--start", str(tmp_path / "whole" / "checkpoint.pt")]
    whole = start(folder, tmp_path / "whole", config=config)
    prior = start(folder, tmp_path / "prior", *given, "--set", 'only=["prior", "side"]', config=config)
    with monkeypatch.context() as patch:  # the probability model does not even run
        patch.setattr(train.Codec, "rate", None)
        head = start(folder, tmp_path / "head", *given, "--set", 'only=["head"]', config=config)
    for state, trained in ((prior, ("prior", "side")), (head, ("head",))):
        moved = [k for k, v in state["model"].items() if not torch.equal(v, whole["average"][k])]
        assert moved and all(k.startswith(trained) for k in moved)
    model = Codec(Config(**pick(Config, MODEL)))
    grow.start_from(model, [tmp_path / "prior" / "checkpoint.pt", tmp_path / "head" / "checkpoint.pt"])
    for key, value in model.state_dict().items():
        assert torch.equal(value, (head if key.startswith("head") else prior)["average"][key]), key


def test_average_leaves_integers_alone() -> None:
    class Model(torch.nn.Module):
        def __init__(self, value: float):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor([value]))
            self.register_buffer("order", torch.tensor([int(value)]))

    average = {k: v.clone() for k, v in Model(0.0).state_dict().items()}
    run.average_into(average, Model(8.0), 0.75)  # type: ignore[arg-type]
    assert average["weight"].item() == 2 and average["order"].item() == 8


#: three runs, in each of two processes: whole; interrupted after its second step; resumed
THREE_RUNS = """
import signal, sys
from torch import distributed
from codec.training import run, train
photos, folder, config = sys.argv[1:]
distributed.init_process_group("gloo")
distributed.init_process_group = lambda *_: None  # one group serves all three
distributed.destroy_process_group = distributed.barrier
given = ["--config", config, "--set", "max_steps=4"]
average_into, steps = run.average_into, []
def stop(*state):
    average_into(*state)
    steps.append(1)
    if len(steps) == 2:
        signal.raise_signal(signal.SIGINT)
train.main([photos, "--out", folder + "/whole", *given])
run.average_into = stop
train.main([photos, "--out", folder + "/parts", *given])
assert len(steps) == 2
train.main([photos, "--out", folder + "/parts", "--resume"])
assert len(steps) == 4
"""


def test_two_processes(folder: Path, config: Path, tmp_path: Path) -> None:
    """They train one model; a run that was stopped goes on in each of them exactly where it stood."""
    root, script = Path(__file__).parent.parent, tmp_path / "three.py"
    script.write_text(THREE_RUNS)
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            "2",
            str(script),
            str(folder),
            str(tmp_path),
            str(config),
        ],
        cwd=root,
        text=True,
        capture_output=True,
        timeout=150,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(root)},
    )
    assert run.returncode == 0, run.stderr[-3000:]
    state, resumed = (checkpoint.read(tmp_path / name / "checkpoint.pt") for name in ("whole", "parts"))
    assert state["step"] == resumed["step"] == 4
    assert [r["step"] for r in rows(tmp_path / "whole")] == [2, 4]  # only one of them writes
    assert same(resumed["model"], state["model"]) and same(resumed["average"], state["average"])
    alone = start(folder, tmp_path / "alone", "--set", "max_steps=4", config=config)
    assert not any(k.startswith("module.") for k in state["model"])
    assert state["model"].keys() == alone["model"].keys()
    assert not same(state["model"], alone["model"])  # the other's gradients came in
    with pytest.raises(SystemExit, match="2 processes"):
        start(folder, tmp_path / "parts", "--resume")


@torch.no_grad()
def test_the_loss_is_that_of_compressai() -> None:
    losses = pytest.importorskip("compressai.losses")
    model = tiny_model()
    x, lam = batch(noise_photo(64, 96, 1), noise_photo(64, 96, 2)), 0.013
    out = model(x, torch.tensor([0.3, 0.3]), hard=True)
    likelihoods = torch.exp2(-out.bits[:, None] / 4096).expand(-1, 4096).double()  # of 4096 symbols an image
    theirs = losses.RateDistortionLoss(lmbda=lam)({"x_hat": out.x / 255, "likelihoods": {"y": likelihoods}}, x / 255)
    ours = train.rate_distortion(out, torch.full((2,), lam), 64 * 96)
    assert ours.item() == pytest.approx(theirs["loss"].item(), rel=1e-5)
    assert (out.bits.sum() / 2 / 64 / 96).item() == pytest.approx(theirs["bpp_loss"].item(), rel=1e-5)
