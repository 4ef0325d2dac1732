"""Colour spaces by the numbers of ITU-T H.273 (07/2024), as PNG's cICP and the nclx box of AVIF and HEIF give them."""

from __future__ import annotations

from codec.errors import InputError
from codec.pictures.icc import D65, SRGB_CURVE, VIDEO_CURVE, Curve, Point, Space

_C, _E, _DCI = (0.310, 0.316), (1 / 3, 1 / 3), (0.314, 0.351)
#: table 2, ColourPrimaries: name, white, red, green, blue
PRIMARIES: dict[int, tuple[str, Point, Point, Point, Point]] = {
    1: ("BT.709", D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    4: ("BT.470 M", _C, (0.67, 0.33), (0.21, 0.71), (0.14, 0.08)),
    5: ("BT.601, 625 lines", D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: ("BT.601, 525 lines", D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    7: ("SMPTE 240M", D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    8: ("film", _C, (0.681, 0.319), (0.243, 0.692), (0.145, 0.049)),
    9: ("BT.2020", D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: ("DCI-P3", _DCI, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    12: ("P3", D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    22: ("EBU 3213", D65, (0.630, 0.340), (0.295, 0.605), (0.155, 0.077)),
}
#: table 3, TransferCharacteristics: name, from samples to linear light
TRANSFERS: dict[int, tuple[str, Curve]] = {
    **dict.fromkeys((1, 6, 11, 12, 14, 15), ("the curve of BT.709", VIDEO_CURVE)),
    4: ("gamma 2.2", Curve(2.2)),
    5: ("gamma 2.8", Curve(2.8)),
    7: ("the curve of SMPTE 240M", Curve(1 / 0.45, (1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 0.0912))),
    8: ("linear light", Curve(1.0)),
    13: ("sRGB's curve", SRGB_CURVE),
    17: ("gamma 2.6", Curve(2.6)),
}
_HIGH_RANGE = {16: "PQ (SMPTE ST 2084)", 18: "HLG (ARIB STD-B67)"}
_LOGARITHMIC = {9: "a logarithmic curve", 10: "a logarithmic curve"}
UNSPECIFIED = 2
DISPLAY_P3 = Space("Display P3", PRIMARIES[12][1:], (SRGB_CURVE,))


def space_of(primaries: int, transfer: int) -> Space | None:
    """The colour space of these numbers; None where they are unspecified or reserved.

    What is not specified of the two is taken as sRGB's. InputError for high dynamic range, which 8-bit pictures for
    ordinary screens cannot show, and for logarithmic curves.
    """
    curve = {**_HIGH_RANGE, **_LOGARITHMIC}.get(transfer)
    if curve:
        raise InputError(
            f"the samples are coded by {curve}, which is not supported: taken for sRGB every tone would be wrong; "
            "convert the image to sRGB or Display P3 first (for instance ffmpeg with zscale and tonemap)"
        )
    if (primaries not in PRIMARIES and primaries != UNSPECIFIED) or (
        transfer not in TRANSFERS and transfer != UNSPECIFIED
    ):
        return None
    name, *points = PRIMARIES[1 if primaries == UNSPECIFIED else primaries]
    curve_name, what = TRANSFERS[13 if transfer == UNSPECIFIED else transfer]
    if (primaries, transfer) == (12, 13):
        return DISPLAY_P3
    return Space(f"{name} primaries, {curve_name}", tuple(points), (what,))
