"""What a page has of the masks, and what has to travel so that it has them as they are now."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inter2former.masks import changed_box
from inter2former.project.records import ObjectRecord
from inter2former.prompt import MaskPrompt
from inter2former.web.desk import Desk, common
from inter2former.web.messages import WireMask, draft_prompts
from inter2former.web.runs import WireBox, cut_out, pack_runs

__all__ = ["Painter", "draft_view", "object_view"]

Wire = tuple[list[WireMask], list[bytes]]

_KEPT = 512


class _Drawn(NamedTuple):
    """A stored mask as it travels."""

    box: WireBox | None
    runs: bytes
    area: int


@lru_cache(maxsize=_KEPT)
def _drawn(mask: MaskPrompt) -> _Drawn:
    """Every page that looks at an image asks for the same masks, after every change of one of them."""
    found = cut_out(mask)
    return _Drawn(None, b"", 0) if found is None else _Drawn(found[0], pack_runs(found[1]), mask.area)


class Painter:
    """Remembers which masks a page has."""

    def __init__(self) -> None:
        """Begin with a page that has none."""
        self._has: dict[int, MaskPrompt] = {}

    def forget(self) -> None:
        """The page shows another image and has no masks of it."""
        self._has.clear()

    def objects(self, objects: Sequence[ObjectRecord]) -> Wire:
        """The masks of stored objects that the page does not have as they are now."""
        wire, payload = [], []
        for item in objects:
            if self._has.get(item.id) != item.mask:
                drawn = _drawn(item.mask)
                wire.append(WireMask(item.id, True, drawn.box, len(drawn.runs)))
                payload.append(drawn.runs)
        self._has = {item.id: item.mask for item in objects}
        return wire, payload

    def draft(self, desk: Desk, mask: NDArray[np.bool_] | None) -> Wire:
        """The changed box of the mask in work, after what the page has of it.

        Args:
            desk: says what the page has, and is told what it has now.
            mask: (H, W) as it is now; None: empty.
        """
        before, desk.shown = desk.shown, mask
        if mask is before:
            return [], []
        if mask is None:
            return [WireMask(None, True, None, 0)], []
        box = changed_box(before, mask)
        if box is None:
            return [], []
        runs = pack_runs(mask[box[1] : box[3], box[0] : box[2]])
        return [WireMask(None, before is None, box, len(runs))], [runs]


def object_view(item: ObjectRecord) -> dict[str, Any]:
    """A stored object as the page lists it; its mask travels apart."""
    return {
        "id": item.id,
        "label": item.label,
        "visible": item.visible,
        "locked": item.locked,
        "prompts": len(item.prompts),
        "area": _drawn(item.mask).area,
    }


def draft_view(desk: Desk) -> dict[str, Any]:
    """The object in work as the page shows it; its prompts as a change of the list that the page has."""
    keep = common(desk.listed, desk.prompts)
    desk.listed = desk.prompts
    return {
        "object": desk.object,
        "label": desk.label,
        "working": desk.working,
        "keep": keep,
        "add": draft_prompts(desk.prompts[keep:]),
        "undone": len(desk.undone),
    }
