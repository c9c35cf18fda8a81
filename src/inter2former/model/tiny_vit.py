"""The image encoder of the compact preset: TinyViT-5M, a convolutional stem and three stages of windowed attention.

Architecture: Wu et al., "TinyViT: Fast Pretraining Distillation for Small Vision Transformers", ECCV 2022, with the
neck of Segment Anything, as MobileSAM (Zhang et al., 2023) distilled it. Batch norms are folded into the convolutions,
so no layer here keeps running statistics. Maps are (B, C, H, W) in channels-last memory: the permutes around linear
layers are then views.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inter2former.config import TinyViTConfig
from inter2former.model.image_features import ImageFeatures
from inter2former.model.layers import ChannelNorm

__all__ = ["MBConv", "PatchMerging", "TinyViT", "WindowAttention", "WindowBlock", "offset_index"]

STRIP_FLOATS = 2**20


class TinyViT(nn.Module):
    """Image to image embedding at a sixteenth of the resolution, with finer maps on the way."""

    def __init__(self, config: TinyViTConfig) -> None:
        """Build the encoder; the weights are random."""
        super().__init__()
        self.config = config
        widths = config.widths
        self.stem_in = nn.Conv2d(3, widths[0] // 2, 3, stride=2, padding=1)
        self.stem_out = nn.Conv2d(widths[0] // 2, widths[0], 3, stride=2, padding=1)
        self.local_stage = nn.Sequential(*(MBConv(widths[0]) for _ in range(config.depths[0])))
        # The last merging keeps the resolution: the total stride is 16, not 32.
        self.merges = nn.ModuleList(
            PatchMerging(widths[i], widths[i + 1], stride=2 if i < 2 else 1) for i in range(len(widths) - 1)
        )
        self.window_stages = nn.ModuleList(
            nn.Sequential(*(WindowBlock(width, window=window, heads=heads) for _ in range(depth)))
            for width, depth, window, heads in zip(
                widths[1:], config.depths[1:], config.windows, config.heads, strict=True
            )
        )
        self.neck = nn.Sequential(
            nn.Conv2d(widths[-1], config.embedding, 1, bias=False),
            ChannelNorm(config.embedding, eps=1e-6),
            nn.Conv2d(config.embedding, config.embedding, 3, padding=1, bias=False),
            ChannelNorm(config.embedding, eps=1e-6),
        )

    def forward(self, image: Tensor) -> ImageFeatures:
        """Encode normalised images.

        Args:
            image: (B, 3, H, W) float, RGB minus mean over standard deviation; H and W are multiples of 16.
        """
        skips = self.local_features(image)
        x = skips[-1]
        for index, stage in enumerate(self.window_stages):
            x = stage(x)
            if index + 1 < len(self.window_stages):
                x = self.merges[index + 1](x)
        return ImageFeatures(self.neck(x), skips)

    def local_features(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Only the convolutional part, which sees no further than about forty pixels: the three finer maps.

        Args:
            image: as for `forward`.
        Returns:
            (B, 32, H/2, W/2), (B, 64, H/4, W/4) and (B, 128, H/8, W/8).
        """
        half = F.gelu(self.stem_in(image.contiguous(memory_format=torch.channels_last)))
        quarter = self.local_stage(self.stem_out(half))
        return half, quarter, self.merges[0](quarter)


