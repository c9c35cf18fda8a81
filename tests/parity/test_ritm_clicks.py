"""The clicks of protocol `ritm` are those of the rule as RITM's evaluation states it, written out plainly here.

The rule: pad both error masks by a pixel, OpenCV's distance transform with mask size 0 (which is the precise one), zero
the pixels clicked before, the sign of the greater maximum with a tie negative, and the first maximum in raster order.
One thing is added: OpenCV's last bit of a distance depends on how the array lies in memory, so that ties are broken
differently from call to call; the distances are rounded to roots of integers, which is what they are.
"""

from __future__ import annotations

import cv2
import numpy as np

from inter2former.data.sample import Sample
from inter2former.evaluation.click_loop import simulated_user
from inter2former.evaluation.protocol import RITM
from inter2former.prompt import Click


def plainly(prediction, target, counts, previous):
    depths = []
    for region in (target & ~prediction & counts, prediction & ~target & counts):
        padded = np.pad(region, 1).astype(np.uint8)
        depth = np.sqrt(np.rint(cv2.distanceTransform(padded, cv2.DIST_L2, 0)[1:-1, 1:-1].astype(np.float64) ** 2))
        for click in previous:
            depth[click.y, click.x] = 0
        depths.append(depth)
    positive = bool(depths[0].max() > depths[1].max())
    depth = depths[0] if positive else depths[1]
    y, x = np.argwhere(depth == depth.max())[0]
    return Click(int(x), int(y), positive)


def blob(rng, shape, scale, share):
    noise = cv2.GaussianBlur(rng.random(shape), (0, 0), scale)
    return noise < np.quantile(noise, share)


def test_clicks():
    assert cv2.DIST_MASK_PRECISE == 0
    rng = np.random.default_rng(11)
    for _ in range(25):
        shape = tuple(int(side) for side in rng.integers(40, 330, 2))
        target = blob(rng, shape, rng.uniform(3, 20), rng.uniform(0.1, 0.6))
        ignore = blob(rng, shape, 5, rng.uniform(0, 0.1)) & ~target
        sample = Sample("a", "a.png", target, ignore, "set")
        user, clicks = simulated_user(sample, RITM), []
        prediction = np.zeros_like(target)
        for _ in range(6):
            click = user(prediction, clicks)
            assert click == plainly(prediction, target, ~ignore, clicks)
            clicks.append(click)
            prediction = target ^ blob(rng, shape, rng.uniform(2, 10), rng.uniform(0.02, 0.3))


def test_nothing_left_to_click():
    target = np.zeros((5, 6), dtype=bool)
    target[2, 3] = True
    user = simulated_user(Sample("a", "a.png", target, None, "set"), RITM)
    everything = np.ones_like(target)
    assert user(target, [Click(3, 2)]) == plainly(target, target, everything, [Click(3, 2)]) == Click(0, 0, False)
    assert user(~everything, [Click(3, 2)]) == plainly(~everything, target, everything, [Click(3, 2)])
