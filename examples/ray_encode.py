"""Encode photos on a Ray cluster, with Ray Data.

    python examples/ray_encode.py PHOTOS OUT [QUALITY]

PHOTOS and OUT are folders that all computers see, or URLs such as s3://bucket/photos. A failure is named and the other
photos go on; the exit status is then 1. Needs `pip install 'ray[data]' 'irc-codec[cluster]'` on all computers.
"""

import os
import sys

import numpy as np
import ray

from codec.batch import Encoder
from codec.batch.places import Places
from codec.errors import IrcError


class Encode:
    """What an actor does to a batch of photos; the weights are loaded with the first, and stay."""

    def __init__(self, photos: str, out: str, quality: float):
        self.photos, self.out, self.encoder, self.places = photos, out, Encoder(quality, threads=1), Places()

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[object]]:
        """Columns path and bytes of the photos -> path, size in bytes of the .irc file, and error of each."""
        sizes, errors = [], []
        for path, data in zip(batch["path"], batch["bytes"]):
            inside = str(path).partition(self.photos.partition("://")[2] or self.photos)[2].strip("/")
            try:
                made = self.encoder(data)
                self.places.put(f"{self.out}/{os.path.splitext(inside)[0]}.irc", made, True, None)
            except IrcError as error:
                sizes.append(0)
                errors.append(str(error))
            else:
                sizes.append(len(made))
                errors.append("")
        return {"path": list(batch["path"]), "size": sizes, "error": errors}


def main(photos: str, out: str, quality: str = "75") -> int:
    """Encode all photos; return the exit status."""
    photos, out = (name.rstrip("/") if "://" in name else os.path.abspath(name) for name in (photos, out))
    arguments = {"photos": photos, "out": out, "quality": float(quality)}
    rows = ray.data.read_binary_files(photos, include_paths=True).map_batches(
        Encode, fn_constructor_kwargs=arguments, batch_size=16, num_cpus=1, concurrency=(1, 1000)
    )
    files = failed = 0
    for row in rows.iter_rows():
        files += 1
        if row["error"]:
            failed += 1
            print(f"{row['path']}: {row['error']}", file=sys.stderr)
    print(f"{files} files, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
