"""What the commands do that look at pictures: `compare` and `thumbnail`."""

from __future__ import annotations

import io
import os
from argparse import Namespace
from contextlib import nullcontext

from codec.batch import local
from codec.batch.callables import load_api
from codec.container import bitstream
from codec.container.grid import SCALES
from codec.errors import IrcError, UsageError
from codec.tool import bar, console, output
from codec.tool.options import STREAM
from codec.tool.output import Status, shown

SHOWN_AS = (".html", ".png")  #: suffixes of what shows a comparison


def compare(args: Namespace, status: Status) -> None:
    """What an .irc file lost of its picture."""
    if args.PICTURE == args.FILE == STREAM:
        raise UsageError("only one of the two can be standard input")
    suffix = None if args.out is None else os.path.splitext(args.out)[1].lower()
    if args.out is not None:
        _check_out(args, str(suffix))
    status.file = args.FILE
    data = console.read(args.FILE, bitstream.MAGIC)
    bitstream.read(data, args.max_pixels)  # damage to the container is found without the network
    status.file = args.PICTURE
    load_api()
    from codec.compare import comparison, page, sheet
    from codec.network.host import torch_threads
    from codec.pictures import reading

    is_file = os.path.isfile(args.PICTURE)
    with local.opened(args.PICTURE) if is_file else io.BytesIO(console.read(args.PICTURE)) as stream:
        picture = reading.load(stream, args.max_pixels)
    with nullcontext() if args.threads is None else torch_threads(args.threads):
        found = comparison.compare(
            picture, data, max_pixels=args.max_pixels, device=args.device, progress=bar.reporter("compare")
        )
    for note in [*picture.notes, *found.notes]:
        status.note(note)
    if args.out is not None:
        name = "the picture" if args.PICTURE == STREAM else os.path.basename(args.PICTURE)
        show = page.comparison_page if suffix == ".html" else sheet.comparison_sheet
        local.put(args.out, show(found, shown(name), args.region), args.force)
    facts = found.facts()
    if args.json:
        output.tell_json({"input": args.PICTURE, "file": args.FILE, "output": args.out, **facts})
    else:
        console.tell(output.comparison(args.FILE, facts))


def _check_out(args: Namespace, suffix: str) -> None:
    """Refuse an output early that would fail after all the work."""
    if suffix not in SHOWN_AS:
        raise UsageError(f"{shown(args.out)}: what was lost is shown as {' or '.join(SHOWN_AS)}")
    if os.path.exists(args.out):
        if any(os.path.exists(name) and os.path.samefile(name, args.out) for name in (args.PICTURE, args.FILE)):
            raise IrcError(f"the output {shown(args.out)} is the input itself")
        if not args.force:
            raise local.exists(args.out)


def thumbnail(args: Namespace, status: Status) -> None:
    """A small picture of an .irc file, from as little of it as that takes."""
    status.file = args.IN
    data = console.read(args.IN, bitstream.MAGIC)
    file = bitstream.read(data, args.max_pixels)
    longest = max(file.header.width, file.header.height)
    scale = max(n for n in SCALES if n == 1 or longest // n >= args.fit)
    pixels = load_api().decode(data, array=True, scale=scale, max_pixels=args.max_pixels, device="cpu")
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((args.fit, args.fit), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", icc_profile=file.extras.get(bitstream.ICC))
    local.put(args.OUT, buffer.getbuffer(), True)


RUN = {"compare": compare, "thumbnail": thumbnail}
