"""Modules without numbers, for those that a file holds.

    >>> before = torch.get_rng_state()
    >>> with Blank():
    ...     layer = torch.nn.Conv2d(3, 3, 1)
    >>> torch.equal(torch.get_rng_state(), before)
    True

Torch draws a module's parameters when it makes one. That takes time, and the random numbers are the caller's, who may
count on their order. (Torch's own way round it, the device "meta", loads its compiler, which takes a second.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class Blank(TorchFunctionMode):
    """Inside, parameters are not drawn: they hold anything until they are loaded."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """What torch asks before it calls one of its functions."""
        given = kwargs or {}
        if getattr(func, "__module__", None) == torch.nn.init.__name__:
            return given["tensor"] if "tensor" in given else args[0]
        return (torch.zeros if func is torch.randn else func)(*args, **given)
