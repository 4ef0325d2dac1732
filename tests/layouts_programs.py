"""Picture files that programs of phones, cameras, scanners, browsers and offices write, compared with other readers:

    apt-get install imagemagick libimage-exiftool-perl libheif-examples libavif-bin libjxl-tools webp libjpeg-turbo-progs \
        pngcrush optipng libtiff-tools netpbm gifsicle graphicsmagick icoutils exiv2 libopenjp2-tools icc-profiles-free
    python tests/layouts_programs.py make FOLDER     # files by shell commands, and what another reader makes of each
    python tests/layouts_programs.py check FOLDER    # with irc: pixels, colour profile and metadata

Pixels are those of a reader that is not Pillow (djpeg, dwebp, avifdec, heif-convert, djxl, opj_decompress, ImageMagick),
turned as is known to be right. Metadata are what exiftool says of the file and of the PNG that is written of it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
#: by the kind of file, how another reader gives its pixels, as PNM, PAM or PNG
READERS = {
    "jpg": "djpeg -pnm {f} > {r}", "webp": "dwebp -quiet -pam {f} -o {r}", "avif": "avifdec {f} {r}.png && mv {r}.png {r}",
    "heic": "heif-convert {f} {r}.png && mv {r}.png {r}", "jxl": "djxl {f} {r}.png && mv {r}.png {r}",
    "jp2": "opj_decompress -quiet -i {f} -o {r}.png && mv {r}.png {r}",
}  # fmt: skip
READERS |= {"j2k": READERS["jp2"]}
READERS |= {
    "tga": "tgatoppm {f} > {r}",
    "pcx": "pcxtoppm {f} > {r}", "gif": "convert {f} -coalesce -delete 1--1 -depth 16 {r}.pam && mv {r}.pam {r}",
}  # fmt: skip
OTHERS = "convert '{f}[0]' -depth 16 {r}.pam && mv {r}.pam {r}"


@dataclass(frozen=True)
class Case:
    """A file: its name, the shell command that writes it to ``$o``, how its pixels are to be turned, by how much of 255
    two decoders of its kind may differ, and another reader's command where it is not that of its suffix.
    """

    name: str
    command: str
    turned: int = 1
    tolerance: float = 0
    reader: str = ""


def table() -> tuple[dict[str, str], list[Case]]:
    """Commands that make what the others start from, by its name, and the cases, of layouts_programs.tsv."""
    sources, found = {}, []
    for line in (ROOT / "tests/layouts_programs.tsv").read_text().splitlines()[4:]:
        name, turned, room, command, reader = (line.split("\t") + [""])[:5]
        if name.startswith("="):
            sources[name[1:]] = command
        else:
            found.append(Case(name, command, int(turned), float(room), reader))
    return sources, found


def shell(command: str, folder: Path, **names: str) -> str:
    """Run a command in a folder; returns what it said where it failed, else an empty text."""
    path = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "ICC": "/usr/share/color/icc",
        "OMP_NUM_THREADS": "1",
        **names,
    }
    done = subprocess.run(["sh", "-c", command], cwd=folder, env=path, capture_output=True, timeout=60)
    return "" if done.returncode == 0 else (done.stderr.decode(errors="replace").strip() or f"status {done.returncode}")


def pictures() -> dict[str, np.ndarray]:
    """Three pictures to start from: soft ramps of colour with some texture, the same upside down nowhere."""
    y, x = np.mgrid[0:47, 0:61].astype(float)
    noise = np.random.default_rng(7).normal(0, 3, (47, 61, 4))
    planes = [40 + 3 * x + y, 200 - 3 * y - x / 2, 60 + x * y / 20, 255 * np.clip((x + y - 25) / 50, 0, 1)]
    deep = np.clip((np.dstack(planes) + noise * [1, 1, 1, 0]) / 255, 0, 1) * 65535
    deep[20:30, 5:15, :3] = np.array([60000, 4000, 9000])
    eight = np.round(deep / 257).astype(np.uint8)
    return {"rgb.png": eight[..., :3], "rgba.png": eight, "deep.png": np.round(deep).astype(np.uint16)}


def cmyk_profile() -> bytes:
    """A small profile for ink: a table that takes each colour's amount from white."""
    import struct

    grid = np.array(np.meshgrid(*[np.linspace(0, 1, 3)] * 4, indexing="ij")).reshape(4, -1).T
    rgb = (1 - grid[:, :3]) * (1 - grid[:, 3:])
    matrix = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7142]])
    xyz = (rgb**2.2) @ matrix.T / np.array([0.9642, 1, 0.8249])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    lab = np.dstack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])])[0]
    table = np.clip((lab + [0, 128, 128]) / [100, 255, 255], 0, 1) * 255
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 3, 0]) + struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    lut += bytes(range(256)) * 4 + np.round(table).astype(np.uint8).tobytes() + bytes(range(256)) * 3
    words = b"desc\0\0\0\0\0\0\0\5Tinte"[:17] + bytes(80)
    tags = {
        b"desc": words,
        b"cprt": b"text\0\0\0\0CC0\0",
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061),
        b"A2B0": lut,
    }
    body, listed, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        listed += name + struct.pack(">II", at + len(body), len(data))
        body += data
    head = (
        bytes(4)
        + b"lcms"
        + bytes([2, 0x20, 0, 0])
        + b"prtrCMYKLab "
        + struct.pack(">6H", 2024, 1, 1, 0, 0, 0)
        + b"acsp"
        + bytes(28)
        + struct.pack(">3i", 63190, 65536, 54061)
    )
    head = head.ljust(128, b"\0")
    whole = head + struct.pack(">I", len(tags)) + listed + body
    return struct.pack(">I", len(whole)) + whole[4:]


