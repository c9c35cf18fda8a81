"""Simulated interaction during training: how many clicks a sample gets before the step that learns."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inter2former.clicks.realistic import RealisticClicker
from inter2former.clicks.reference_map import apply_prediction, blank_map, stamp_box, stamp_next_click
from inter2former.clicks.simulate import ClickRule, next_click
from inter2former.config import ClickConfig
from inter2former.model.inter2former import EncodedImage, Inter2Former
from inter2former.prompt import Click
from inter2former.training.losses import IGNORE
from inter2former.training.settings import TrainingSettings

__all__ = ["SimulatedInteraction", "extra_click_probabilities", "sample_extra_clicks", "simulate_interaction"]


def extra_click_probabilities(gamma: float = 0.6, maximum: int = 20) -> NDArray[np.float64]:
    """Probability of each number of extra clicks, proportional to gamma^n.

    Args:
        gamma: ratio of one probability to the one before; > 0.
        maximum: greatest number of extra clicks; >= 0.

    Returns:
        (maximum + 1,) float64 for n = 0..maximum, adding up to 1; with the defaults the mean is about 1.5 clicks.

    Raises:
        ValueError: `gamma` or `maximum` out of range.
    """
    if not gamma > 0 or maximum < 0:
        raise ValueError(f"gamma must be > 0 and maximum >= 0, got gamma={gamma} and maximum={maximum}")
    weights = gamma ** np.arange(maximum + 1, dtype=np.float64)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def sample_extra_clicks(rng: np.random.Generator, *, gamma: float = 0.6, maximum: int = 20) -> int:
    """Draw a number of extra clicks.

    Args:
        rng: where the draw comes from; exactly one weighted choice is taken.
        gamma: ratio of one probability to the one before; > 0.
        maximum: greatest number of extra clicks; >= 0.

    Returns:
        0..maximum.

    Raises:
        ValueError: `gamma` or `maximum` out of range.
    """
    return int(rng.choice(maximum + 1, p=extra_click_probabilities(gamma, maximum)))


class SimulatedInteraction:
    """The simulated users of a batch, who click as people would: first in the object, then where the answer is wrong.

    Attributes:
        rounds: how many more clicks follow the first prompt, as `sample_extra_clicks` says; the same in all processes,
            so that none waits for the others.
    """

    def __init__(
        self, target: Tensor, clicks: ClickConfig, settings: TrainingSettings, *, step: int, rank: int = 0
    ) -> None:
        """Give every sample its first prompt.

        Args:
            target: (B, 1, H, W) uint8: 0 background, 1 object, 255 ignored.
            clicks: how clicks enter the reference map.
            settings: how many clicks, how far from the deepest error, and the seed of all draws.
            step: of the run; the draws depend on it.
            rank: of the process.
        """
        common = np.random.default_rng((settings.seed, step, 1))
        self.rounds = sample_extra_clicks(common, gamma=settings.extra_click_gamma, maximum=settings.max_extra_clicks)
        rng = np.random.default_rng((settings.seed, step, 1, rank))
        self._sessions = [_Session(plane, clicks, settings, rng) for plane in target[:, 0].numpy()]
        for session in self._sessions:
            session.begin(with_box=rng.random() < settings.box_probability)

    def reference_maps(self) -> Tensor:
        """What the users have said so far: (B, 1, H, W) uint8 states 0..4."""
        return torch.from_numpy(np.stack([session.reference_map for session in self._sessions]))[:, None]

    def answered(self, masks: Sequence[Tensor]) -> None:
        """Show the users the network's answers, upon which each clicks once more, if there is a mistake left.

        Args:
            masks: (H, W) bool for each sample, on any device.
        """
        for session, mask in zip(self._sessions, masks, strict=True):
            session.see(mask.cpu().numpy())


def simulate_interaction(
    network: Inter2Former, encoded: EncodedImage, users: SimulatedInteraction, rounds: int
) -> None:
    """Let a network answer simulated users, without gradient.

    Args:
        network: decodes with its current weights.
        encoded: the batch's embeddings and edge terms, made ready for `Inter2Former.decode`.
        users: of the same batch.
        rounds: number of answers.
    """
    for _ in range(rounds):
        reference_map = users.reference_maps()
        with torch.no_grad():
            answers = network.decode(encoded, reference_map.to(encoded.embedding.device))
        users.answered([answer.pasted(*reference_map.shape[2:]) > 0 for answer in answers])


class _Session:
    """The simulated user of one sample."""

    def __init__(
        self, target: NDArray[np.uint8], clicks: ClickConfig, settings: TrainingSettings, rng: np.random.Generator
    ) -> None:
        self.target, self.ignore = target == 1, target == IGNORE
        low, high = settings.outer_radii
        self.config = dataclasses.replace(
            clicks,
            # Evenly in the logarithm: the area of the unknown region goes with the square.
            outer_radius=round(math.exp(rng.uniform(math.log(low), math.log(high)))),
            first_outer_radius=round(rng.uniform(*settings.first_outer_radii)),
        )
        self.rule = ClickRule("after", "random", settings.inner_ratio)
        seed = int(rng.integers(2**63))
        self.rng = random.Random(seed)
        # Without unsteady clicks not a single number is drawn for them, so that earlier runs can be repeated.
        unsteady = settings.unsteady_share > 0 and rng.random() < settings.unsteady_share
        self.person = partial(RealisticClicker().next_click, seed=seed, session="training") if unsteady else None
        self.reference_map = blank_map(target.shape[0], target.shape[1], clicks)
        self.clicks: list[Click] = []
        self.prompted = False

    def begin(self, *, with_box: bool) -> None:
        """The first prompt: a click, or a box around the object whose sides are up to a tenth off."""
        if not with_box:
            self.click(np.zeros(self.target.shape, dtype=np.bool_))
            return
        rows, columns = np.flatnonzero(self.target.any(1)), np.flatnonzero(self.target.any(0))
        left, top, right, bottom = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
        off_x, off_y = 0.1 * (right - left), 0.1 * (bottom - top)
        jitter = [round(self.rng.uniform(-off, off)) for off in (off_x, off_y, off_x, off_y)]
        box = [side + by for side, by in zip((left, top, right, bottom), jitter, strict=True)]
        self.reference_map = stamp_box(self.reference_map, *box)
        self.prompted = True

    def see(self, mask: NDArray[np.bool_]) -> None:
        """An answer enters the map, and the user clicks on its worst mistake."""
        self.reference_map = apply_prediction(self.reference_map, mask)
        self.click(mask)

    def click(self, mask: NDArray[np.bool_]) -> None:
        click = self._next_click(mask)
        if click is not None:
            first = not self.prompted
            self.reference_map = stamp_next_click(self.reference_map, click, self.config, first=first)
            self.clicks.append(click)
            self.prompted = True

    def _next_click(self, mask: NDArray[np.bool_]) -> Click | None:
        if self.person is not None:
            return self.person(mask, self.target, ignore=self.ignore, number=len(self.clicks))
        return next_click(mask, self.target, ignore=self.ignore, previous=self.clicks, rule=self.rule, rng=self.rng)
