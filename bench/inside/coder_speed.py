"""Time of coding and decoding the symbols of photos, without the networks.

    python -m bench.inside.coder_speed PHOTOS --qualities 50,100

Every call of the coder is timed inside a real encode and decode (processor time). Prints for each quality the number of
symbols, the milliseconds of one photo (median) for coding, decoding and both, and the most that both take. Of a photo,
the median of three runs counts, after one that does not.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from bench.inside.program import numbers
from bench.inside.program import parser as program
from bench.runs.images import list_images, read_image
from codec.coding.tiles import checksum
from codec.container.bitstream import in_steps
from codec.network.session import open_session
from entropy.coder import Coder, Decoder, Encoder, Models
from entropy.integer import Walker


class Timed:
    """A coder that counts its symbols and the seconds spent in it."""

    def __init__(self, coder: Coder):
        self.coder, self.seconds, self.symbols = coder, 0.0, 0

    def code(self, models: Models, ids: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        """Code as the coder does, and count."""
        began = time.thread_time()
        out = self.coder.code(models, ids, values)
        self.seconds += time.thread_time() - began
        self.symbols += len(ids)
        return out


def main(argv: list[str] | None = None) -> int:
    """Run the program on its arguments (default: the command line's)."""
    parser = program("bench.inside.coder_speed", __doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--qualities", type=numbers, default="50,100", help="comma-separated (default: %(default)s)")
    a = parser.parse_args(argv)
    session = open_session()
    prior = session.prior
    print(f"{'quality':>7} {'symbols':>9} {'code ms':>8} {'decode ms':>9} {'both ms':>8} {'most ms':>8}")
    for quality in a.qualities:
        code, rows = in_steps(quality), []
        for photo in list_images(a.folder):
            latent = session.encode(session.bands(read_image(photo)), code)[1]
            shape = latent.side.shape
            runs = []
            for _ in range(4):  # the first makes the tables' models
                writer = Timed(encoder := Encoder())
                held = Walker(prior, writer, code).walk(shape, latent)
                reader = Timed(Decoder(encoder.bytes()))
                again = Walker(prior, reader, code).walk(shape, None)
                runs.append((writer.symbols, 1e3 * writer.seconds, 1e3 * reader.seconds))
            if checksum(again) != checksum(held):
                raise SystemExit(f"{photo}: what was decoded is not what was coded")
            rows.append(np.median(runs[1:], 0))
        symbols, coding, decoding = np.median(rows, 0)
        both = [c + d for _, c, d in rows]
        print(
            f"{quality:7g} {symbols:9.0f} {coding:8.1f} {decoding:9.1f} {np.median(both):8.1f} {max(both):8.1f}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
