"""Gradients against finite differences in float64, and the straight-through gradient against what defines it."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from inter2former.config import DecoderConfig
from inter2former.model.attention import CodeAttention, FullAttention, HybridAttention
from inter2former.model.boundary import TokenSplit
from inter2former.model.codebook import BinarySphericalCodebook, StraightThroughKeys
from inter2former.model.moe import HybridMoE
from inter2former.model.upsampling import LocalUpsampling, Upsampler

CHANNELS, INNER, GRID = 12, 4, (2, 3)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def split():
    flags = torch.zeros(1, *GRID, dtype=torch.bool)
    flags[0, 0, 1] = flags[0, 1, 2] = True
    return TokenSplit.of(flags)


def tokens():
    return torch.randn(1, GRID[0] * GRID[1], CHANNELS, dtype=torch.float64, requires_grad=True)


def check(module, function, *inputs):
    """Gradients of `function(*inputs)` with respect to the inputs and all parameters of the module."""
    names = [name for name, _ in module.named_parameters()]
    parameters = tuple(parameter.detach().requires_grad_() for parameter in module.parameters())

    def call(*values):
        given, weights = values[: len(inputs)], dict(zip(names, values[len(inputs) :], strict=True))
        return torch.func.functional_call(
            _Call(module, function), {f"module.{k}": v for k, v in weights.items()}, given
        )

    # Random directions instead of every entry one by one, which would take seconds.
    assert torch.autograd.gradcheck(call, (*inputs, *parameters), fast_mode=True)


class _Call(torch.nn.Module):
    """A function of a module and inputs, as a module."""

    def __init__(self, module, function):
        super().__init__()
        self.module, self.function = module, function

    def forward(self, *inputs):
        return self.function(self.module, *inputs)


@pytest.mark.parametrize("form", ["forward", "training"])
def test_full_attention(form):
    layer = FullAttention(CHANNELS, INNER).double()
    if form == "forward":
        check(layer, lambda module, x: module(x, split()), tokens())
    else:
        check(layer, lambda module, x: module.forward_training(x, split()).tokens, tokens())


@pytest.mark.parametrize("kind", [CodeAttention, HybridAttention])
def test_attention_over_codes(kind):
    """Inference: the codes are constants, so the gradient is exact for all but the codes' own projection."""
    layer = kind(CHANNELS, INNER, BinarySphericalCodebook(INNER, 3)).double()
    layer.codebook.project.requires_grad_(False)
    check(layer, lambda module, x: module(x, split()), tokens())


@pytest.mark.parametrize("kind", [CodeAttention, HybridAttention])
def test_attention_over_codes_in_training(kind, monkeypatch):
    """With the rounding taken out of the codebook, what remains must be differentiated exactly."""
    monkeypatch.setattr(BinarySphericalCodebook, "straight_through", unrounded)
    layer = kind(CHANNELS, INNER, BinarySphericalCodebook(INNER, 3)).double()
    check(layer, lambda module, x: module.forward_training(x, split()), tokens())


def unrounded(codebook, keys):
    """The surrogate whose gradient the straight-through estimator takes: the code without its signs."""
    code = F.normalize(codebook.project(keys), dim=-1)
    bits = code * (codebook.bits**0.5 / 2) + 0.5
    loss = 0.25 * (code - torch.sign(code.detach()) * codebook.bits**-0.5).square().mean()
    return StraightThroughKeys(torch.cat((bits, 1 - bits), dim=-1) @ codebook.vectors, loss)


def test_straight_through_gradient_is_the_surrogates():
    codebook = BinarySphericalCodebook(INNER, 3).double()
    keys = torch.randn(7, INNER, dtype=torch.float64, requires_grad=True)
    gradient = torch.randn(7, INNER, dtype=torch.float64)
    inputs = (keys, codebook.project.weight, codebook.project.bias)

    def gradients(quantised):
        objective = (quantised[0] * gradient).sum() + 3 * quantised[1]
        return torch.autograd.grad(objective, (*inputs, codebook.vectors))

    *through, vectors = gradients(codebook.straight_through(keys))
    *surrogate, _ = gradients(unrounded(codebook, keys))
    for measured, expected in zip(through, surrogate, strict=True):
        torch.testing.assert_close(measured, expected, rtol=1e-10, atol=1e-12)
    # The vectors see the rounded bits: each gets the gradients of the keys that address it.
    with torch.no_grad():
        bits = (codebook.project(keys) >= 0).double()
    torch.testing.assert_close(vectors, torch.cat((bits, 1 - bits), 1).T @ gradient, rtol=1e-10, atol=1e-12)
    assert torch.autograd.gradcheck(lambda keys: unrounded(codebook, keys), (keys,))


@pytest.mark.parametrize("experts_per_token", [1, 2])
def test_mixture_of_experts(experts_per_token):
    layer = HybridMoE(CHANNELS, hidden=12, experts=3, experts_per_token=experts_per_token).double()
    check(layer, lambda module, x: module(x, split()), tokens())


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_one_stage_of_upsampling(interpolation):
    stage = Upsampler(4, norm=torch.nn.GroupNorm(1, 4), interpolation=interpolation, last=False).double()
    x = torch.randn(1, 4, 2, 3, dtype=torch.float64, requires_grad=True)
    edges = torch.randn(1, 4, 4, 6, dtype=torch.float64, requires_grad=True)
    check(stage, lambda module, x, edges: module(x, edges), x, edges)


@pytest.mark.parametrize("settings", [{}, {"upsampling_norm": "token", "interpolation": "bilinear"}])
def test_both_outputs_of_upsampling(settings):
    head = LocalUpsampling(DecoderConfig(coarse_shapes_tokens=True, **settings)).double()
    x = torch.randn(1, 256, 1, 2, dtype=torch.float64, requires_grad=True)
    edges = tuple(
        torch.randn(1, 256 // 4**level, 2 ** (level + 1), 2 * 2 ** (level + 1), dtype=torch.float64)
        for level in range(4)
    )

    def outputs(x):
        return head.upsample_all(x, edges), head.coarse_logits(x)

    assert torch.autograd.gradcheck(outputs, (x,), fast_mode=True)
