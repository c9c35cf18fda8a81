"""Which tokens are boundary tokens: those that get full attention and a routed expert (paper, section on DHA).

Both rules ask about the 7x7 windows around the 256 pixels of a token. A window is connected, so it holds two states
exactly when it holds two neighbouring pixels of different states, and every neighbouring pair in the 22x22 square
around the token lies in the window of one of its pixels. The extremes of 22x22 squares therefore answer for all 256
windows, exactly.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from inter2former.model.boxes import any_in_token, prompt_box, token_extremes

__all__ = ["BoundaryRule", "select_boundary_tokens", "window_is_mixed"]

BoundaryRule = Literal["exact", "release"]

UNKNOWN = 2
WINDOW = 7


def select_boundary_tokens(reference_map: Tensor, *, rule: BoundaryRule, stride: int) -> Tensor:
    """Mark the boundary tokens.

    "exact": a 7x7 window around one of the token's pixels holds more than one state, or a pixel is unknown.
    "release": inside the prompt box, such a window is not entirely definite background; or a pixel is unknown. This
    is what the released test `mean(x^2) - mean(x)^2 > 0` amounts to: in float32 its factor 1/49 is rounded down, so
    the variance of any constant but zero comes out positive.

    Args:
        reference_map: (B, 1, H, W) uint8, states 0..4; H and W are multiples of `stride`.
        rule: "exact" or "release".
        stride: token side in pixels of the network's input.
    Returns:
        (B, H/stride, W/stride) bool, True at boundary tokens.
    Raises:
        ValueError: another rank or dtype, a side that is no multiple of `stride`, or an unknown rule.
    """
    _check(reference_map, stride)
    states = reference_map[:, 0]
    unknown = any_in_token(states == UNKNOWN, stride=stride)
    lowest, highest = token_extremes(states, stride=stride, before=WINDOW // 2, after=WINDOW // 2)
    if rule == "exact":
        return unknown | (highest != lowest)
    if rule == "release":
        return unknown | ((highest > 0) & _inside_prompt_box(reference_map, stride))
    raise ValueError(f"unknown boundary rule {rule!r}; the rules are 'exact' and 'release'")


def window_is_mixed(reference_map: Tensor) -> Tensor:
    """The exact rule at every pixel: does the 7x7 window around it, cut at the border, hold more than one state.

    Args:
        reference_map: (B, 1, H, W) uint8, states 0..4.
    Returns:
        (B, 1, H, W) bool.
    """
    state = reference_map.to(torch.float32)
    reach = WINDOW // 2
    highest, lowest = (F.max_pool2d(sign * state, WINDOW, stride=1, padding=reach) * sign for sign in (1, -1))
    return highest != lowest


def _inside_prompt_box(reference_map: Tensor, stride: int) -> Tensor:
    batch, _, height, width = reference_map.shape
    inside = torch.zeros(batch, height // stride, width // stride, dtype=torch.bool, device=reference_map.device)
    for index in range(batch):
        box = prompt_box(reference_map[index, 0], stride=stride)
        inside[index, box.rows, box.columns] = True
    return inside


def _check(reference_map: Tensor, stride: int) -> None:
    if reference_map.ndim != 4 or reference_map.shape[1] != 1 or reference_map.dtype != torch.uint8:
        raise ValueError(
            f"reference map is {tuple(reference_map.shape)} {reference_map.dtype}; it must be (B, 1, H, W) torch.uint8"
        )
    if reference_map.shape[2] % stride or reference_map.shape[3] % stride:
        raise ValueError(
            f"reference map is {reference_map.shape[2]}x{reference_map.shape[3]}; "
            f"both sides must be multiples of {stride}: pad it"
        )
