"""Edge terms of an image without its edge maps: what the upsampler's convolutions make of them, in one pass.

The edge encoder ends in 1x1 convolutions, its laterals, and the upsampler begins with a 3x3 convolution of their sum.
Both are linear and one follows the other, so the widest maps (256 channels at an eighth of the resolution) never have
to exist. A lateral's bias must end at the border where the 3x3 convolution sees zeros; it travels as the weight of
a channel of ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from inter2former import kernels
from inter2former.kernels.reference import Convolution, Given
from inter2former.model.edge_encoder import EdgeEncoder, ResidualBlock
from inter2former.model.layers import stacked

__all__ = ["SkipNet", "edge_terms", "edge_terms_after", "skip_nets", "skip_terms"]

Node = Given | Convolution

_NONE: Mapping[int, Tensor] = MappingProxyType({})


class SkipNet(NamedTuple):
    """What one of the image encoder's finer maps goes through to become its share of the edge terms.

    Attributes:
        level: of the edge terms that it is a share of, 0 being the finest.
        ones: the map gets a channel of ones first, as in `Given`.
        convolutions: one after the other, node 0 being the map.
    """

    level: int
    ones: bool
    convolutions: tuple[Convolution, ...]


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
    nets = skip_nets(encoder, convolutions)

    def terms_of(planes: Tensor, maps: dict[int, Tensor]) -> list[Tensor]:
        own = kernels.convolution_net(_own_levels(encoder, convolutions, planes, skips=maps))
        return [*own, *(_share(net, maps[net.level]) for net in nets if net.level >= len(own))]

    return _of_each(encoder, image, skips, terms_of)


def edge_terms_after(
    encoder: EdgeEncoder, convolutions: Sequence[nn.Conv2d], image: Tensor, shares: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """As `edge_terms`, where the shares of the finer maps are known.

    Args:
        encoder: as for `edge_terms`.
        convolutions: likewise.
        image: likewise.
        shares: as `skip_terms` gives them.
    """

    def terms_of(planes: Tensor, maps: dict[int, Tensor]) -> list[Tensor]:
        own = kernels.convolution_net(_own_levels(encoder, convolutions, planes, shares=maps))
        return [*own, *(share for level, share in maps.items() if level >= len(own))]

    return _of_each(encoder, image, shares, terms_of)


def skip_nets(encoder: EdgeEncoder, convolutions: Sequence[nn.Conv2d]) -> tuple[SkipNet, ...]:
    """What makes the shares of the finer maps, fine to coarse.

    A level that consists of such a map alone has its bias in the share. On the others the lateral stays apart, which
    is less work there: they have fewer channels than the map.

    Args:
        encoder: as for `edge_terms`.
        convolutions: likewise.
    """
    nets = []
    for name, lateral in encoder.skip_laterals.items():
        level = int(name)
        layer = convolutions[level]
        assert isinstance(lateral, nn.Conv2d)
        if level < len(encoder.levels):
            first = Convolution(0, lateral.weight, _bias(lateral))
            nets.append(
                SkipNet(
                    level, False, (first, Convolution(1, layer.weight, torch.zeros_like(_bias(layer)), wanted=True))
                )
            )
        else:
            nets.append(SkipNet(level, True, (Convolution(0, _through(lateral, layer), _bias(layer), wanted=True),)))
    return tuple(nets)


def skip_terms(nets: Sequence[SkipNet], skips: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The shares of the finer maps.

    Args:
        nets: from `skip_nets`.
        skips: as for `edge_terms`.
    Returns:
        fine to coarse, each of the shape of its level's edge terms.
    """
    return tuple(stacked([_share(net, sample) for sample in maps]) for net, maps in zip(nets, skips, strict=True))


def _share(net: SkipNet, map_: Tensor) -> Tensor:
    return kernels.convolution_net((Given(map_, ones=net.ones), *net.convolutions))[0]


def _of_each(
    encoder: EdgeEncoder,
    image: Tensor,
    maps: tuple[Tensor, ...],
    terms_of: Callable[[Tensor, dict[int, Tensor]], list[Tensor]],
) -> tuple[Tensor, ...]:
    """Terms coarse to fine, from a function that gives those of one sample fine to coarse.

    The function takes planes (5, H, W) and the maps of the sample by the level that they belong to.
    """
    planes = encoder.planes(image)
    levels = [int(level) for level in encoder.skip_laterals]
    samples = [
        terms_of(planes[index], {level: each[index] for level, each in zip(levels, maps, strict=True)})[::-1]
        for index in range(len(image))
    ]
    return tuple(stacked(list(terms)) for terms in zip(*samples, strict=True))


def _own_levels(
    encoder: EdgeEncoder,
    convolutions: Sequence[nn.Conv2d],
    planes: Tensor,
    *,
    skips: Mapping[int, Tensor] = _NONE,
    shares: Mapping[int, Tensor] = _NONE,
) -> tuple[Node, ...]:
    """The levels that have a net of their own, over planes (5, H, W), with finer maps or with the shares of these."""
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
        share = add(Given(shares[level])) if level in shares else None
        add(Convolution(edges, layer.weight, _bias(layer), residual=share, wanted=True))
    return tuple(nodes)


def _through(lateral: nn.Conv2d, layer: nn.Conv2d) -> Tensor:
    """Weights (D, C + 1, 3, 3) of `layer` after `lateral`; the last channel carries the lateral's bias."""
    first = torch.cat((lateral.weight[:, :, 0, 0], _bias(lateral)[:, None]), dim=1)  # (M, C + 1)
    return torch.einsum("dmyx,mc->dcyx", layer.weight.double(), first.double()).to(layer.weight.dtype)


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias
