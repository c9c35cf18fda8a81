"""Hybrid mixture of experts (HMoE): one shared expert for every token, one routed expert more for boundary tokens."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from inter2former import kernels
from inter2former.model.layers import SwiGLU

__all__ = ["ExpertBank", "HybridMoE", "Routing"]


class Routing(NamedTuple):
    """Where boundary tokens go.

    Attributes:
        expert: (M,) int64, the chosen expert of each token.
        shared_weight: (M, 1) weight of the shared expert.
        routed_weight: (M, 1) weight of the chosen expert; the two add up to 1.
    """

    expert: Tensor
    shared_weight: Tensor
    routed_weight: Tensor


class ExpertBank(nn.Module):
    """The weights of E gated MLPs, stacked, with one norm for all."""

    def __init__(self, experts: int, width: int, hidden: int) -> None:
        """Build `experts` MLPs from `width` to `hidden` and back; initialised as `nn.Linear` would."""
        super().__init__()
        self.w1, self.b1 = _stacked_linear(experts, width, hidden)
        self.w2, self.b2 = _stacked_linear(experts, width, hidden)
        self.w3, self.b3 = _stacked_linear(experts, hidden, width)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, tokens: Tensor, expert: Tensor) -> Tensor:
        """Run tokens (M, C) through the expert (M,) of each: (M, C)."""
        norm = (self.norm.weight, self.norm.bias, self.norm.eps)
        return kernels.expert_mlp(tokens, expert, (self.w1, self.w2, self.w3), (self.b1, self.b2, self.b3), norm)


class HybridMoE(nn.Module):
    """Shared expert, router and routed experts (paper, section on HMoE).

    The load is balanced without an auxiliary loss: a bias per expert that only affects the choice is lowered where an
    expert got more tokens than the mean, and raised where it got fewer.
    """

    balance_rate = 0.001
    balance_steps = 100_000
    balance_bias: Tensor
    balance_step: Tensor

    def __init__(self, width: int, *, hidden: int, experts: int) -> None:
        """Build the layer; each expert is `hidden / experts` wide."""
        super().__init__()
        self.shared = SwiGLU(width, hidden // experts)
        self.shared_norm = nn.LayerNorm(hidden // experts)
        self.shared_gate = nn.Linear(width, 1)
        self.routed = ExpertBank(experts, width, hidden // experts)
        self.expert_gate = nn.Linear(width, experts)
        self.register_buffer("balance_bias", torch.zeros(experts))
        self.register_buffer("balance_step", torch.zeros((), dtype=torch.int64))

    def forward(self, tokens: Tensor, boundary: Tensor) -> Tensor:
        """Transform tokens.

        Args:
            tokens: (B, T, C).
            boundary: (B, h, w) bool with T = h * w.
        Returns:
            (B, T, C).
        """
        return self._transform(tokens, boundary)[0]

    def forward_training(self, tokens: Tensor, boundary: Tensor) -> Tensor:
        """As `forward`, and move the balance bias by one step."""
        out, expert = self._transform(tokens, boundary)
        self.balance(torch.bincount(expert, minlength=len(self.balance_bias)))
        return out

    def route(self, tokens: Tensor) -> Routing:
        """Choose an expert for each of the tokens (M, C): the one with the best biased score."""
        shared = self.shared_gate(tokens).sigmoid()
        scores = self.expert_gate(tokens).sigmoid()
        expert = (scores + self.balance_bias).argmax(-1)
        weights = torch.cat((shared, scores.gather(1, expert[:, None])), dim=1).softmax(-1)
        return Routing(expert, weights[:, :1], weights[:, 1:])

    @torch.no_grad()
    def balance(self, counts: Tensor) -> None:
        """Move the balance bias against the load.

        Several processes add up their counts first. Every process must take part, also one without a boundary token.

        Args:
            counts: (E,) tokens that each expert got.
        """
        if int(self.balance_step) >= self.balance_steps:
            return
        counts = counts.to(torch.float32)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(counts)
        self.balance_bias -= self.balance_rate * torch.sign(counts - counts.mean())
        self.balance_step += 1

    def _transform(self, tokens: Tensor, boundary: Tensor) -> tuple[Tensor, Tensor]:
        flat = tokens.flatten(0, 1)
        out = self.shared(flat, self.shared_norm)
        at = boundary.flatten().nonzero()[:, 0]
        chosen = flat[at]
        routing = self.route(chosen)
        routed = self.routed(chosen, routing.expert)
        blended = routing.shared_weight * out[at] + routing.routed_weight * routed
        return out.index_copy(0, at, blended).view_as(tokens), routing.expert


def _stacked_linear(experts: int, width_in: int, width_out: int) -> tuple[nn.Parameter, nn.Parameter]:
    bound = width_in**-0.5
    weight = torch.empty(experts, width_out, width_in).uniform_(-bound, bound)
    bias = torch.empty(experts, width_out).uniform_(-bound, bound)
    return nn.Parameter(weight), nn.Parameter(bias)
