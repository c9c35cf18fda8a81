"""One step of a session: a prompt enters the reference map, the network answers, the answer is kept to what was said.

Strokes and given masks are answered without the network: they say themselves what the mask is.
"""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inter2former.clicks.reference_map import (
    apply_prediction,
    blank_map,
    stamp_box,
    stamp_definite,
    stamp_lasso,
    stamp_line,
    stamp_mask,
    stamp_next_click,
)
from inter2former.clicks.respect import MARGIN, contradicted, keep_clicks
from inter2former.frame import WorkingBox, WorkingFrame, mask_to_original
from inter2former.prompt import Box, Click, Lasso, MaskPrompt, Prompt, Scribble, Stroke
from inter2former.session.engine import Encoding, Engine
from inter2former.session.packing import PackedPlane, pack
from inter2former.session.painting import Painting, stroke_patch
from inter2former.session.prediction import OUTSIDE, Prediction, stability
from inter2former.session.regions import excluded_plane, lasso_plane, reduced_patch, scribble_patches
from inter2former.session.verdicts import verdicts

__all__ = ["State", "advance", "beginning", "since_mask"]

StateMap = NDArray[np.uint8]
BoolArray = NDArray[np.bool_]


class State(NamedTuple):
    """What the next step builds on.

    Attributes:
        known: the reference map with the last answer taken in, (h, w) states 0..4.
        painting: all strokes since the last given mask; None: none.
    """

    known: PackedPlane
    painting: Painting | None

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.known.nbytes + (0 if self.painting is None else self.painting.nbytes)


class _Answer(NamedTuple):
    """Mask logits in a box, and which clicks they went against before they were mended."""

    logits: NDArray[np.float32]
    box: WorkingBox
    contradicted: tuple[Click, ...]


def beginning(engine: Engine, encoding: Encoding) -> State:
    """The state before the first prompt."""
    frame = encoding.frame
    return State(pack(blank_map(frame.padded_height, frame.padded_width, engine.network.config.clicks)), None)


def advance(
    engine: Engine, encoding: Encoding, before: State, previous: Prediction | None, prompts: tuple[Prompt, ...]
) -> tuple[State, Prediction]:
    """Take one more prompt and answer. The same arguments give the same result.

    Args:
        engine: the network.
        encoding: of the image.
        before: the state after all prompts but the last.
        previous: the answer to all prompts but the last; needed where the last is a stroke, None before the first.
        prompts: all prompts, the new one last; it fits the image, see `inter2former.session.verdicts.fitted`.
    Returns:
        the new state and the answer.
    Raises:
        ValueError: a stroke outside the image, or a click on a pixel that is painted otherwise.
    """
    clock = _Clock(encoding.seconds)
    prompt = prompts[-1]
    if isinstance(prompt, MaskPrompt):
        return _given(encoding.frame, prompt, prompts, clock)
    if isinstance(prompt, Stroke):
        return _painted(encoding.frame, before, previous, prompt, prompts, clock)
    said = since_mask(prompts)
    places = verdicts(said, encoding.frame, before.painting)
    excluded = excluded_plane(said, encoding.frame, engine.network.config.clicks)
    reference_map = _stamped(engine, encoding.frame, before.known.unpack(), prompt, first=len(prompts) == 1)
    clock.lap("prompt")
    logits, box = engine.answer(encoding, reference_map)
    clock.lap("network")
    if excluded is not None:
        places = [place for place in places if not (place[2] and _at(excluded, place[0], place[1]))]
        inside = excluded[box[1] : box[3], box[0] : box[2]]
        logits = np.where(inside, np.minimum(logits, np.float32(-MARGIN)), logits)
    answer = _kept(engine, logits, box, places, said, encoding.frame)
    mask = mask_to_original(answer.logits, encoding.frame, box=box)
    if before.painting is not None:
        before.painting.apply(mask)
    clock.lap("mask")
    state = State(pack(_with_answer(reference_map, answer.logits, box)), before.painting)
    clock.lap("state")
    return state, _prediction(mask, stability(answer.logits), answer, prompts, encoding.frame, clock)


class _Clock:
    """Seconds of each stage, and of all since it was made."""

    def __init__(self, encode: float) -> None:
        self.started = self.last = time.perf_counter()
        self.laps = {"prompt": 0.0, "network": 0.0, "mask": 0.0, "state": 0.0}
        self.encode = encode

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self.last
        self.last = now

    @property
    def timings(self) -> MappingProxyType[str, float]:
        total = time.perf_counter() - self.started
        return MappingProxyType({**self.laps, "total": total, "encode": self.encode})


