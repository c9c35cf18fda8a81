"""`inter2former segment`: one object of one image, by clicks given on the command line."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

from inter2former.cli.options import Subparsers, add_command, add_predictor_options, make_predictor
from inter2former.errors import ImageWriteError
from inter2former.files import replacing
from inter2former.images import load_image, overlay, save_mask
from inter2former.predictor import Prediction
from inter2former.prompt import Click

__all__ = ["add_parser", "parse_click", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "segment",
        "segment one object of an image by clicks",
        "inter2former segment photo.jpg --click 320,240 --click 80,60,- --out mask.png --overlay overlay.png",
    )
    parser.add_argument("image", metavar="IMAGE", help="the image file")
    parser.add_argument(
        "--click",
        action="append",
        required=True,
        type=parse_click,
        metavar="X,Y[,-]",
        help="a pixel of the object, or with ,- one that is not part of it; repeat for more clicks, in order",
    )
    parser.add_argument("--out", required=True, metavar="MASK.png", help="where the mask goes: PNG, 255 on the object")
    parser.add_argument("--overlay", metavar="FILE.png", help="also write the image with mask and clicks drawn in")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--cache", metavar="DIR", help="take the encoded image from here, or keep it here")
    add_predictor_options(parser)
    parser.set_defaults(run=run)


def parse_click(text: str) -> Click:
    """Read `X,Y`, `X,Y,+` or `X,Y,-`.

    Raises:
        argparse.ArgumentTypeError: the text is something else.
    """
    parts = text.split(",")
    try:
        if len(parts) not in (2, 3) or (len(parts) == 3 and parts[2] not in ("+", "-")):
            raise ValueError
        return Click(int(parts[0]), int(parts[1]), parts[-1] != "-")
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no click; write X,Y in pixels, or X,Y,- for background"
        ) from None


def run(options: argparse.Namespace) -> int:
    """Segment, write the mask, say what was done."""
    _check_names(options)
    image = load_image(options.image)
    predictor = make_predictor(options)
    predictor.set_image(image)
    predictions = [predictor.add_click(click.x, click.y, click.positive) for click in options.click]
    save_mask(predictions[-1].mask, options.out)
    if options.overlay:
        _save_picture(overlay(image, predictions[-1].mask, options.click), options.overlay)
    print(json.dumps(_summary(options, predictions)) if options.json else _sentence(options, predictions))
    return 0


def _check_names(options: argparse.Namespace) -> None:
    """Refuse to write over the photo, or the overlay over the mask."""
    read, mask = Path(options.image).resolve(), Path(options.out).resolve()
    if mask == read:
        raise ValueError(f"--out is {options.out}, the image itself; name another file")
    if options.overlay and (overlay := Path(options.overlay).resolve()) in (read, mask):
        what = "the image itself" if overlay == read else "also where the mask goes"
        raise ValueError(f"--overlay is {options.overlay}, {what}; name another file")


def _save_picture(picture: np.ndarray, path: str) -> None:
    kind = Image.registered_extensions().get(Path(path).suffix.lower())
    if kind is None:
        raise ImageWriteError(f"cannot write the overlay to {path}: give a name that ends in .png or .jpg")
    try:
        with replacing(path) as stream:
            Image.fromarray(picture).save(stream, kind)
    except (OSError, ValueError, KeyError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"no picture can be saved as {kind}"
        raise ImageWriteError(f"cannot write the overlay to {path}: {reason}") from error


def _summary(options: argparse.Namespace, predictions: list[Prediction]) -> dict[str, object]:
    last = predictions[-1]
    return {
        "image": options.image,
        "width": last.mask.shape[1],
        "height": last.mask.shape[0],
        "clicks": [{"x": click.x, "y": click.y, "positive": click.positive} for click in last.clicks],
        "mask": options.out,
        "area": int(last.mask.sum()),
        "score": round(last.score, 4),
        "encode_ms": round(1000 * last.timings["encode"], 1),
        "click_ms": [round(1000 * prediction.timings["total"], 1) for prediction in predictions],
    }


def _sentence(options: argparse.Namespace, predictions: list[Prediction]) -> str:
    last = predictions[-1]
    share = 100 * last.mask.mean()
    milliseconds = ", ".join(f"{1000 * prediction.timings['total']:.0f}" for prediction in predictions)
    return (
        f"{options.out}: {last.mask.sum()} pixels ({share:.1f} % of {last.mask.shape[1]}x{last.mask.shape[0]}), "
        f"score {last.score:.2f}; encoded in {1000 * last.timings['encode']:.0f} ms, clicks took {milliseconds} ms"
    )
