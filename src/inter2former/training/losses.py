"""What training minimises: the normalised focal loss, and the target of the auxiliary mask on the token grid."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["IGNORE", "low_resolution_target", "normalised_focal_loss"]

IGNORE = 255


def normalised_focal_loss(
    logits: Tensor,
    target: Tensor,
    *,
    alpha: float = 0.5,
    gamma: float = 2.0,
    eps: float = 2.0**-23,
    detach_normaliser: bool = True,
    loss_weight: float = 1.0,
) -> Tensor:
    """Focal loss per sample whose pixel weights are scaled to a mean of one.

    With p the probability of a pixel's true label, the pixel weighs (1 - p)^gamma, and all weights of a sample are
    scaled so that they add up to its number of valid pixels: easy samples keep a gradient.

    Args:
        logits: (B, 1, H, W) mask logits, or (B, 2, H, W) scores of background and foreground, which stand for the
            logits score 1 - score 0. Computed in float32 whatever the dtype.
        target: (B, 1, H, W) uint8: 1 object, 255 ignored, anything else background.
        alpha: weight of object pixels, 0..1; background pixels weigh 1 - alpha.
        gamma: how much easy pixels are played down; >= 1, as the slope at p = 1 is infinite below.
        eps: added to the sum of weights and to p inside the logarithm.
        detach_normaliser: keep gradients out of the scale.
        loss_weight: factor on the result.

    Returns:
        (B,) float32, the mean over valid pixels; 0 with zero gradient where every pixel is ignored.

    Raises:
        ValueError: shapes or a dtype other than these, `alpha` outside 0..1, or `gamma` below 1.
    """
    _check_target(target)
    if logits.ndim != 4 or logits.shape[1] not in (1, 2) or logits[:, :1].shape != target.shape:
        raise ValueError(
            f"logits have shape {tuple(logits.shape)} and target has {tuple(target.shape)}; "
            "expected (B, 1, H, W) or (B, 2, H, W) logits for a (B, 1, H, W) target"
        )
    if not 0 <= alpha <= 1 or not gamma >= 1:
        raise ValueError(f"alpha must be in [0, 1] and gamma >= 1, got alpha={alpha} and gamma={gamma}")
    scores = logits.float()
    if scores.shape[1] == 2:
        scores = scores[:, 1:] - scores[:, :1]  # (B, 1, H, W)
    valid, positive = target != IGNORE, target == 1
    distance = (scores.sigmoid() - positive.float()).abs() * valid  # 1 - p; an ignored pixel counts as perfect
    focus = distance**gamma
    count = valid.flatten(1).sum(dim=1).float()  # (B,)
    scale = count / (focus.flatten(1).sum(dim=1) + eps)
    if detach_normaliser:
        scale = scale.detach()
    balance = torch.where(positive, alpha, 1.0 - alpha)
    pixel_loss = -balance * focus * torch.log((1.0 - distance + eps).clamp(max=1.0))
    # An ignored sample divides 0 by 1, so that its gradient is 0 and not NaN.
    return loss_weight * scale * pixel_loss.flatten(1).sum(dim=1) / count.clamp(min=1.0)


def low_resolution_target(target: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring a target to a coarser grid: a cell is object if any of its pixels is.

    Differs from the release, whose auxiliary target turns ignored pixels into object.

    Args:
        target: (B, 1, H, W) uint8: 1 object, 255 ignored, anything else background.
        size: (h, w) of the grid in cells; H is a multiple of h and W of w.

    Returns:
        (B, 1, h, w) uint8: 1 where the cell holds an object pixel, 255 where it holds ignored pixels only, else 0.

    Raises:
        ValueError: another shape or dtype, or a grid that does not divide the target.
    """
    _check_target(target)
    batch, _, height, width = target.shape
    h, w = size
    if h < 1 or w < 1 or height % h or width % w:
        raise ValueError(f"a {height}x{width} target cannot be divided into a grid of {h}x{w} cells")
    cells = target.reshape(batch, 1, h, height // h, w, width // w)
    holds_object = (cells == 1).any(dim=5).any(dim=3)  # (B, 1, h, w)
    ignored = (cells == IGNORE).all(dim=5).all(dim=3)
    return holds_object.to(torch.uint8).masked_fill_(ignored, IGNORE)


def _check_target(target: Tensor) -> None:
    if target.ndim != 4 or target.shape[1] != 1 or target.dtype != torch.uint8:
        raise ValueError(
            f"target has shape {tuple(target.shape)} and dtype {target.dtype}; expected (B, 1, H, W) uint8"
        )
