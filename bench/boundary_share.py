"""How many tokens each boundary rule sends to full attention, on objects of data sets.

    python bench/boundary_share.py FOLDER [FOLDER ...] [--limit 40] [--size 1024]

For each object two moments of a session: the first click; and a later one, when the last mask is the true one moved by
8 px and the click lies where that is most wrong. No network runs. Prints the mean share of boundary tokens, and its
range, for the clicks of both presets: as released (everything unknown before the first click) and the compact one's.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from inter2former.clicks.reference_map import apply_prediction, blank_map, stamp_next_click
from inter2former.clicks.simulate import next_click
from inter2former.config import STRIDE, ClickConfig, preset
from inter2former.data.layouts import open_dataset
from inter2former.model.boundary import BoundaryRule, select_boundary_tokens

OFF = 8
RULES: tuple[BoundaryRule, ...] = ("exact", "release")
PRESETS = ("inter2former-b", "inter2former-t")

Mask = NDArray[np.bool_]
Row = tuple[str, str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--limit", type=int, default=40, help="how many objects of each folder, one per image")
    parser.add_argument("--size", type=int, default=1024, help="working size in pixels")
    options = parser.parse_args()
    rows: dict[Row, list[float]] = {}
    for folder in options.folders:
        for mask in islice(objects(folder), options.limit):
            for row, share in measured(resized(mask, options.size)):
                rows.setdefault(row, []).append(share)
    print(
        f"{len(next(iter(rows.values())))} objects at {options.size} px; share of boundary tokens, mean (least to most)"
    )
    for (clicks, moment, rule), shares in rows.items():
        figures = f"{np.mean(shares):6.1%} ({min(shares):.1%} to {max(shares):.1%})"
        print(f"clicks of {clicks}, {moment:<11}  {rule:<8}{figures}")


def objects(folder: str) -> Iterator[Mask]:
    """The first object of each image that fills at least a hundredth of it."""
    dataset = open_dataset(folder)
    for index in range(len(dataset)):
        annotation = dataset.annotation(index)
        masks = (annotation.mask(position) for position in range(len(annotation.object_ids)))
        found = next((mask for mask in masks if mask.mean() >= 0.01), None)
        if found is not None:
            yield found


def resized(mask: Mask, size: int) -> Mask:
    """At the working size, cut to whole tokens."""
    scale = size / max(mask.shape)
    width, height = (int(side * scale) // STRIDE * STRIDE for side in mask.shape[::-1])
    return cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0


def measured(mask: Mask) -> Iterator[tuple[Row, float]]:
    """The share of boundary tokens for each kind of clicks, moment and rule."""
    for name in PRESETS:
        clicks = preset(name).clicks
        for moment, states in (("first click", first(mask, clicks)), ("later click", later(mask, clicks))):
            for rule in RULES:
                flags = select_boundary_tokens(torch.from_numpy(states)[None, None], rule=rule, stride=STRIDE)
                yield (name, moment, rule), float(flags.float().mean())


def first(mask: Mask, clicks: ClickConfig) -> NDArray[np.uint8]:
    """The reference map of the first click on an object."""
    height, width = mask.shape
    click = next_click(np.zeros_like(mask), mask)
    assert click is not None, "the object is empty at the working size"
    return stamp_next_click(blank_map(height, width, clicks), click, clicks, first=True)


def later(mask: Mask, clicks: ClickConfig) -> NDArray[np.uint8]:
    """The reference map of a click that corrects a mask which is a little off."""
    height, width = mask.shape
    answer = np.roll(mask, OFF, axis=1)
    click = next_click(answer, mask)
    known = apply_prediction(apply_prediction(blank_map(height, width, clicks), answer), answer)
    return known if click is None else stamp_next_click(known, click, clicks, first=False)


if __name__ == "__main__":
    main()
