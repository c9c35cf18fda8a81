"""Dynamic local upsampling (DLU): find the box of the object on the token grid and upsample only that, 16 times."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from torch import Tensor, nn
from torch.nn import functional as F

from inter2former import kernels
from inter2former.config import DecoderConfig
from inter2former.model.boxes import Box, cut_sides, tight_box, whole_grid
from inter2former.model.layers import ChannelAffine, ChannelNorm, PlaneNorm

__all__ = ["FullUpsampling", "LocalLogits", "LocalUpsampling", "Upsampler", "upsampling"]

STAGES = 4
STRIDE = 2**STAGES
REACH = 2
"""Whole tokens that the stages look beyond a box: 1 + 1/2 + 1/4 + 1/8."""


class LocalLogits(NamedTuple):
    """Mask logits inside a box; outside there is background.

    Attributes:
        logits: (bottom - top, right - left) float.
        box: in pixels of the network's input, multiples of 16.
    """

    logits: Tensor
    box: Box

    def pasted(self, height: int, width: int, *, outside: float = -100.0) -> Tensor:
        """The whole plane (height, width), `outside` beyond the box."""
        plane = self.logits.new_full((height, width), outside)
        plane[self.box.rows, self.box.columns] = self.logits
        return plane


Norm: TypeAlias = nn.GroupNorm | ChannelNorm | ChannelAffine


class Upsampler(nn.Module):
    """Norm, double the resolution, add the edge map, 3x3 convolution to a quarter of the channels."""

    def __init__(self, width: int, *, norm: Norm, interpolation: str, last: bool) -> None:
        """Build one stage.

        Args:
            width: channels coming in.
            norm: what comes before doubling.
            interpolation: as in `DecoderConfig`.
            last: there is no activation after the convolution.
        """
        super().__init__()
        self.norm = norm
        self.conv = nn.Conv2d(width, width // 4, 3, padding=1)
        if not last:
            nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        self.interpolation = interpolation
        self.last = last

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """Map (B, C, h, w) and the edge map (B, C, 2h, 2w) to (B, C/4, 2h, 2w)."""
        x = F.interpolate(self.norm(x), scale_factor=2, mode=self.interpolation, align_corners=False)
        x = self.conv(x + edges)
        return x if self.last else F.silu(x)


class LocalUpsampling(nn.Module):
    """From tokens to mask logits inside the object's box (paper, section on DLU)."""

    def __init__(self, config: DecoderConfig) -> None:
        """Build the head that `config` describes."""
        super().__init__()
        self.config = config
        widths = [config.width // 4**stage for stage in range(STAGES)]
        self.upsamplers = nn.ModuleList(
            Upsampler(
                width,
                norm=_norm(config.upsampling_norm, width, first=width == widths[0]),
                interpolation=config.interpolation,
                last=width == widths[-1],
            )
            for width in widths
        )
        self.coarse = nn.ModuleList(nn.Conv2d(width, width // 4, 1) for width in widths)

    def coarse_logits(self, x: Tensor) -> Tensor:
        """Mask logits on the token grid, which say where the object is: (B, C, h, w) to (B, 1, h, w).

        As released, the input is detached: this small net reads the tokens but does not shape them.
        """
        if not self.config.coarse_shapes_tokens:
            x = x.detach()
        tokens = x.permute(0, 2, 3, 1)
        layers = [layer for layer in self.coarse if isinstance(layer, nn.Conv2d)]
        for layer in layers:
            assert layer.bias is not None
            tokens = kernels.linear(tokens, layer.weight.flatten(1), layer.bias, activate=layer is not layers[-1])
        return tokens.permute(0, 3, 1, 2)

    def forward(
        self, x: Tensor, edges: tuple[Tensor, ...], required: Tensor | None = None, limits: Box | None = None
    ) -> list[LocalLogits]:
        """Upsample each sample inside its own box.

        Args:
            x: (B, C, h, w) tokens.
            edges: from `prepare`.
            required: (B, h, w) bool, tokens that the box must hold whatever the small net says.
            limits: no box leaves this one; None: the whole grid.
        Returns:
            one result per sample.
        """
        limits = whole_grid(*x.shape[2:]) if limits is None else limits
        samples = zip(x.split(1), zip(*(edge.split(1) for edge in edges), strict=True), strict=True)
        boxes = self.boxes(x, required, limits)
        return [self._upsample_uncut(*sample, box, limits) for sample, box in zip(samples, boxes, strict=True)]

    def boxes(self, x: Tensor, required: Tensor | None = None, limits: Box | None = None) -> list[Box]:
        """Say where each sample's object is, by the small net; all within the limits where it finds none there.

        Args:
            x: (B, C, h, w) tokens.
            required: as for `forward`.
            limits: likewise.
        """
        limits = whole_grid(*x.shape[2:]) if limits is None else limits
        found = self.coarse_logits(x)[:, 0] > self.config.box_threshold
        if required is not None:
            found = found | required
        tight = [tight_box(plane) for plane in found[:, limits.rows, limits.columns]]
        found_boxes = [None if box is None else box.moved(limits.left, limits.top) for box in tight]
        margin, grid = self.config.box_margin, x.shape[2:]
        return [limits if box is None else box.grown(margin, *grid).within(limits) for box in found_boxes]

    @property
    def crops_are_exact(self) -> bool:
        """Whether a crop equals the whole map: no stage sees the size of its map, nor further than the halo."""
        config = self.config
        return config.upsampling_norm == "token" and config.interpolation == "bilinear" and config.box_halo >= REACH

    @property
    def convolutions(self) -> list[nn.Conv2d]:
        """Those of the stages, coarse to fine."""
        return [stage.conv for stage in self.upsamplers if isinstance(stage, Upsampler)]

    def prepare(self, edges: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What inference reads of an image's edge maps; computed once per image.

        A convolution is linear: that of the edges can be added after that of the tokens, and has a quarter of their
        channels. This holds for a crop as well where crops are exact; otherwise the maps stay as they are.

        Args:
            edges: coarse to fine, as `EdgeEncoder` gives them: (B, C, 2h, 2w) to (B, C/64, 16h, 16w).
        Returns:
            where crops are exact, the edge terms: (B, C/4, 2h, 2w) to (B, C/256, 16h, 16w), bias included.
        """
        if not self.crops_are_exact:
            return edges
        return tuple(layer(edge).contiguous() for layer, edge in zip(self.convolutions, edges, strict=True))

    def upsample_all(self, x: Tensor, edges: tuple[Tensor, ...]) -> Tensor:
        """Upsample the whole grid with edge maps, as in training: (B, C, h, w) to (B, 1, 16h, 16w)."""
        for stage, edge in zip(self.upsamplers, edges, strict=True):
            x = stage(x, edge)
        return x

    def upsample_box(self, x: Tensor, edges: tuple[Tensor, ...], box: Box) -> LocalLogits:
        """Upsample one sample inside `box` (tokens) with what `prepare` gives.

        Where crops are exact, the result equals the crop of `upsample_all`.
        """
        upsample = self._upsample_exact if self.crops_are_exact else self._upsample_crop
        return LocalLogits(upsample(x, edges, box), box.scaled(STRIDE))

    def _upsample_exact(self, x: Tensor, terms: tuple[Tensor, ...], box: Box) -> Tensor:
        """The form for inference: channel products before doubling, edge terms after it."""
        stages = [stage for stage in self.upsamplers if isinstance(stage, Upsampler)]
        first = stages[0].norm
        assert isinstance(first, ChannelNorm)
        return kernels.upsample(
            x[0].permute(1, 2, 0),  # (h, w, C)
            first.eps,
            tuple(stage.conv.weight for stage in stages),
            tuple(stage.norm.weight for stage in stages),
            tuple(stage.norm.bias for stage in stages),
            tuple(term[0] for term in terms),
            box,
        )

    def _upsample_crop(self, x: Tensor, edges: tuple[Tensor, ...], box: Box) -> Tensor:
        """The form of training on a crop: `box_halo` more tokens are computed around the box and dropped."""
        outer = box.grown(self.config.box_halo, *x.shape[2:])
        x = x[:, :, outer.rows, outer.columns]
        crops = []
        for stage, edge in enumerate(edges):
            fine = outer.scaled(2 ** (stage + 1))
            crops.append(edge[:, :, fine.rows, fine.columns])
        logits = self.upsample_all(x, tuple(crops))[0, 0]
        inner = Box(box.left - outer.left, box.top - outer.top, box.right - outer.left, box.bottom - outer.top)
        inner = inner.scaled(STRIDE)
        return logits[inner.rows, inner.columns]

    def _upsample_uncut(self, x: Tensor, edges: tuple[Tensor, ...], box: Box, limits: Box) -> LocalLogits:
        """Upsample, and where a margin is asked for, widen the box as long as it cuts through the object."""
        while True:
            local = self.upsample_box(x, edges, box)
            if self.config.box_margin == 0:
                return local
            wider = _widened(box, local.logits, limits)
            if wider == box:
                return local
            box = wider


class FullUpsampling(LocalUpsampling):
    """The whole grid, whatever the small net says (the ablation of DLU); the net is still trained."""

    def boxes(self, x: Tensor, required: Tensor | None = None, limits: Box | None = None) -> list[Box]:
        """All of it."""
        return [whole_grid(*x.shape[2:]) if limits is None else limits] * len(x)


def upsampling(config: DecoderConfig) -> LocalUpsampling:
    """Build the head that `config` names; the weights are random."""
    return (FullUpsampling if config.upsampling == "full" else LocalUpsampling)(config)


def _norm(kind: str, width: int, *, first: bool) -> Norm:
    if kind == "group":
        return PlaneNorm(width)
    return ChannelNorm(width) if first else ChannelAffine(width)


def _widened(box: Box, logits: Tensor, limits: Box) -> Box:
    """Move each side through which the object goes on outwards by half the box, if the limits leave room."""
    step = max(2, (box.right - box.left) // 2, (box.bottom - box.top) // 2)
    left, top, right, bottom = (step * cut for cut in cut_sides(box, logits, limits))
    return Box(box.left - left, box.top - top, box.right + right, box.bottom + bottom).within(limits)
