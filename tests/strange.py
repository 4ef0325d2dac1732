"""A folder of strange files, and the tool driven over it:

    python tests/strange.py FOLDER            # some hundred files, a thousand commands
    python tests/strange.py FOLDER --few      # the part that the suite runs
    python tests/strange.py FOLDER --large    # 20000 x 5000 pixels too, through `python -m codec`

Whatever the file, a command ends in time and in bounded memory, with an exit status that is documented. If that is 0, the
picture is what it should be; if not, there is one line on standard error and no output. Each command has a process of its
own (forked, so that torch is imported once), so that a crash is seen as one.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: threads do not survive a fork
ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
from roundtrip import noise_photo  # noqa: E402
from strange_files import DAMAGED, base_files, damaged, pictures  # noqa: E402

from codec.errors import EXIT_CODES  # noqa: E402
from codec.network.session import open_session  # noqa: E402
from codec.pictures import formats, reading  # noqa: E402
from codec.tool import cli  # noqa: E402

SECONDS = 100  #: of processor time for a command
MEGABYTES = 1200  #: resident at most, of pictures of a megapixel and less


# --- running -------------------------------------------------------------------------------------


class Done(NamedTuple):
    """How a command ended: exit status (negative: the signal that killed it), output, errors, what it took."""

    code: int
    out: str
    err: str
    seconds: float
    megabytes: float


def run(arguments: list[str]) -> Done:
    """`irc arguments` in a forked process."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            code = 99
            try:
                resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                code = cli.main(arguments)
                sys.stdout.flush()
            finally:
                os._exit(code)
        _, status, usage = os.wait4(child, 0)
        return _done(status, usage, out, err)


