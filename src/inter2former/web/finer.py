"""The fine answer on large images: a region with an encoding of its own, and the mask's edge drawn anew inside it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from inter2former.masks import mask_box
from inter2former.project.files import now
from inter2former.project.records import ObjectRecord
from inter2former.prompt import MaskPrompt
from inter2former.session.prediction import Prediction
from inter2former.session.region import Region, refined, region_worth_encoding
from inter2former.web.gallery import Gallery, Photo
from inter2former.web.runs import WireBox
from inter2former.web.worker import Priority

__all__ = ["finer", "region_box", "with_mask"]

_LOOSEST = 2.0
"""A region serves until the object's own region would be this many times shorter, when another shows more."""


async def finer(
    gallery: Gallery, photo: Photo, prediction: Prediction, region: Region | None
) -> tuple[Region, Prediction] | None:
    """Draw an answer anew at the image's own resolution.

    Args:
        gallery: encodes the region, if it is a new one.
        photo: the image.
        prediction: the answer of the whole image.
        region: of an earlier answer, used again where it still shows this one well.
    Returns:
        the region and the fine answer; None where the whole image shows the object as well, or a thing so thin was
        lost in the region.
    """
    box = await asyncio.to_thread(region_worth_encoding, prediction)
    if box is None:
        return None
    if region is None or not _serves(region, prediction, box):
        region = Region(box[0], box[1], await gallery.region(photo, box))
    engine, chosen = await asyncio.shield(gallery.engine), region
    job = gallery.worker.submit(Priority.REGION, lambda: refined(engine, chosen, prediction))
    fine = await asyncio.wrap_future(job.future)
    return (chosen, fine) if fine.mask.any() else None


def region_box(region: Region) -> WireBox:
    """Where a region lies: left, top, right, bottom in original pixels."""
    frame = region.encoding.frame
    return region.left, region.top, region.left + frame.width, region.top + frame.height


def with_mask(item: ObjectRecord, mask: MaskPrompt, region: WireBox | None) -> ObjectRecord:
    """An object with another mask; the region in which its edge was drawn is noted, so that it can be drawn again."""
    attributes = {name: value for name, value in item.attributes.items() if name != "region"}
    if region is not None:
        attributes["region"] = list(region)
    return replace(item, mask=mask, attributes=attributes, modified=now())


def _serves(region: Region, prediction: Prediction, wanted: WireBox) -> bool:
    """Whether a region still holds the mask and shows it finely enough."""
    held = mask_box(prediction.mask)
    left, top, right, bottom = region_box(region)
    if held is None or held[0] < left or held[1] < top or held[2] > right or held[3] > bottom:
        return False
    return max(right - left, bottom - top) <= _LOOSEST * max(wanted[2] - wanted[0], wanted[3] - wanted[1])
