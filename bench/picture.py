"""Draw the README's picture: the bundled photo, click by click.

python bench/picture.py [--weights FILE] [--out docs/images/clicks-to-mask.png]
"""

from __future__ import annotations

import argparse
from importlib.resources import files

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from inter2former import Click, Predictor
from inter2former.images import load_image, overlay

CLICKS = (Click(290, 110), Click(222, 265), Click(150, 250, False), Click(408, 80, False))
GAP = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights")
    parser.add_argument("--out", default="docs/images/clicks-to-mask.png")
    options = parser.parse_args()
    image = load_image(str(files("inter2former") / "assets" / "demo.jpg"))
    predictor = Predictor(weights=options.weights)
    predictor.set_image(image)
    panels = []
    for count, click in enumerate(CLICKS, 1):
        prediction = predictor.add_click(click.x, click.y, click.positive)
        panels.append(labelled(overlay(image, prediction.mask, CLICKS[:count]), f"click {count}"))
    gap = np.full((panels[0].shape[0], GAP, 3), 255, np.uint8)
    strip = np.concatenate([part for panel in panels for part in (panel, gap)][:-1], axis=1)
    Image.fromarray(strip).save(options.out, optimize=True)
    print(options.out, strip.shape[1], "x", strip.shape[0])


def labelled(picture: np.ndarray, text: str) -> np.ndarray:
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=22)
    draw.rectangle((0, 0, draw.textlength(text, font=font) + 16, 34), fill=(255, 255, 255))
    draw.text((8, 4), text, fill=(0, 0, 0), font=font)
    return np.asarray(image)


if __name__ == "__main__":
    main()