def since_mask(prompts: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
    """The prompts that are still in force: a given mask replaces all before it."""
    for index in range(len(prompts) - 1, -1, -1):
        if isinstance(prompts[index], MaskPrompt):
            return prompts[index + 1 :]
    return prompts


def _stamped(
    engine: Engine, frame: WorkingFrame, known: StateMap, prompt: Click | Box | Scribble | Lasso, *, first: bool
) -> StateMap:
    """The reference map with one more prompt in it."""
    config = engine.network.config.clicks
    match prompt:
        case Click(x, y, positive):
            return stamp_next_click(known, Click(*frame.working_pixel(x, y), positive), config, first=first)
        case Box(left, top, right, bottom):
            low, high = frame.working_pixel(left, top), frame.working_pixel(right, bottom)
            return stamp_box(known, *low, high[0] + 1, high[1] + 1)
        case Scribble():
            # Not the radius of a first click: a line already says how large the object is.
            core, band = scribble_patches(prompt, frame, config.outer_radius)
            return stamp_line(known, core, band, positive=prompt.positive)
        case Lasso():
            return stamp_lasso(known, lasso_plane(prompt, frame), positive=prompt.positive)


def _kept(
    engine: Engine,
    logits: NDArray[np.float32],
    box: WorkingBox,
    places: list[tuple[float, float, bool]],
    said: tuple[Prompt, ...],
    frame: WorkingFrame,
) -> _Answer:
    """Keep the answer to the clicks and scribbles; name the clicks that it went against."""
    broken = tuple(
        prompt
        for prompt in said
        if isinstance(prompt, Click)
        for x, y in (frame.to_working(prompt.x, prompt.y),)
        if contradicted(logits, x - box[0], y - box[1], prompt.positive)
    )
    kept = keep_clicks(logits, box, places, radius=engine.network.config.clicks.inner_radius)
    return _Answer(kept, box, broken)


def _at(plane: BoolArray, x: float, y: float) -> bool:
    """The value nearest to a position in working pixels."""
    height, width = plane.shape
    return bool(plane[min(max(round(y), 0), height - 1), min(max(round(x), 0), width - 1)])


def _with_answer(reference_map: StateMap, logits: NDArray[np.float32], box: WorkingBox) -> StateMap:
    mask = np.zeros(reference_map.shape, dtype=np.bool_)
    mask[box[1] : box[3], box[0] : box[2]] = logits > 0
    return apply_prediction(reference_map, mask)


def _painted(
    frame: WorkingFrame,
    before: State,
    previous: Prediction | None,
    stroke: Stroke,
    prompts: tuple[Prompt, ...],
    clock: _Clock,
) -> tuple[State, Prediction]:
    """A stroke changes exactly its pixels and asks nobody."""
    patch = stroke_patch(stroke, frame.width, frame.height)
    mask = np.zeros((frame.height, frame.width), dtype=np.bool_) if previous is None else previous.mask.copy()
    mask[patch.window][patch.mask] = not stroke.erase
    painting = (
        Painting.of(patch, erase=stroke.erase)
        if before.painting is None
        else before.painting.with_stroke(patch, erase=stroke.erase)
    )
    known = stamp_definite(before.known.unpack(), reduced_patch(patch, frame), positive=not stroke.erase)
    clock.lap("prompt")
    if previous is None:
        answer = _Answer(np.zeros((0, 0), dtype=np.float32), (0, 0, 0, 0), ())
        return State(pack(known), painting), _prediction(mask, 1.0, answer, prompts, frame, clock)
    answer = _Answer(previous._local, previous._box, previous.contradicted)
    return State(pack(known), painting), _prediction(mask, previous.score, answer, prompts, frame, clock)


def _given(
    frame: WorkingFrame, prompt: MaskPrompt, prompts: tuple[Prompt, ...], clock: _Clock
) -> tuple[State, Prediction]:
    """A mask is its own answer, exactly; the reference map holds it at the working size."""
    mask = prompt.mask
    plane = np.zeros((frame.padded_height, frame.padded_width), dtype=np.bool_)
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    resized = picture.resize((frame.content_width, frame.content_height), Image.Resampling.BILINEAR)
    plane[: frame.content_height, : frame.content_width] = np.asarray(resized) > 127
    logits = np.where(plane, np.float32(-OUTSIDE), np.float32(OUTSIDE))
    clock.lap("prompt")
    answer = _Answer(logits, (0, 0, frame.padded_width, frame.padded_height), ())
    return State(pack(stamp_mask(plane)), None), _prediction(mask, 1.0, answer, prompts, frame, clock)


def _prediction(
    mask: BoolArray,
    score: float,
    answer: _Answer,
    prompts: tuple[Prompt, ...],
    frame: WorkingFrame,
    clock: _Clock,
) -> Prediction:
    mask.flags.writeable = False
    clicks = tuple(prompt for prompt in since_mask(prompts) if isinstance(prompt, Click))
    return Prediction(
        mask, score, clicks, answer.contradicted, clock.timings, prompts, answer.logits, answer.box, frame
    )
