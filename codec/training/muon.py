"""The optimiser: Muon for the convolutions, Adam for everything else.

>>> import torch
>>> w = torch.nn.Parameter(torch.randn(4, 3, 3, 3))
>>> optimiser = Muon([{"params": [w], "muon": True}], lr=1e-3)
>>> (w ** 2).sum().backward()
>>> optimiser.step()
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

ROUNDS = 5


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrix, roughly (singular values in 0.7..1.2): Newton-Schulz, quintic."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / (matrix.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.t() if tall else x
    for _ in range(ROUNDS):
        s = x @ x.t()
        x = a * x + (b * s + c * s @ s) @ x
    return x.t() if tall else x


def is_matrix(parameter: nn.Parameter) -> bool:
    """Whether Muon is for it: a convolution's weights that mix channels."""
    return parameter.ndim == 4 and parameter.shape[1] > 1


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024; scaled as in arXiv 2502.16982, section 2.2) where a group says `muon`, else Adam.

    A convolution's weights are the matrix outputs x (inputs and taps); its step has the size of one of Adam's. torch's
    own takes matrices only. Groups may give lr, momentum, betas, eps.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
    ):
        super().__init__(groups, {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps, "muon": False})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            update = self._muon if group["muon"] else self._adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    update(parameter, parameter.grad, self.state[parameter], group)

    @staticmethod
    def _muon(parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state["mean"] = torch.zeros_like(parameter)
        mean = state["mean"].lerp_(gradient, 1 - group["momentum"])
        direction = orthogonal(gradient.lerp(mean, group["momentum"]).flatten(1))  # Nesterov
        parameter.add_(direction.view_as(parameter), alpha=-group["lr"] * 0.2 * max(direction.shape) ** 0.5)

    @staticmethod
    def _adam(parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state.update(mean=torch.zeros_like(parameter), square=torch.zeros_like(parameter), steps=0)
        first, second = group["betas"]
        state["steps"] += 1
        state["mean"].lerp_(gradient, 1 - first)
        state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        deviation = (state["square"] / (1 - second ** state["steps"])).sqrt_().add_(group["eps"])
        parameter.addcdiv_(state["mean"], deviation, value=-group["lr"] / (1 - first ** state["steps"]))
