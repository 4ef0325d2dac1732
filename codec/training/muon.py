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


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrices, roughly (singular values in 0.7..1.2): quintic Newton-Schulz iteration.

    matrices: ...,M,N, each on its own.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrices / (matrices.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    for _ in range(ROUNDS):
        s = x @ x.mT
        x = a * x + (b * s + c * s @ s) @ x
    return x.mT if tall else x


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
        """Move all parameters that have a gradient, by the learning rates of their groups."""
        for group in self.param_groups:
            moving = {p: p.grad for p in group["params"] if p.grad is not None}
            if moving and not group["muon"]:
                self._adam(list(moving), list(moving.values()), group)
            elif moving:
                alike: dict[torch.Size, dict[Tensor, Tensor]] = {}
                for p, gradient in moving.items():
                    alike.setdefault(p.flatten(1).shape, {})[p] = gradient
                for same in alike.values():
                    self._muon(same, group)

    def _muon(self, moving: dict[Tensor, Tensor], group: dict[str, Any]) -> None:
        """Matrices of one shape together: on a GPU many small products cost more than one large."""
        momentum, directions = group["momentum"], []
        for p, gradient in moving.items():
            state = self.state[p]
            if not state:
                state["mean"] = torch.zeros_like(p)
            mean = state["mean"].lerp_(gradient, 1 - momentum)
            directions.append(gradient.lerp(mean, momentum).flatten(1))  # Nesterov
        for p, direction in zip(moving, orthogonal(torch.stack(directions))):
            p.add_(direction.reshape(p.shape), alpha=-group["lr"] * 0.2 * max(direction.shape) ** 0.5)

    def _adam(self, parameters: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> None:
        first, second = group["betas"]
        states = [self.state[p] for p in parameters]
        for p, state in zip(parameters, states):
            if not state:
                state.update(mean=torch.zeros_like(p), square=torch.zeros_like(p), steps=0)
            state["steps"] += 1
        means, squares = [s["mean"] for s in states], [s["square"] for s in states]
        torch._foreach_lerp_(means, gradients, 1 - first)
        torch._foreach_mul_(squares, second)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - second)
        deviations = torch._foreach_div(squares, [1 - second ** s["steps"] for s in states])
        torch._foreach_sqrt_(deviations)
        torch._foreach_add_(deviations, group["eps"])
        sizes = [-group["lr"] / (1 - first ** s["steps"]) for s in states]
        torch._foreach_addcdiv_(parameters, means, deviations, sizes)
