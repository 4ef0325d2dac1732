"""Two environments, say with different versions of torch, must give the same bytes and the same integers:

    python tests/two_torches.py /one/bin/python /other/bin/python

Each encodes the same pictures and decodes what both encoded and the golden files. Streams and latents are compared by
SHA-256, pixels by their largest difference (which may be 1: floats round differently).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
DATA = ROOT / "tests" / "data"


def work(own: Path, *others: str) -> None:
    """Encode into the folder `own`; decode these files, the golden ones and those in other folders."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    import numpy as np
    import torch
    from roundtrip import noise_photo

    from codec import api
    from codec.coding.tiles import Reader

    print(
        f"# torch {torch.__version__}, numpy {np.__version__}, Python {sys.version.split()[0]}, "
        f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads",
        file=sys.stderr,
    )
    if not others:
        photo = noise_photo(200, 300, 7)
        alpha = np.dstack([photo, photo[..., 0]])
        for name, pixels, quality, tile in (
            ("low", photo, 5, 0),
            ("middle", photo, 50, 0),
            ("high", photo, 95, 0),
            ("tiles", photo, 75, 96),
            ("grey", photo[..., 1], 75, 0),
            ("alpha", alpha, 30, 0),
            ("deep", photo.astype(np.uint16) * 257 + 9, 100, 0),
        ):
            (own / f"{name}.irc").write_bytes(api.encode(pixels, quality, tile=tile, device="cpu"))
        return
    for path in sorted(DATA.glob("*.irc")) + sorted(p for folder in others for p in Path(folder).glob("*.irc")):
        data = path.read_bytes()
        latent = Reader.of(data).latent()
        held = hashlib.sha256(b"".join(a.astype("<i4").tobytes() for a in (latent.side, *latent.k))).hexdigest()
        np.save(
            own / f"{path.parent.name}-{path.stem}.npy", api.decode(data, array=True, device="cpu").astype(np.uint8)
        )
        print(path.parent.name, path.name, hashlib.sha256(data).hexdigest()[:16], held)


def main(pythons: list[str]) -> int:
    import numpy as np

    environment = os.environ | {"IRC_WEIGHTS": str(DATA)}
    with tempfile.TemporaryDirectory() as temporary:
        coded = [Path(temporary) / str(n) for n in range(2)]
        decoded = [Path(temporary) / f"decoded{n}" for n in range(2)]
        reports = []
        for folder in (*coded, *decoded):
            folder.mkdir()
        for python, folder in zip(pythons, coded):
            subprocess.run([python, __file__, "--work", str(folder)], env=environment, check=True)
        for python, folder in zip(pythons, decoded):
            reports.append(
                subprocess.run(
                    [python, __file__, "--work", str(folder), *map(str, coded)],
                    env=environment,
                    check=True,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                ).stdout
            )
        same_bytes = all((coded[1] / p.name).read_bytes() == p.read_bytes() for p in coded[0].iterdir())
        pixels = [np.abs(np.load(p).astype(int) - np.load(decoded[1] / p.name)) for p in decoded[0].iterdir()]
    print(
        f"{len(reports[0].splitlines())} files decoded: latents {'the same' if reports[0] == reports[1] else 'DIFFER'}, "
        f"encoded bytes {'the same' if same_bytes else 'DIFFER'}; pixels differ by {max(int(p.max()) for p in pixels)} at most, "
        f"at {sum(int((p > 0).sum()) for p in pixels)} of {sum(p.size for p in pixels)} samples"
    )
    return not (same_bytes and reports[0] == reports[1])


if __name__ == "__main__":
    if sys.argv[1] == "--work":
        work(Path(sys.argv[2]), *sys.argv[3:])
    else:
        raise SystemExit(main(sys.argv[1:3]))
