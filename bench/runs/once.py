"""One picture through one codec, as a process of its own: what the speed benchmark times from outside.

    python -m bench.runs.once jpeg encode 75 in.png out.bin
    python -m bench.runs.once jpeg decode - out.bin decoded.ppm

Prints its largest resident memory in bytes.
"""

import argparse
import resource
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from bench.peers.codecs import open_codec
from bench.runs.images import read_image
from bench.runs.limits import hold

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Encode or decode; return 0."""
    parser = argparse.ArgumentParser(prog="python -m bench.runs.once", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("codec")
    parser.add_argument("action", choices=("encode", "decode"))
    parser.add_argument("setting", help="of the codec; - to decode")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", type=int, default=0, metavar="BYTES", help="fail beyond this (default: no limit)")
    args = parser.parse_args(argv)
    hold(args.threads, args.memory)
    codec = open_codec(args.codec)
    if args.action == "encode":
        args.target.write_bytes(codec.encode(read_image(args.source), float(args.setting)))
    else:
        # written without compression: its time is no part of a codec's
        Image.fromarray(np.asarray(codec.decode(args.source.read_bytes()))).save(args.target, "PPM")
    print(_peak())
    return 0


def _peak() -> int:
    """Largest resident memory in bytes, of this process or of one that it ran.

    Linux counts the memory of the process that started this one into what getrusage and wait4 report, so it is read
    from where it is this one's alone.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        # kilobytes, save for macOS
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    own = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return 1024 * max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


if __name__ == "__main__":
    sys.exit(main())