def make(folder: Path) -> None:
    """Write the files, and beside each what another reader makes of it."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, str(ROOT))
    from codec.pictures import sixteen_bits

    for name, pixels in pictures().items():
        if pixels.dtype == np.uint16:
            (folder / name).write_bytes(sixteen_bits.png(pixels))
        else:
            Image.fromarray(pixels).save(folder / name)
    (folder / "cmyk.icc").write_bytes(cmyk_profile())
    sources, cases = table()
    for name, command in sources.items():
        if not (folder / name).exists() and (error := shell(command, folder)):
            print(f"{name}: {error[:200]}")
    outcome: Counter[str] = Counter()
    for case in cases:
        file, right = f"made-{case.name}", f"{case.name}.right"
        if (folder / file).exists():
            outcome["there already"] += 1
            continue
        error = shell(case.command, folder, o=file)
        if error or not (folder / file).exists():
            print(f"{case.name}: not written: {error[:160]}")
            (folder / file).unlink(missing_ok=True)
            outcome["not written"] += 1
            continue
        reader = case.reader or READERS.get(case.name.rpartition(".")[2], OTHERS)
        if error := shell(reader.format(f=file, r=right), folder):
            print(f"{case.name}: not read by another: {error[:160]}")
            outcome["not read by another"] += 1
        outcome["written"] += 1
    print(dict(outcome))


def samples(path: Path) -> np.ndarray:
    """H,W,4 of a PNM or PAM file, or of a PNG by ImageMagick: samples from 0 to 1, RGB and alpha."""
    data = path.read_bytes()
    if data.startswith(b"\x89PNG"):
        data = subprocess.run(["/usr/bin/convert", str(path), "pam:-"], capture_output=True, check=True).stdout
    if data.startswith(b"P7"):
        end = data.index(b"ENDHDR\n") + 7
        said = dict(line.split(None, 1) for line in data[:end].decode().splitlines() if " " in line)
        width, height, channels, largest = (int(said[name]) for name in ("WIDTH", "HEIGHT", "DEPTH", "MAXVAL"))
        kind = said.get("TUPLTYPE", "")
        alpha = kind.endswith("ALPHA")
        if kind.startswith("CMYK"):
            raise ValueError("ink")
    else:
        found = re.match(rb"P([456])\s+(?:#.*\n)?(\d+)\s+(\d+)\s" + (b"" if data[1:2] == b"4" else rb"(\d+)\s"), data)
        assert found, path
        end, width, height, channels = found.end(), int(found[2]), int(found[3]), 3 if found[1] == b"6" else 1
        alpha = False
        if found[1] == b"4":
            rows = np.frombuffer(data[end:], np.uint8).reshape(height, -1)
            grey = 1.0 - np.unpackbits(rows, axis=1)[:, :width]
            return np.dstack([grey] * 3 + [np.ones_like(grey)])
        largest = int(found[4])
    array = np.frombuffer(data, ">u2" if largest > 255 else np.uint8, width * height * channels, end)
    return wide(array.reshape(height, width, channels) / largest, alpha)


def wide(pixels: np.ndarray, alpha: bool) -> np.ndarray:
    """H,W,4 of samples from 0 to 1 of any number of channels."""
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    colour = pixels[..., :-1] if alpha else pixels
    colour = np.repeat(colour, 3, 2) if colour.shape[2] == 1 else colour
    return np.dstack([colour, pixels[..., -1] if alpha else np.ones(pixels.shape[:2])])


def difference(found: np.ndarray, right: np.ndarray) -> float:
    """By how much of 255 they differ at most; colour under alpha 0 does not count; infinite for another size."""
    if found.shape != right.shape:
        return float("inf")
    seen = (right[..., 3:] > 0).astype(float)
    return float(np.abs(np.dstack([(found - right)[..., :3] * seen, (found - right)[..., 3:]])).max() * 255)


#: of exiftool's groups, those whose tags are metadata; of tags, those that describe the file or have to change
_GROUPS = re.compile(r"(IFD0|ExifIFD|GPS|InteropIFD|SubIFD|IPTC\d*|Photoshop|XMP-.*|ICC.*|PNG|MakerNotes|IFD1)$")
_LAYOUT = re.compile(
    r"(Thumbnail|.*(Offset|ByteCounts|Length)$|Compression|PhotometricInterpretation|SamplesPerPixel|BitsPerSample|Image(Width|Height|Size)|"
    r"RowsPerStrip|PlanarConfiguration|Predictor|FillOrder|Tile.*|SubfileType|OldSubfileType|ExtraSamples|SampleFormat|Orientation|ExifByteOrder|File.*|"
    r"Directory|MIMEType|ColorComponents|EncodingProcess|YCbCr.*|ColorType|BitDepth|Filter|Interlace|CurrentIPTCDigest|PageNumber|JPEG.*|Strip.*|"
    r"JFIFVersion|ColorMap|XMPToolkit|ReferenceBlackWhite|.*Resolution|ResolutionUnit|Pixels.*|PixelUnits|Exif(Image)?(Width|Height)|ProgressiveScans|"
    r"Raw(Profile|IPTC|.*)|Datecreate|Datemodify|ModifyDate|SRGBRendering|Gamma|Palette|Transparency|Background.*|ImageData.*|GrayResponse.*|T[46]Options|"
    r"Animation.*|Frame.*|Version|HasColorMap|.*Brand.*|Colorspace|ColorSpecMethod|ColorSpecPrecedence|ColorSpecApproximation|Num.*|.*Signature|ExifVersion|"
    r"BMPVersion|.*Colors|Planes|WhitePoint[XY]|(Red|Green|Blue)[XY]|SignificantBits|PaletteHistogram|CMYKEquivalent|Primary.*|WhitePoint|Warning|MinorVersion|BitsPerComponent|GIFVersion|ColorResolutionDepth|BitsPerPixel|.*Mask|RenderingIntent|ImageCount|ColorPlanes|MaxVal|Manufacturer|Encoding|.*Margin|PreviewImage.*|PageCount|InkSet|.*Fax(Lines|Data)|ConsecutiveBadFaxLines|ProfileName|IPTC_Profile|ColorSpaceData|TransparentColor|Duration|ProfileSize)$"
)


def said_of(files: list[Path]) -> dict[str, set[tuple[str, str]]]:
    """What exiftool says of files, the metadata alone: by file name, tags and values."""
    out: dict[str, set[tuple[str, str]]] = {}
    for start in range(0, len(files), 50):
        command = ["exiftool", "-j", "-a", "-G1:4", *map(str, files[start : start + 50])]
        said = subprocess.run(command, capture_output=True).stdout or b"[]"
        for pairs in json.loads(said, object_pairs_hook=lambda pairs: pairs):  # a tag may be there twice
            found = [(*key.rpartition(":")[::2], str(value)) for key, value in pairs]
            tags = {
                (t, v)
                for g, t, v in found
                if (_GROUPS.match(g.partition(":")[0]) and not _LAYOUT.match(t)) or t == "Comment"
            }
            out[Path(dict(pairs)["SourceFile"]).name] = tags
    return out


def check(folder: Path) -> int:
    """Compare and count; the status is 1 where a file is wrong."""
    from codec.errors import InputError
    from codec.pictures import formats, reading, writing

    outcome: dict[str, Counter[str]] = {}
    notes: dict[str, list[str]] = {}
    again = folder / "again"
    again.mkdir(exist_ok=True)
    told: dict[str, list[str]] = {}
    verdicts: dict[str, str] = {}
    for case in table()[1]:
        file, right = folder / f"made-{case.name}", folder / f"{case.name}.right"
        if not file.exists():
            continue
        try:
            picture = reading.load(file)
        except InputError as error:
            verdicts[case.name] = "refused"
            notes.setdefault(f"REFUSED {error}", []).append(case.name)
            continue
        told[case.name] = picture.notes
        for note in picture.notes:
            notes.setdefault(note, []).append(case.name)
        verdicts[case.name] = "noted" if picture.notes else "exact"
        pixels = picture.pixels
        try:
            wanted = samples(right)
        except FileNotFoundError:
            verdicts[case.name] = "nothing to compare with"
            continue
        wanted = formats.turned(wanted, case.turned)
        channels = pixels.shape[2] if pixels.ndim == 3 else 1
        found = wide(pixels / np.iinfo(pixels.dtype).max, channels % 2 == 0)
        room = case.tolerance + ("read as 8" in " ".join(picture.notes))
        off = difference(found, wanted)
        if off > room + 1e-6:
            print(
                f"{case.name}: WRONG by {off:.3g} of 255 (room {room}), {pixels.dtype}{pixels.shape} for {wanted.shape}, {picture.notes}"
            )
            verdicts[case.name] = "WRONG"
        with open(again / f"{case.name}.png", "wb") as stream:
            writing.save(picture, stream, "x.png")
        if picture.icc:
            (again / f"{case.name}.icc").write_bytes(picture.icc)
    before = said_of([folder / f"made-{name}" for name in told])
    after = said_of([again / f"{name}.png" for name in told])
    for name, said in told.items():
        lost = before[f"made-{name}"] - after[f"{name}.png"]
        if lost and not said:
            print(f"{name}: WRONG, without a note {sorted(lost)[:5]}")
            verdicts[name] = "WRONG"
        elif lost:
            print(f"{name}: {', '.join(sorted({tag for tag, _ in lost})[:5])} differ; notes {said}")
    for note, names in notes.items():
        print(f"{len(names):4d} {note}: {', '.join(names[:5])}")
    for name, verdict in verdicts.items():
        outcome.setdefault(re.split(r"[-.]", name)[0], Counter())[verdict] += 1
    for writer, counts in outcome.items():
        print(f"{writer}: {dict(counts)}")
    print(dict(Counter(verdicts.values())))
    return "WRONG" in verdicts.values()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    warnings.simplefilter("ignore")
    raise SystemExit({"make": make, "check": check}[sys.argv[1]](Path(sys.argv[2])))