def run_alone(arguments: list[str]) -> Done:
    """`python -m codec arguments`, for what takes long."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(
            [sys.executable, "-m", "codec", *arguments],
            stdout=out,
            stderr=err,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        return _done(status, usage, out, err)


# Linux starts a child's largest resident size at its parent's, so that no figure is below what this process has had.
def _done(status: int, usage: resource.struct_rusage, *streams: io.BufferedRandom) -> Done:
    texts = []
    for stream in streams:
        stream.seek(0)
        texts.append(stream.read().decode("utf-8", "replace"))
    return Done(
        os.waitstatus_to_exitcode(status), texts[0], texts[1], usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    )


class Tool:
    """Runs commands and keeps what was wrong with how they ended."""

    def __init__(self) -> None:
        self.codes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.slowest, self.largest = 0.0, 0.0

    def __call__(
        self, *arguments: str, output: Path | None = None, expect: tuple[int, ...] = (), alone: bool = False
    ) -> Done:
        done = (run_alone if alone else run)(list(arguments))
        self.codes[f"{arguments[0]} {done.code}"] += 1
        lines = done.err.splitlines()

        def check(holds: bool, what: str) -> None:
            if not holds:
                self.wrong.append(f"irc {' '.join(arguments)!r}: {what}; exit status {done.code}, {done.err[-500:]!r}")

        check(0 <= done.code < len(EXIT_CODES), "no documented exit status")
        check(not expect or done.code in expect, f"expected {expect}")
        check("Traceback" not in done.err and "unexpected" not in done.err, "an error that is not ours")
        notes = [line for line in lines if ": note: " in line]
        check(len(lines) - len(notes) == (done.code != 0), "not one line on standard error")
        check(all(line.startswith("irc: ") for line in lines), "a line that is not ours")
        if output is not None:
            check(output.exists() == (done.code == 0), "an output although it failed, or none")
            check(not list(output.parent.glob(".*.part")), "something half done is left")
        if not alone:
            check(done.megabytes < MEGABYTES, f"{done.megabytes:.0f} MB")
            self.slowest, self.largest = max(self.slowest, done.seconds), max(self.largest, done.megabytes)
        return done


# --- what is done with each -------------------------------------------------------------------------

FEW = (
    "size-1x1",
    "mode-L",
    "mode-RGB.",
    "mode-P-",
    "mode-CMYK.",
    "png-rgba-16",
    "exif-6",
    "truncated-0.5",
    "bomb",
    "name-two",
    "name--q",
)


def check_round_trip(tool: Tool, source: Path, coded: Path) -> None:
    """What was encoded is verified, decoded at both depths, and compared."""
    given = reading.load(source).pixels
    colour, alpha = formats.split(given)
    height, width = given.shape[:2]
    tool("verify", str(coded), expect=(0,))
    again, back = coded.with_name("again.irc"), coded.with_name("back.png")
    tool("encode", "-q", "60", str(source), str(again), output=again, expect=(0,))
    if again.read_bytes() != coded.read_bytes():
        tool.wrong.append(f"{source.name}: encoding it again gives other bytes")
    for depth in (8, 16):
        tool("decode", "-f", "--depth", str(depth), str(coded), str(back), output=back, expect=(0,))
        out = reading.load(back).pixels
        new, new_alpha = formats.split(out)
        if out.shape[:2] != (height, width) or (new.ndim != colour.ndim):
            tool.wrong.append(f"{source.name}: {given.shape} became {out.shape}")
            continue
        error = ((formats.to_depth(new, 8).astype(float) - formats.to_depth(colour, 8)) ** 2).mean()
        if error > 300:
            tool.wrong.append(f"{source.name}: mean squared error {error:.0f}")
        same = (
            alpha is None
            if new_alpha is None
            else alpha is not None
            and (np.array_equal(formats.to_depth(new_alpha, depth), formats.to_depth(alpha, depth)))
        )
        if not same:
            tool.wrong.append(f"{source.name}: alpha has changed")
    back.unlink()
    again.unlink()
    small = coded.with_name("small.png")
    tool(
        "decode",
        "--scale",
        "1/8",
        "--region",
        f"{width // 2},{height // 2},1,1",
        str(coded),
        str(small),
        output=small,
        expect=(0,),
    )
    small.unlink(missing_ok=True)


OPTIONS = (
    (),
    ("--salvage",),
    ("--scale", "1/8"),
    ("--scale", "1/2", "--salvage"),
    ("--region", "3,5,40,30"),
    ("--region", "60,60,9,8", "--salvage", "--scale", "1/4"),
    ("--depth", "16", "--strip"),
)


def check_damaged(
    tool: Tool, path: Path, codes: tuple[int, ...], options: tuple[tuple[str, ...], ...] = OPTIONS
) -> None:
    info = tool("info", "--json", str(path))
    verified = tool("verify", str(path), expect=codes)
    out = path.with_name("decoded.png")
    for option in options:
        done = tool("decode", *option, str(path), str(out), output=out)
        if not option and done.code != verified.code:
            tool.wrong.append(f"{path.name}: verify gives {verified.code}, decode {done.code}")
        if verified.code == 0 and done.code:
            tool.wrong.append(f"{path.name}: good, but decode {option} gives {done.code}: {done.err}")
        out.unlink(missing_ok=True)
    if verified.code == 0 and info.code:
        tool.wrong.append(f"{path.name}: good, but info gives {info.code}")


# --- large ---------------------------------------------------------------------------------------


def check_large(tool: Tool, folder: Path, quality: float) -> None:
    """20000 x 5000 pixels, 100 megapixels."""
    photo = noise_photo(1000, 1250, 6)
    source, coded, out = folder / "large.png", folder / "large.irc", folder / "large-out.png"
    Image.fromarray(np.tile(photo, (5, 16, 1))).save(source, compress_level=1)

    def step(*arguments: str, output: Path | None = None, codes: tuple[int, ...] = (0,)) -> None:
        done = tool(*arguments, output=output, expect=codes, alone=True)
        if done.megabytes > 2000:
            tool.wrong.append(f"{' '.join(arguments)}: {done.megabytes:.0f} MB")
        shown = " ".join(a for a in arguments if not a.startswith(str(folder)))
        print(
            f"20000 x 5000: {shown}: {done.seconds:.1f} s of processor time, {done.megabytes:.0f} MB, {done.code}",
            flush=True,
        )

    step("encode", "-q", str(quality), str(source), str(coded), output=coded)
    step("info", str(coded))
    step("decode", "--scale", "1/16", str(coded), str(out), output=out)
    step("decode", "-f", "--region", "19000,4000,1000,1000", str(coded), str(out), output=out)
    step("decode", "-f", str(coded), str(out), output=out)
    with Image.open(out) as image:
        error = max(
            float(((np.asarray(image.crop(box)).astype(float) - np.asarray(original)) ** 2).mean())
            for box in ((0, 0, 500, 500), (19500, 4500, 20000, 5000), (9800, 2300, 10300, 2800))
            for original in [
                Image.fromarray(np.tile(photo, (2, 2, 1))).crop(
                    (box[0] % 1250, box[1] % 1000, box[0] % 1250 + 500, box[1] % 1000 + 500)
                )
            ]
        )
    if error > 300:
        tool.wrong.append(f"20000 x 5000: mean squared error {error:.0f}")
    out.unlink()
    data = bytearray(coded.read_bytes())
    data[len(data) // 2] ^= 1
    coded.write_bytes(data)
    step("decode", str(coded), str(out), output=out, codes=(DAMAGED,))
    step("decode", "--salvage", "--scale", "1/8", str(coded), str(out), output=out)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the files are made")
    parser.add_argument("--few", action="store_true", help="a part only")
    parser.add_argument("--large", action="store_true", help="20000 x 5000 pixels too")
    parser.add_argument("--quality", type=float, default=60, help="of the large picture")
    a = parser.parse_args(arguments)
    a.folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")  # of Pillow, on damaged EXIF data
    open_session()  # before the forks: weights are read once
    tool, count = Tool(), 0
    for name, make, expected in pictures():
        if a.few and not name.startswith(FEW):
            continue
        source, coded = a.folder / name, a.folder / "coded.irc"
        source.write_bytes(make())
        count += 1
        done = tool("encode", "-q", "60", str(source), str(coded), output=coded, expect=(expected,))
        if done.code == 0 == expected:
            check_round_trip(tool, source, coded)
        if not done.code and (len(coded.read_bytes()) > source.stat().st_size) != (
            "larger than its source" in done.err
        ):
            tool.wrong.append(f"{name}: {done.err} of {coded.stat().st_size} bytes from {source.stat().st_size}")
        coded.unlink(missing_ok=True)
    for base, data in base_files().items():
        for number, (name, broken, codes) in enumerate(damaged(base, data)):
            if a.few and number % 9:
                continue
            path = a.folder / f"{base}-{name}.irc"
            path.write_bytes(broken)
            count += 1
            check_damaged(tool, path, codes, OPTIONS[:2] if a.few else OPTIONS)
    if a.large:
        check_large(tool, a.folder, a.quality)
    print("\n".join(tool.wrong))
    total = sum(tool.codes.values())
    print(
        f"{count} files, {total} commands, {len(tool.wrong)} wrong; slowest {tool.slowest:.1f} s of processor time, "
        f"largest {tool.largest:.0f} MB; by exit status: {dict(sorted(tool.codes.items()))}"
    )
    return bool(tool.wrong)


if __name__ == "__main__":
    raise SystemExit(main())
