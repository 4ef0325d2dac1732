"""Make a weights file from a checkpoint of training: averaged weights, integer model, tables.

python -m codec.training.export run/checkpoint.pt FOLDER --licence TEXT --credits TEXT

The file is named by what is in it, irc-<id>.safetensors; one that is there already is never changed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from codec import atomic
from codec.network import registry
from codec.network.model import Codec
from codec.network.weights import config_of, pack
from codec.rescale.network import Rescaler, Shape
from codec.rescale.weights import pack as pack_rescaler
from codec.training import checkpoint
from codec.training.settings import TrainingError, pick


def from_checkpoint(path: Path) -> tuple[Codec, dict[str, Any]]:
    """The averaged model of a checkpoint, and the checkpoint; TrainingError where it is none."""
    state = checkpoint.read(path)
    model = Codec(config_of(state["config"]))
    model.load_state_dict(state["average"])
    return model.eval(), state


def packed(path: Path, notes: dict[str, str]) -> bytes:
    """The bytes of the weights file of a checkpoint, of the codec's training or of rescaling's; TrainingError."""
    state = checkpoint.read(path)
    notes |= {"training": f"{state['step']} steps, {state['minutes']:.0f} minutes"}
    if "scale" not in state["config"]:
        return pack(from_checkpoint(path)[0], notes)
    network = Rescaler(Shape(**pick(Shape, state["config"])))
    network.load_state_dict(state["average"])
    return pack_rescaler(network, notes)


def write(data: bytes, folder: Path) -> Path:
    """Put a weights file under its name into a folder, which is made; OSError where one of other content has the name
    (of other licence or credits, then) or where it cannot be written.
    """
    path = folder / f"irc-{registry.identify(data)}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_bytes() == data:
        return path
    atomic.write(path, data, overwrite=False)
    return path


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    summary, *_ = (__doc__ or "").split("\n")
    parser = argparse.ArgumentParser(prog="python -m codec.training.export", description=summary)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path, help="where the file is written, as irc-<id>.safetensors")
    parser.add_argument("--licence", required=True, help="of the weights, kept in the file")
    parser.add_argument("--credits", required=True, help="whose pictures they were trained on, kept in the file")
    parser.add_argument("--better", help="what is better about them than about earlier ones, kept in the file")
    a = parser.parse_args(argv)
    try:
        notes = {"licence": a.licence.strip(), "credits": a.credits.strip()}
        if a.better:
            notes["better"] = a.better
        for name in ("licence", "credits"):
            if not notes[name]:
                raise TrainingError(f"--{name} is empty")
        data = packed(a.checkpoint, notes)
        path = write(data, a.folder)
    except (TrainingError, OSError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    print(f"{path}: {len(data)} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
