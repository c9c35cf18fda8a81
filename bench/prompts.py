"""How good the first answer to each kind of prompt is, on objects of a data set.

    python bench/prompts.py FOLDER [--limit 12] [--share 0.05] [--weights FILE] [--threads N]

Box: the object's, 5 px wider on each side. Lasso: the outline of the object grown by 8 px, with corners up to 4 px off.
Scribble: 8 corners along the object's main direction, where it is at least half as deep as at its deepest. Excluding
lasso: a disc is added to the true mask and taken away again by a lasso around it. Prints the mean IoU of each.
"""

from __future__ import annotations

import argparse
import sys
from itertools import islice

import cv2
import numpy as np

from inter2former import Predictor
from inter2former.clicks.simulate import distance_inside, next_click
from inter2former.data.layouts import open_dataset
from inter2former.evaluation.metrics import iou
from inter2former.polygons import mask_parts

GROWN, OFF, CORNERS = 8, 4.0, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--limit", type=int, default=12, help="how many objects, one per image")
    parser.add_argument("--share", type=float, default=0.05, help="least share of the image that an object fills")
    parser.add_argument("--weights")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    predictor = Predictor(weights=options.weights, threads=options.threads)
    rows = []
    for image, mask in islice(objects(options.folder, options.share), options.limit):
        predictor.set_image(image)
        rows.append(measure(predictor, mask))
        print(" ".join(f"{name} {value:.3f}" for name, value in rows[-1].items()), file=sys.stderr, flush=True)
    for name in rows[0]:
        print(f"{name:<24} {np.mean([row[name] for row in rows]):.3f}")


def objects(folder: str, share: float):
    """The first large enough object of each image."""
    dataset = open_dataset(folder)
    for index in range(len(dataset)):
        annotation = dataset.annotation(index)
        for position in range(len(annotation.object_ids)):
            mask = annotation.mask(position)
            if share <= mask.mean() <= 0.9:
                yield annotation.image_path, mask
                break


def measure(predictor: Predictor, mask: np.ndarray) -> dict[str, float]:
    rows, columns = np.nonzero(mask)
    box = columns.min() - 5, rows.min() - 5, columns.max() + 5, rows.max() + 5
    click = next_click(np.zeros_like(mask), mask)
    answers = {
        "click": lambda: predictor.add_click(click.x, click.y),
        "box": lambda: predictor.add_box(*(int(side) for side in box)),
        "lasso": lambda: predictor.add_lasso(outline(mask)),
        "scribble": lambda: predictor.add_scribble(main_line(mask)),
    }
    result = {}
    for name, answer in answers.items():
        predictor.reset()
        first = answer().mask
        result[name] = iou(first, mask)
        correction = next_click(first, mask)
        if correction is not None:
            first = predictor.add_click(correction.x, correction.y, correction.positive).mask
        result[f"{name}, then a click"] = iou(first, mask)
    blob = np.zeros(mask.shape, dtype=np.uint8)
    radius = int(0.35 * (columns.max() - columns.min()))
    cv2.circle(blob, (int(columns.max()), int(rows.mean())), radius, 1, cv2.FILLED)
    surplus = (blob > 0) & ~mask
    predictor.reset()
    result["disc added"] = iou(predictor.set_mask(mask | surplus).mask, mask)
    if surplus.any():
        predictor.add_lasso(outline(surplus, grown=4), positive=False)
    result["disc lassoed away"] = iou(predictor.prediction.mask, mask)
    return result


def outline(mask: np.ndarray, grown: int = GROWN) -> list[tuple[float, float]]:
    """The outline of the largest part, as a person may draw it."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grown + 1, 2 * grown + 1))
    parts = mask_parts(cv2.dilate(mask.astype(np.uint8), disc) > 0, OFF)
    largest = max(parts, key=lambda part: cv2.contourArea(part.outline.astype(np.float32)))
    return [(x, y) for x, y in largest.outline.tolist()]


def main_line(mask: np.ndarray) -> np.ndarray:
    depth = distance_inside(mask)
    deep = np.argwhere(depth >= depth.max() / 2)[:, ::-1]
    direction = np.linalg.svd(deep - deep.mean(axis=0), full_matrices=False)[2][0]
    along = deep[np.argsort(deep @ direction)]
    return along[np.linspace(0, len(along) - 1, CORNERS).astype(int)]


if __name__ == "__main__":
    main()