class MBConv(nn.Module):
    """Inverted bottleneck: widen four times, depth-wise 3x3, narrow, add the input."""

    def __init__(self, width: int) -> None:
        """Build a block that keeps `width` channels."""
        super().__init__()
        self.expand = nn.Conv2d(width, 4 * width, 1)
        self.depthwise = nn.Conv2d(4 * width, 4 * width, 3, padding=1, groups=4 * width)
        self.reduce = nn.Conv2d(4 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        if _keeps_whole(x, self.expand):
            return F.gelu(x + self.reduce(F.gelu(self.depthwise(F.gelu(self.expand(x))))))
        # The widened map is four times the input and would go through main memory five times. In strips it stays in
        # the cache: 0.39 s -> 0.08 s at 64 x 256 x 256 on two cores, equal to the last bit.
        out = torch.empty_like(x)
        height = x.shape[2]
        step = _strip_rows(x.shape[0] * x.shape[3] * self.expand.out_channels)
        for top in range(0, height, step):
            bottom = min(top + step, height)
            out[:, :, top:bottom] = self._strip(x, top, bottom)
        return out

    def _strip(self, x: Tensor, top: int, bottom: int) -> Tensor:
        """Rows `top` to `bottom` of the output; one more row above and below goes into the 3x3."""
        height = x.shape[2]
        wide = F.gelu(self.expand(x[:, :, max(top - 1, 0) : min(bottom + 1, height)]))
        wide = F.pad(wide, (0, 0, int(top == 0), int(bottom == height)))
        depthwise = self.depthwise
        wide = F.conv2d(wide, depthwise.weight, depthwise.bias, padding=(0, 1), groups=depthwise.groups)
        return F.gelu(x[:, :, top:bottom] + self.reduce(F.gelu(wide)))


class PatchMerging(nn.Module):
    """Change the width and, at stride 2, halve the resolution."""

    def __init__(self, width_in: int, width_out: int, *, stride: int) -> None:
        """Build a merging from `width_in` to `width_out` channels."""
        super().__init__()
        self.expand = nn.Conv2d(width_in, width_out, 1)
        self.depthwise = nn.Conv2d(width_out, width_out, 3, stride=stride, padding=1, groups=width_out)
        self.mix = nn.Conv2d(width_out, width_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C_out, H/stride, W/stride)."""
        return self.mix(F.gelu(self.depthwise(F.gelu(self.expand(x)))))


class WindowBlock(nn.Module):
    """Windowed attention, a depth-wise convolution that joins the windows, and an MLP."""

    def __init__(self, width: int, *, window: int, heads: int) -> None:
        """Build a block over windows of `window` x `window` cells."""
        super().__init__()
        self.window = window
        self.attention = WindowAttention(width, window=window, heads=heads)
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        x = x + self._attend(x)
        x = self.depthwise(x)
        tokens = x.permute(0, 2, 3, 1)
        if _keeps_whole(x, self.widen):
            return (tokens + self._mlp(tokens)).permute(0, 3, 1, 2)
        step = _strip_rows(tokens.shape[0] * tokens.shape[2] * self.widen.out_features)
        mapped = torch.cat([strip + self._mlp(strip) for strip in tokens.split(step, dim=1)], dim=1)
        return mapped.permute(0, 3, 1, 2)

    def _mlp(self, tokens: Tensor) -> Tensor:
        return self.narrow(F.gelu(self.widen(self.norm(tokens))))

    def _attend(self, x: Tensor) -> Tensor:
        batch, width, height, breadth = x.shape
        side = self.window
        below, right = -height % side, -breadth % side
        tokens = F.pad(x.permute(0, 2, 3, 1), (0, 0, 0, right, 0, below))
        rows, columns = (height + below) // side, (breadth + right) // side
        windows = tokens.view(batch, rows, side, columns, side, width).transpose(2, 3)
        windows = self.attention(windows.reshape(-1, side * side, width))
        tokens = windows.view(batch, rows, columns, side, side, width).transpose(2, 3)
        tokens = tokens.reshape(batch, rows * side, columns * side, width)
        return tokens[:, :height, :breadth].permute(0, 3, 1, 2)


class WindowAttention(nn.Module):
    """Attention inside a window with a learned bias per head and absolute offset."""

    offset_index: Tensor

    def __init__(self, width: int, *, window: int, heads: int) -> None:
        """Build an attention over `window` x `window` tokens of `width` channels."""
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.offset_bias = nn.Parameter(torch.zeros(heads, window * window))
        self.register_buffer("offset_index", offset_index(window), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map windows (N, window**2, C) to the same shape."""
        count, length, width = tokens.shape
        # Per head the layout is query, key, value: (N, L, heads, 3, 32), as the MobileSAM weights have it.
        packed = self.query_key_value(self.norm(tokens)).view(count, length, self.heads, 3, width // self.heads)
        query, key, value = packed.permute(3, 0, 2, 1, 4)
        bias = self.offset_bias[:, self.offset_index].unsqueeze(0)
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.project(out.transpose(1, 2).reshape(count, length, width))


def _keeps_whole(x: Tensor, layer: nn.Conv2d | nn.Linear) -> bool:
    """Whether a layer's map stays whole: where it needs gradients, and in a file whose runtime cuts it as it likes."""
    needs_gradient = torch.is_grad_enabled() and (x.requires_grad or layer.weight.requires_grad)
    return needs_gradient or torch.onnx.is_in_onnx_export()


def _strip_rows(floats_per_row: int) -> int:
    """How many rows to compute at once so that the widest map of a strip takes 4 MB, a share of the last cache."""
    return max(1, STRIP_FLOATS // floats_per_row)


def offset_index(window: int) -> Tensor:
    """Number the absolute offsets between cells of a window in order of first appearance, pairs listed row-major.

    Listed so, the first cell meets every offset once in row-major order, hence the number of (dy, dx) is
    dy * window + dx.

    Returns:
        (window**2, window**2) int64, entries in [0, window**2).
    """
    cells = torch.arange(window)
    apart = (cells[:, None] - cells[None, :]).abs()
    index = apart[:, None, :, None] * window + apart[None, :, None, :]
    return index.reshape(window * window, window * window)
