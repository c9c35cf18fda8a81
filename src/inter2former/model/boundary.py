"""Which tokens are boundary tokens: those that get full attention and a routed expert (paper, section on DHA).

Both rules ask about the 7x7 windows around the 256 pixels of a token. A window is connected, so it holds two states
exactly when it holds two neighbouring pixels of different states, and every neighbouring pair in the 22x22 square
around the token lies in the window of one of its pixels. The extremes of 22x22 squares therefore answer for all 256
windows, exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from inter2former import kernels
from inter2former.model.boxes import any_in_token, prompt_box, token_extremes

__all__ = ["BoundaryRule", "BoundaryTest", "TokenSplit", "select_boundary_tokens", "window_is_mixed"]

BoundaryRule = Literal["exact", "release"]

BoundaryTest: TypeAlias = Callable[[Tensor, int], Tensor]
"""From a reference map (B, 1, H, W) and the stride to boundary flags (B, H/stride, W/stride)."""

UNKNOWN = 2
WINDOW = 7


class TokenSplit(NamedTuple):
    """The boundary tokens of a batch, as flags and as places; found once per click for all blocks.

    Attributes:
        flags: (B, h, w) bool.
        boundary: for each sample (S,) int64, the places of its boundary tokens in the row-major grid.
        interior: for each sample (T - S,) int64, those of all others.
    """

    flags: Tensor
    boundary: tuple[Tensor, ...]
    interior: tuple[Tensor, ...]

    @classmethod
    def of(cls, flags: Tensor) -> TokenSplit:
        """Split by flags (B, h, w); on a GPU this waits twice per sample, for the two lengths."""
        samples = flags.flatten(1)
        boundary = tuple(sample.nonzero()[:, 0] for sample in samples)
        return cls(flags, boundary, tuple(sample.nonzero()[:, 0] for sample in ~samples))

    @property
    def batch_boundary(self) -> Tensor:
        """Places of the boundary tokens among the tokens of the whole batch, (sum of S,) int64."""
        tokens = self.flags.shape[1] * self.flags.shape[2]
        return torch.cat([places + index * tokens for index, places in enumerate(self.boundary)])


def select_boundary_tokens(reference_map: Tensor, *, rule: BoundaryRule, stride: int) -> Tensor:
    """Mark the boundary tokens: those that hold an unknown pixel, and those that the rule names.

    "exact": a 7x7 window around one of the token's pixels holds more than one state.
    "release": inside the prompt box, such a window is not entirely definite background. Differs from the paper: this
    is what the released test `mean(x^2) - mean(x)^2 > 0` amounts to, because in float32 its factor 1/49 is rounded
    down and the variance of any constant but zero comes out positive.

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
    if rule not in _TESTS:
        raise ValueError(f"unknown boundary rule {rule!r}; the rules are {', '.join(repr(name) for name in _TESTS)}")
    return _TESTS[rule](reference_map, stride)


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


def _holds_two_states(reference_map: Tensor, stride: int) -> Tensor:
    marks = [
        kernels.boundary_tokens(states, stride=stride, reach=WINDOW // 2, unknown=UNKNOWN)
        for states in reference_map[:, 0]
    ]
    return torch.stack(marks)


def _is_not_definite_background(reference_map: Tensor, stride: int) -> Tensor:
    states = reference_map[:, 0]
    _, highest = token_extremes(states, stride=stride, before=WINDOW // 2, after=WINDOW // 2)
    return any_in_token(states == UNKNOWN, stride=stride) | (highest > 0) & _inside_prompt_box(reference_map, stride)


# A test that the network learns would stand here under a name of its own.
_TESTS: dict[BoundaryRule, BoundaryTest] = {"exact": _holds_two_states, "release": _is_not_definite_background}


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
