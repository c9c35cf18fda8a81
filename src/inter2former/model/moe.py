"""Hybrid mixture of experts (HMoE): a shared expert for every token, for boundary tokens routed experts besides."""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from inter2former import kernels
from inter2former.config import DecoderConfig
from inter2former.kernels.reference import Experts, Norm
from inter2former.model.boundary import TokenSplit
from inter2former.model.layers import SwiGLU, norm_values

__all__ = ["ExpertBank", "FeedForward", "HybridMoE", "Routing", "SharedExpert", "feed_forward"]


class Routing(NamedTuple):
    """Where boundary tokens go.

    Attributes:
        expert: (M, k) int64, the chosen experts of each token, the best first.
        shared_weight: (M, 1) weight of the shared expert.
        routed_weight: (M, k) weight of each chosen expert; a token's weights add up to 1.
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
        return kernels.expert_mlp(tokens, expert, *self.values)

    @property
    def values(self) -> Experts:
        """The weights, as the kernels take them."""
        return Experts((self.w1, self.w2, self.w3), (self.b1, self.b2, self.b3), norm_values(self.norm))


class SharedExpert(nn.Module):
    """One gated MLP for every token; alone, it is the ablation without routed experts."""

    def __init__(self, width: int, expert_width: int) -> None:
        """Build a layer for tokens of `width` channels."""
        super().__init__()
        self.shared = SwiGLU(width, expert_width)
        self.shared_norm = nn.LayerNorm(expert_width)

    def forward(self, tokens: Tensor, split: TokenSplit) -> Tensor:
        """Transform tokens.

        Args:
            tokens: (B, T, C).
            split: which of them are boundary tokens.
        Returns:
            (B, T, C).
        """
        return self.shared(tokens, self.shared_norm)

    def forward_training(self, tokens: Tensor, split: TokenSplit) -> Tensor:
        """As `forward`."""
        return self(tokens, split)

    def add_to(self, tokens: Tensor, norm: nn.LayerNorm, split: TokenSplit) -> Tensor:
        """`tokens + self(norm(tokens), split)`: how a block infers."""
        return tokens + self(norm(tokens), split)


class HybridMoE(SharedExpert):
    """Shared expert, router and routed experts (paper, section on HMoE).

    The load is balanced without an auxiliary loss: a bias per expert that only affects the choice is lowered where an
    expert got more tokens than the mean, and raised where it got fewer.
    """

    balance_rate = 0.001
    balance_steps = 100_000
    balance_bias: Tensor
    balance_step: Tensor

    def __init__(self, width: int, *, hidden: int, experts: int, experts_per_token: int = 1) -> None:
        """Build the layer; each expert is `hidden / experts` wide."""
        super().__init__(width, hidden // experts)
        self.experts_per_token = experts_per_token
        self.shared_gate = nn.Linear(width, 1)
        self.routed = ExpertBank(experts, width, hidden // experts)
        self.expert_gate = nn.Linear(width, experts)
        self.register_buffer("balance_bias", torch.zeros(experts))
        self.register_buffer("balance_step", torch.zeros((), dtype=torch.int64))

    def forward(self, tokens: Tensor, split: TokenSplit) -> Tensor:
        """As `SharedExpert.forward`."""
        return self._transform(tokens, split)[0]

    def forward_training(self, tokens: Tensor, split: TokenSplit) -> Tensor:
        """As `forward`, and move the balance bias by one step."""
        out, expert = self._transform(tokens, split)
        chosen, counts = expert.flatten(), torch.zeros_like(self.balance_bias)
        self.balance(counts.index_add_(0, chosen, counts.new_ones(len(chosen))))
        return out

    def add_to(self, tokens: Tensor, norm: nn.LayerNorm, split: TokenSplit) -> Tensor:
        """As `SharedExpert.add_to`, in one operation: no hidden channel is written to memory."""
        flat, place = tokens.flatten(0, 1), split.batch_boundary
        routing = self.route(flat, place, norm_values(norm))
        linear = self.shared.w1, self.shared.w2, self.shared.w3
        shared = Experts(
            (linear[0].weight[None], linear[1].weight[None], linear[2].weight[None]),
            (linear[0].bias[None], linear[1].bias[None], linear[2].bias[None]),
            norm_values(self.shared_norm),
        )
        out = kernels.hybrid_experts(flat, norm_values(norm), shared, self.routed.values, place, *routing)
        return out.view_as(tokens)

    def route(self, tokens: Tensor, place: Tensor | None = None, norm: Norm | None = None) -> Routing:
        """Choose experts for tokens: those with the best biased scores.

        Args:
            tokens: (N, C).
            place: (M,) int64, which of them; None: all.
            norm: that they get before; None: none.
        """
        gates = self.shared_gate, self.expert_gate
        weight, bias = torch.cat([gate.weight for gate in gates]), torch.cat([gate.bias for gate in gates])
        gated = kernels.linear(tokens, weight, bias, norm, places=place).sigmoid()
        shared, scores = gated.split((1, len(bias) - 1), dim=1)
        expert = (scores + self.balance_bias).topk(self.experts_per_token).indices
        # The softmax of numbers in (0, 1), in calls that do not wake PyTorch's threads, which softmax and exp do.
        weights = torch.exp2(torch.cat((shared, scores.gather(1, expert)), dim=1) / math.log(2))
        weights = weights / weights.sum(-1, keepdim=True)
        return Routing(expert, weights[:, :1], weights[:, 1:])

    @torch.no_grad()
    def balance(self, counts: Tensor) -> None:
        """Move the balance bias against the load, until `balance_steps` steps are done.

        Several processes add up their counts first. Every process must take part, also one without a boundary token.

        Args:
            counts: (E,) tokens that each expert got.
        """
        counts = counts.to(self.balance_bias)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(counts)
        # As numbers and not as a branch, for which a GPU would have to be waited for.
        moves = self.balance_step < self.balance_steps
        self.balance_bias -= self.balance_rate * moves * torch.sign(counts - counts.mean())
        self.balance_step += moves

    def _transform(self, tokens: Tensor, split: TokenSplit) -> tuple[Tensor, Tensor]:
        """The tokens, and the experts (M, k) of the boundary tokens."""
        flat = tokens.flatten(0, 1)
        out = self.shared(flat, self.shared_norm)
        at = split.batch_boundary
        chosen = flat[at]
        routing = self.route(chosen)
        count = self.experts_per_token
        routed = self.routed(chosen[:, None].expand(-1, count, -1).flatten(0, 1), routing.expert.flatten())
        weighted = (routing.routed_weight[..., None] * routed.unflatten(0, (-1, count))).sum(1)
        blended = routing.shared_weight * out[at] + weighted
        return out.index_copy(0, at, blended).view_as(tokens), routing.expert


FeedForward: TypeAlias = HybridMoE | SharedExpert


def feed_forward(config: DecoderConfig) -> FeedForward:
    """Build the feed-forward layer that `config` names; the weights are random."""
    experts = config.downscale
    if config.feed_forward == "shared":
        return SharedExpert(config.width, config.hidden // experts)
    return HybridMoE(config.width, hidden=config.hidden, experts=experts, experts_per_token=config.experts_per_token)


def _stacked_linear(experts: int, width_in: int, width_out: int) -> tuple[nn.Parameter, nn.Parameter]:
    bound = width_in**-0.5
    weight = torch.empty(experts, width_out, width_in).uniform_(-bound, bound)
    bias = torch.empty(experts, width_out).uniform_(-bound, bound)
    return nn.Parameter(weight), nn.Parameter(bias)
