"""What each command does to one picture, as its options say: a callable of `codec.batch`."""

from __future__ import annotations

from argparse import Namespace

from codec.batch.callables import Decoder, Downscaler, Encoder, Upscaler, Verifier
from codec.coding.options import EncodeOptions
from codec.errors import UsageError

_ENCODE = (*EncodeOptions.TARGETS, "tune", "temperature", "seed", "stable", "effort", "device", "tile", "weights")
_DECODE = ("temperature", "seed", "depth", "device", "max_pixels", "region", "scale", "salvage")
_UPSCALE = ("scale", "temperature", "seed", "depth")


def encoder(args: Namespace) -> Encoder:
    """For `irc encode`."""
    if args.effort and any(getattr(args, target) is not None for target in EncodeOptions.TARGETS):
        raise UsageError("--effort goes with -q, not with --bpp, --size, --psnr or --ssimulacra2")
    options = {name: getattr(args, name) for name in _ENCODE}
    quality = 75.0 if args.quality is None else args.quality
    return Encoder(quality, strip=args.strip, max_pixels=args.max_pixels, threads=args.threads, **options)


def decoder(args: Namespace, format: str) -> Decoder:
    """For `irc decode`; format: of the picture, as a suffix without its dot."""
    _check_jpeg(args, format)
    options = {name: getattr(args, name) for name in _DECODE}
    return Decoder(format, jpeg_quality=args.jpeg_quality, strip=args.strip, threads=args.threads, **options)


def verifier(args: Namespace) -> Verifier:
    """For `irc verify`."""
    return Verifier(max_pixels=args.max_pixels, threads=args.threads)


def downscaler(args: Namespace, format: str) -> Downscaler:
    """For `irc downscale`; format: of the small picture, as a suffix without its dot."""
    options = {"effort": args.effort, "max_pixels": args.max_pixels, "threads": args.threads}
    return Downscaler(args.scale, format=format, strip=args.strip, **options)


def upscaler(args: Namespace, format: str) -> Upscaler:
    """For `irc upscale`; format: of the photo, as a suffix without its dot."""
    _check_jpeg(args, format)
    options = {name: getattr(args, name) for name in _UPSCALE}
    return Upscaler(
        format,
        jpeg_quality=args.jpeg_quality,
        strip=args.strip,
        max_pixels=args.max_pixels,
        threads=args.threads,
        **options,
    )


def _check_jpeg(args: Namespace, format: str) -> None:
    if args.jpeg_quality is not None and format not in ("jpg", "jpeg"):
        raise UsageError(f"--jpeg-quality is of .jpg files, and the output is .{format}")
