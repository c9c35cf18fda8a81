"""Edge terms of an image without its edge maps: what the upsampler's convolutions make of them, in one pass.

The edge encoder ends in 1x1 convolutions, its laterals, and the upsampler begins with a 3x3 convolution of their sum.
Both are linear and one follows the other, so the widest maps (256 channels at an eighth of the resolution) never have
to exist. A lateral's bias must end at the border where the 3x3 convolution sees zeros; it travels as the weight of
a channel of ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from inter2former import kernels
from inter2former.kernels.reference import Convolution, Given
from inter2former.model.edge_encoder import EdgeEncoder, ResidualBlock
from inter2former.model.layers import stacked

__all__ = ["edge_terms"]

Node = Given | Convolution


def edge_terms(
    encoder: EdgeEncoder, convolutions: Sequence[nn.Conv2d], image: Tensor, skips: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """Convolve the edge maps of each image, bias included; equal to doing so with what `encoder` gives.

    Args:
        encoder: without norms, which would have to see whole maps.
        convolutions: of the upsampler, fine to coarse like the encoder's levels.
        image: (B, 3, H, W) normalised; H and W are multiples of 16.
        skips: the image encoder's finer maps, fine to coarse, as for `EdgeEncoder.forward`.
    Returns:
        coarse to fine, (B, C/4, H/8, W/8) to (B, 1, H, W), C/4 and so on being the convolutions' channels.
    """
    planes = encoder.planes(image)
    samples = [
        _terms_of_one(encoder, convolutions, planes[index], [skip[index] for skip in skips])
        for index in range(len(image))
    ]
    return tuple(stacked(list(terms)) for terms in zip(*samples, strict=True))


def _terms_of_one(
    encoder: EdgeEncoder, convolutions: Sequence[nn.Conv2d], planes: Tensor, skips: list[Tensor]
) -> list[Tensor]:
    """Coarse to fine, for one sample."""
    taken = dict(zip((int(level) for level in encoder.skip_laterals), skips, strict=True))
    terms = list(kernels.convolution_net(_own_levels(encoder, convolutions, planes, taken)))
    for level in range(len(terms), len(convolutions)):
        lateral = encoder.skip_laterals[str(level)]
        assert isinstance(lateral, nn.Conv2d)
        weight = _through(lateral, convolutions[level])
        terms += kernels.convolution_net(
            (Given(taken[level], ones=True), Convolution(0, weight, _bias(convolutions[level]), wanted=True))
        )
    return terms[::-1]


def _own_levels(
    encoder: EdgeEncoder, convolutions: Sequence[nn.Conv2d], planes: Tensor, skips: dict[int, Tensor]
) -> tuple[Node, ...]:
    """The levels that have a net of their own, over planes (5, H, W)."""
    nodes: list[Node] = [Given(planes)]

    def add(node: Node) -> int:
        nodes.append(node)
        return len(nodes) - 1

    def convolve(source: int, layer: nn.Module, *, stride: int = 1, residual: int | None = None) -> int:
        assert isinstance(layer, nn.Conv2d)
        return add(Convolution(source, layer.weight, _bias(layer), stride, residual=residual))

    x = convolve(0, encoder.stem)
    for level, blocks in enumerate(encoder.levels):
        if level:
            x = convolve(x, encoder.downsamplers[level - 1], stride=2)
        assert isinstance(blocks, nn.Sequential)
        for block in blocks:
            assert isinstance(block, ResidualBlock)
            inner = add(Convolution(x, block.conv1.weight, _bias(block.conv1), activate=True))
            x = add(Convolution(inner, block.conv2.weight, _bias(block.conv2), activate=True, residual=x))
        taken = None
        if level in skips:
            taken = convolve(add(Given(skips[level])), encoder.skip_laterals[str(level)])
        edges = convolve(x, encoder.laterals[level], residual=taken)
        layer = convolutions[level]
        add(Convolution(edges, layer.weight, _bias(layer), wanted=True))
    return tuple(nodes)


def _through(lateral: nn.Conv2d, layer: nn.Conv2d) -> Tensor:
    """Weights (D, C + 1, 3, 3) of `layer` after `lateral`; the last channel carries the lateral's bias."""
    first = torch.cat((lateral.weight[:, :, 0, 0], _bias(lateral)[:, None]), dim=1)  # (M, C + 1)
    return torch.einsum("dmyx,mc->dcyx", layer.weight.double(), first.double()).to(layer.weight.dtype)


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias
