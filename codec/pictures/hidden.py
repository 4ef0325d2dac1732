"""Colour that nobody sees: pixels of alpha 0 take on a colour that costs few bytes and bleeds nowhere.

What lies under alpha 0 is often noise or black. Coded as it is, it costs bytes, and at low quality it colours the seen
pixels beside it. So it is replaced by a smooth continuation of what is seen: averages of the seen pixels on ever
coarser grids, brought back to where nothing is known ("pull-push": Gortler et al., The Lumigraph, SIGGRAPH 1996).

    >>> import numpy as np
    >>> colour, alpha = np.array([[9, 200]], np.uint8), np.array([[255, 0]], np.uint8)
    >>> filled(colour, alpha)
    array([[9, 9]], dtype=uint8)
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from codec.pictures.formats import Pixels

NOTHING = 0  #: the sample where no pixel of the picture is seen


def filled(colour: Pixels, alpha: Pixels | None) -> Pixels:
    """Colour (H,W or H,W,3) with its pixels of alpha 0 (H,W; None: opaque) filled from those around them.

    Seen pixels stay as they are. The result does not depend on what was under alpha 0. A picture in which nothing is
    seen becomes 0. Where nothing is hidden, the array itself is returned.
    """
    if alpha is None or alpha.all():
        return colour
    seen = alpha > 0
    if not seen.any():
        return cast(Pixels, np.full_like(colour, NOTHING))
    out = colour.copy()
    planes = out[..., None] if out.ndim == 2 else out
    hidden = ~seen
    for channel in range(planes.shape[2]):  # one at a time: a quarter of the memory
        known = np.where(seen, planes[..., channel], 0).astype(np.float32)
        smooth = _continued(known, seen.astype(np.float32))
        planes[hidden, channel] = np.rint(smooth[hidden]).astype(out.dtype)
    return out


def _continued(value: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values H,W whose weight (0 or 1) is 0, where the value is 0, replaced by those of the next coarser grid."""
    if weight.all():
        return value
    total = _cells(weight)
    mean = np.divide(_cells(value), np.maximum(total, 1), dtype=np.float32)
    coarse = _continued(mean, (total > 0).astype(np.float32))
    finer = _between(_between(coarse, value.shape[0], 0), value.shape[1], 1)
    return np.where(weight > 0, value, finer)


def _cells(a: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sum of each cell of 2 x 2, H,W -> H/2,W/2, rounded up."""
    a = np.pad(a, ((0, a.shape[0] % 2), (0, a.shape[1] % 2)))
    return a[::2, ::2] + a[1::2, ::2] + a[::2, 1::2] + a[1::2, 1::2]


def _between(a: NDArray[np.float32], length: int, axis: int) -> NDArray[np.float32]:
    """Linear interpolation to `length` samples along an axis, twice as many (less one, where that is odd)."""
    before = np.concatenate([a.take([0], axis), a.take(range(a.shape[axis] - 1), axis)], axis)
    after = np.concatenate([a.take(range(1, a.shape[axis]), axis), a.take([-1], axis)], axis)
    both = np.stack([(3 * a + before) / 4, (3 * a + after) / 4], axis + 1)
    shape = list(a.shape)
    shape[axis] *= 2
    return both.reshape(shape).take(range(length), axis)
