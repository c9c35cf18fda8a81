"""Compare native kernels with the reference on photos: the same clicks, both answers to every reference map.

    python bench/native_parity.py GRABCUT [--photos 5] [--clicks 6] [--size 1024] [--weights FILE]

Prints per click the greatest difference of the mask logits and the number of pixels where the masks disagree although
the reference's logit is 0.001 or more away from 0. Exits with 1 if there is such a pixel.
"""

from __future__ import annotations

import argparse
import itertools
import sys

import numpy as np

from inter2former import Predictor, kernels
from inter2former.clicks.simulate import next_click
from inter2former.data.layouts import open_dataset
from inter2former.session.engine import Engine
from inter2former.session.prediction import OUTSIDE

DECIDED = 1e-3


class ComparingEngine(Engine):
    """Answers by the native kernels and keeps what the reference would have said."""

    def encode(self, image, report=None):
        with kernels.reference_only():
            self.plain = super().encode(image)
        return super().encode(image, report)

    def answer(self, encoding, reference_map):
        measured, box = super().answer(encoding, reference_map)
        with kernels.reference_only():
            expected, expected_box = super().answer(self.plain, reference_map)
        planes = [np.full(reference_map.shape, OUTSIDE, np.float32) for _ in range(2)]
        for plane, logits, (left, top, right, bottom) in zip(
            planes, (measured, expected), (box, expected_box), strict=True
        ):
            plane[top:bottom, left:right] = logits
        difference = np.abs(planes[0] - planes[1])
        wrong = ((planes[0] > 0) != (planes[1] > 0)) & (np.abs(planes[1]) >= DECIDED)
        self.found = float(difference.max()), int(wrong.sum()), box == expected_box
        return measured, box


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--photos", type=int, default=5)
    parser.add_argument("--clicks", type=int, default=6)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--weights")
    options = parser.parse_args()
    predictor = Predictor(weights=options.weights, size=options.size)
    engine = predictor.engine = ComparingEngine(predictor.engine.network, size=options.size)
    print(f"kernels {kernels.level()}, greatest difference / masks that disagree, click by click")
    wrong = 0
    for sample in itertools.islice(open_dataset(options.dataset).samples(), options.photos):
        predictor.set_image(sample.image_path)
        mask, clicks, cells = np.zeros(sample.mask.shape, np.bool_), [], []
        for _ in range(options.clicks):
            click = next_click(mask, sample.mask, ignore=sample.ignore, previous=clicks)
            if click is None:
                break
            clicks.append(click)
            mask = predictor.add_click(click.x, click.y, click.positive).mask
            difference, disagree, same_box = engine.found
            wrong += disagree
            cells.append(f"{difference:.1e}/{disagree}" + ("" if same_box else " (another box)"))
        print(f"{sample.id:<20}" + "  ".join(cells), flush=True)
    print("equal" if wrong == 0 else f"{wrong} pixels differ")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
