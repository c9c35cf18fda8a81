"""Procedural things with thin parts: each function draws one kind at random as a list of marks.

Coordinates are unit-free, x right and y down; `side` is the longest side in pixels that the thing will have, by which
a kind decides how many parts it can show.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inter2former.data.synthetic_strokes import Fill, Mark, Stroke, smooth_curve

__all__ = ["KINDS", "Kind"]

_Points: TypeAlias = NDArray[np.float64]


class Kind(NamedTuple):
    """One kind of procedural thing.

    Attributes:
        name: what it is.
        marks: draws one: `marks(rng, side)`.
        palette: `plant`, `hair`, `metal`, or `any` for what comes in every colour.
        grounded: it stands upright on the ground; otherwise it may be turned.
    """

    name: str
    marks: Callable[[Generator, int], list[Mark]]
    palette: str
    grounded: bool


def _points(*pairs: tuple[float, float]) -> _Points:
    return np.array(pairs, dtype=np.float64)


def _line(x0: float, y0: float, x1: float, y1: float) -> _Points:
    return _points((x0, y0), (x1, y1))


def _circle(x: float, y: float, radius: float, squash: float = 1.0, count: int = 64) -> _Points:
    angle = np.linspace(0, 2 * np.pi, count)
    return np.stack([x + radius * np.cos(angle), y + radius * squash * np.sin(angle)], axis=1)


def _thin(rng: Generator, thickest: float = 3.0) -> float:
    """A width of 1.2 to `thickest` pixels, thin ones more often; thinner ones would not cover half a pixel."""
    return float(1.2 * (thickest / 1.2) ** (rng.random() ** 1.5))


def _warped(marks: list[Mark], rng: Generator, amount: float) -> list[Mark]:
    """Bend everything by slow waves and a little perspective."""
    phase, frequency = rng.uniform(0, 2 * np.pi, 4), rng.uniform(2, 6, 4)
    tilt = rng.uniform(-0.35, 0.35) * min(1.0, amount * 12)

    def bend(points: _Points) -> _Points:
        x, y = points[:, 0], points[:, 1]
        moved_x = x + amount * (np.sin(frequency[0] * y + phase[0]) + 0.5 * np.sin(frequency[1] * x + phase[1]))
        moved_y = y + amount * (np.sin(frequency[2] * x + phase[2]) + 0.5 * np.sin(frequency[3] * y + phase[3]))
        return np.stack([moved_x * (1 + tilt * (y - 0.5)), moved_y], axis=1)

    return [mark._replace(points=bend(mark.points)) for mark in marks]


def _hair(rng: Generator, side: int) -> list[Mark]:
    """Fur or a wisp of hair: a dense body, combed one way, from whose rim single strands stand off."""
    count, angle = 120 + side // 3, rng.uniform(0, 2 * np.pi)
    comb = rng.uniform(0.6, 1.6) * np.array([math.cos(angle), math.sin(angle)])
    round_ = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radius = 0.3 * (1 + 0.2 * np.sin(int(rng.integers(2, 5)) * round_ + rng.uniform(0, 6)))
    body = np.stack([radius * np.cos(round_), rng.uniform(0.5, 1.2) * radius * np.sin(round_)], axis=1)
    starts = body[rng.integers(48, size=count)] * np.sqrt(rng.uniform(0.05, 1.0, (count, 1)))
    away = starts / 0.3 + comb + rng.normal(0, 0.12, (count, 2))
    bend = rng.normal(0, 0.3, (count, 1)) * np.stack([-away[:, 1], away[:, 0]], axis=1)
    reach = rng.uniform(0.05, rng.uniform(0.1, 0.35), (count, 1))
    strands = np.stack([starts, starts + reach * (0.5 * away + 0.3 * bend), starts + reach * (away + bend)], axis=1)
    thick, tones = rng.uniform(1.3, 2.6, count), rng.uniform(0.1, 0.9, count)
    marks: list[Mark] = [Fill(body, 0.35)]
    return marks + [Stroke(smooth_curve(s, 9), w, t, 1.1) for s, w, t in zip(strands, thick, tones, strict=True)]


def _wires(rng: Generator, side: int) -> list[Mark]:
    """Wires that hang from pole to pole."""
    count, sag = int(rng.integers(2, 7)), rng.uniform(0.02, 0.3)
    t = np.linspace(0, 1, 40)
    heights = np.sort(rng.uniform(0, 0.35, count))
    marks: list[Mark] = [
        Stroke(np.stack([t, y + sag * rng.uniform(0.8, 1.2) * 4 * t * (1 - t) + slope * t], axis=1), width, tone)
        for slope in (rng.uniform(-0.2, 0.2),)
        for y, width, tone in zip(heights, [_thin(rng, 3.5)] * count, rng.uniform(0, 0.35, count), strict=True)
    ]
    if rng.random() < 0.6:
        foot = rng.uniform(0.5, 1.0)
        marks += [Stroke(_line(x, -0.04, x, foot), rng.uniform(4, 4 + side / 60), 0.4) for x in (0.02, 0.98)]
        marks += [Stroke(_line(x - 0.04, y, x + 0.04, y), 3, 0.3) for x in (0.02, 0.98) for y in heights]
    return marks


def _cable(rng: Generator, side: int) -> list[Mark]:
    """A cable that lies about in loops, or a scribble."""
    knots = np.cumsum(rng.normal(0, 1, (int(rng.integers(5, 14)), 2)) + rng.normal(0, 0.5, 2), axis=0)
    return [Stroke(smooth_curve(knots, 240), _thin(rng, 2 + side / 120), rng.uniform(0, 0.8))]


def _net(rng: Generator, side: int) -> list[Mark]:
    """A net or a wire mesh, square or diamond, hanging loosely or taut."""
    count = int(rng.integers(5, max(7, min(26, side // 24))))
    width, tone, rise = _thin(rng), rng.uniform(0.2, 0.9), rng.uniform(0.5, 1.2)
    steps = np.linspace(0, 1, count + 1)
    if rng.random() < 0.5:
        lines = [_line(x, 0, x, rise) for x in steps] + [_line(0, rise * y, 1, rise * y) for y in steps]
    else:
        lines = [line for k in range(1, 2 * count) for line in _diagonals(k / count, rise)]
    marks: list[Mark] = [Stroke(_divided(line, 24), width, tone) for line in lines]
    if rng.random() < 0.6:
        frame = _points((0, 0), (1, 0), (1, rise), (0, rise), (0, 0))
        marks.append(Stroke(_divided(frame, 24), width * rng.uniform(1.5, 4), tone * 0.8))
    return _warped(marks, rng, rng.choice([0.0, 0.02, 0.06]))


def _diagonals(offset: float, rise: float) -> list[_Points]:
    """The two diagonals of the unit square at an offset of 0..2, as tall as `rise`."""
    first, last = max(0.0, offset - 1), min(1.0, offset)
    falling = _line(first, rise * (offset - first), last, rise * (offset - last))
    return [falling, falling * [-1, 1] + [1, 0]]


def _divided(line: _Points, count: int) -> _Points:
    """The same line with `count` points on each of its pieces, so that it can be bent."""
    share = np.linspace(0, 1, count)[:, None]
    return np.concatenate([a + share * (b - a) for a, b in itertools.pairwise(line)])


def _fence(rng: Generator, side: int) -> list[Mark]:
    """Pickets and rails."""
    count, height = int(rng.integers(5, max(7, min(28, side // 20)))), rng.uniform(0.3, 1.0)
    picket, tone = rng.uniform(1.4, max(2, side / count / 3)), rng.uniform(0.3, 0.9)
    marks: list[Mark] = [
        Stroke(_divided(_line(x, height * rng.uniform(0, 0.04), x, height), 8), picket, tone + rng.normal(0, 0.05))
        for x in np.linspace(0, 1, count)
    ]
    rails = rng.choice([0.15, 0.5, 0.85], size=int(rng.integers(2, 4)), replace=False)
    marks += [Stroke(_divided(_line(0, y, 1, y), 24), picket * rng.uniform(0.7, 1.3), tone) for y in rails * height]
    return _warped(marks, rng, rng.choice([0.0, 0.01]))


def _branches(
    rng: Generator, at: _Points, angle: float, length: float, width: float, depth: int, wiggle: float
) -> list[Stroke]:
    """One branch and those that leave it, thinner each time."""
    turns = angle + np.cumsum(rng.normal(0, wiggle, 5))
    steps = length / 5 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    line = np.concatenate([at[None], at + np.cumsum(steps, axis=0)])
    end_width = max(1.2, width * 0.7)
    found = [Stroke(line, width, rng.uniform(0.2, 0.6), end_width)]
    if depth:
        for _ in range(int(rng.integers(2, 4))):
            place = int(rng.integers(2, 6))
            spread = rng.choice([-1, 1]) * rng.uniform(0.25, 1.0)
            found += _branches(
                rng, line[place], float(turns[place - 1]) + spread, length * rng.uniform(0.55, 0.85), end_width,
                depth - 1, wiggle
            )  # fmt: skip
    return found


def _twig(rng: Generator, side: int) -> list[Mark]:
    """A bare or leafy twig or small tree."""
    heading, depth = -np.pi / 2 + rng.normal(0, 0.2), int(rng.integers(2, 4 + (side > 300)))
    wood = _branches(rng, np.zeros(2), heading, 1.0, rng.uniform(3, 3 + side / 60), depth, 0.15)
    marks: list[Mark] = list(wood)
    if rng.random() < 0.65:
        size = rng.uniform(0.05, 0.16)
        for branch in wood[1:]:
            for _ in range(int(rng.integers(0, 4))):
                marks.append(_leaf(rng, branch.points[int(rng.integers(1, 6))], rng.uniform(0, 2 * np.pi), size))
    return marks


def _leaf(rng: Generator, at: _Points, angle: float, length: float) -> Fill:
    along = np.concatenate([np.linspace(0, 1, 8), np.linspace(1, 0, 8)])
    across = np.sin(np.pi * along**0.8) * rng.uniform(0.12, 0.25) * np.repeat([1, -1], 8)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return Fill(at + length * np.stack([along, across], axis=1) @ turn, rng.uniform(0.35, 1.0))


def _vessels(rng: Generator, side: int) -> list[Mark]:
    """Roots, blood vessels, cracks: long wiggling branches of one tone."""
    start, tone = rng.uniform(2, 2 + side / 90), rng.uniform(0.2, 0.7)
    count, wiggle = int(rng.integers(1, 5)), rng.uniform(0.2, 0.5)
    spread = rng.uniform(0, 2 * np.pi) + np.arange(count) * 2 * np.pi / count
    strokes = [b for a in spread for b in _branches(rng, np.zeros(2), float(a), 1.0, start, 3, wiggle)]
    return [stroke._replace(tone=tone) for stroke in strokes]


def _grass(rng: Generator, side: int) -> list[Mark]:
    """Blades that rise from the ground and bend over."""
    count, lean = int(rng.integers(15, 30 + side // 12)), rng.normal(0, 0.2)
    spread = rng.uniform(0.1, 0.6)
    marks: list[Mark] = []
    for _ in range(count):
        x, height, bend = rng.uniform(-spread, spread), rng.uniform(0.35, 1.0), rng.normal(lean, 0.25)
        blade = _points((x, 0), (x + 0.25 * bend, -0.55 * height), (x + bend, -height * (1 - 0.3 * abs(bend))))
        width = rng.uniform(1.5, 2 + side / 150)
        marks.append(Stroke(smooth_curve(blade, 14), width, rng.uniform(0.2, 0.95), 1.2))
    return marks


def _fern(rng: Generator, side: int) -> list[Mark]:
    """A midrib with leaflets on both sides, or a feather."""
    count, length = int(rng.integers(8, 20)), rng.uniform(0.15, 0.35)
    rib = smooth_curve(_points((0, 0), (0.5, rng.normal(0, 0.12)), (1, rng.normal(0, 0.25))), 60)
    marks: list[Mark] = [Stroke(rib, rng.uniform(1.5, 4), 0.45, 1.2)]
    angle = rng.uniform(0.6, 1.3)
    for place in np.linspace(6, 58, count).astype(int):
        heading = math.atan2(*(rib[place] - rib[place - 1])[::-1])
        shrunk = length * math.sin(math.pi * (0.15 + 0.85 * (1 - place / 60))) + 0.02
        marks += [_leaf(rng, rib[place], heading + sign * angle, shrunk) for sign in (-1, 1)]
    return marks


def _text(rng: Generator, side: int) -> list[Mark]:
    """Thin lettering: outlines of a font that consists of single strokes, or a scrawl."""
    words = "".join(
        chr(int(c)) for c in rng.choice([*range(65, 91), *range(97, 123), *range(48, 58)], rng.integers(2, 7))
    )
    width, marks, x = _thin(rng, 1.5 + side / 120), [], 0.0
    tone, slant = rng.uniform(0, 1), rng.normal(0, 0.2)
    face = int(rng.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX]))
    for letter in words:
        canvas = np.zeros((280, 360), np.uint8)
        cv2.putText(canvas, letter, (80, 180), face, 5.6, 255, 6, cv2.LINE_AA)
        contours, _ = cv2.findContours(canvas, cv2.RETR_LIST, cv2.CHAIN_APPROX_TC89_KCOS)
        for contour in contours:
            outline = contour[:, 0].astype(np.float64) / 240
            marks.append(Stroke(np.concatenate([outline, outline[:1]]) @ [[1, 0], [slant, 1]] + [x, 0], width, tone))
        x += cv2.getTextSize(letter, face, 1.4, 1)[0][0] / 60 * rng.uniform(0.9, 1.1)
    return list(marks)


def _chain(rng: Generator, side: int) -> list[Mark]:
    """Links along a curve, every other one seen from its edge."""
    count, width = int(rng.integers(6, max(8, min(24, side // 16)))), _thin(rng, 1.5 + side / 100)
    knots = _points((0, 0), (0.35, rng.normal(0, 0.2)), (0.7, rng.normal(0, 0.2)), (1, rng.normal(0, 0.1)))
    path = smooth_curve(knots, 2 * count + 1)
    marks: list[Mark] = []
    for number in range(count):
        a, b = path[2 * number], path[2 * number + 2]
        along, across = (b - a) * 0.66, np.array([a[1] - b[1], b[0] - a[0]]) * (0.42 if number % 2 else 0.1)
        angle = np.linspace(0, 2 * np.pi, 24)[:, None]
        marks.append(Stroke((a + b) / 2 + np.cos(angle) * along + np.sin(angle) * across, width, rng.uniform(0.3, 0.6)))
    return marks


def _ladder(rng: Generator, side: int) -> list[Mark]:
    """A ladder, or a lattice mast with crossed struts."""
    count, breadth, taper = int(rng.integers(5, 14)), rng.uniform(0.12, 0.4), rng.uniform(0.4, 1.0)
    rail, rung, tone = rng.uniform(2, 2 + side / 80), _thin(rng, 1.5 + side / 160), rng.uniform(0.2, 0.8)
    heights = np.linspace(0, 1, count + 1)
    half = breadth / 2 * (taper + (1 - taper) * heights)
    marks: list[Mark] = [
        Stroke(_line(-h0, y0, h0, y0), rung, tone) for h0, y0 in zip(half[1:-1], heights[1:-1], strict=True)
    ]
    if rng.random() < 0.5:
        for h0, h1, y0, y1 in zip(half[:-1], half[1:], heights[:-1], heights[1:], strict=True):
            marks += [Stroke(_line(-h0, y0, h1, y1), rung, tone), Stroke(_line(h0, y0, -h1, y1), rung, tone)]
    marks += [Stroke(_line(s * half[0], -0.02, s * half[-1], 1.02), rail, tone) for s in (-1, 1)]
    return marks


def _wheel(x: float, spokes: int, turn: float, width: float, rim: float, squash: float) -> list[Mark]:
    angles = turn + np.arange(spokes) * 2 * np.pi / spokes
    ends = [(x + 0.48 * math.cos(a), 0.48 * squash * math.sin(a)) for a in angles]
    marks: list[Mark] = [Stroke(_line(x, 0, *end), width, 0.75) for end in ends]
    return [*marks, Stroke(_circle(x, 0, 0.48, squash), rim, 0.2), Fill(_circle(x, 0, 0.05, squash), 0.5)]


def _bicycle(rng: Generator, side: int) -> list[Mark]:
    """A spoked wheel, or two of them with a frame."""
    spokes, spoke = int(rng.integers(8, 30)), _thin(rng, 2.0)
    if rng.random() < 0.4:
        return _wheel(0, spokes, rng.uniform(0, 1), spoke, rng.uniform(2, 2 + side / 40), rng.uniform(0.3, 1.0))
    spoke, rim, tube = max(1.2, spoke * 0.8), rng.uniform(2, 2 + side / 80), rng.uniform(2, 2 + side / 70)
    marks = [*_wheel(0, spokes, 0.1, spoke, rim, 1.0), *_wheel(1.2, spokes, 0.3, spoke, rim, 1.0)]
    crank, seat, head = (0.5, 0.05), (0.38, -0.5), (0.98, -0.5)
    pairs = (((0, 0), crank), (crank, seat), (seat, head), (crank, head), ((0, 0), seat), (head, (1.2, 0)))
    marks += [Stroke(_line(*a, *b), tube, 0.55) for a, b in pairs]
    marks += [Stroke(_line(0.28, -0.6, 0.5, -0.6), tube * 1.8, 0.1), Stroke(_line(*seat, 0.37, -0.6), tube, 0.5)]
    handle = smooth_curve(_points((0.97, -0.5), (0.93, -0.68), (1.08, -0.7), (1.1, -0.58)), 16)
    return [*marks, Stroke(handle, tube, 0.2), Stroke(_circle(0.5, 0.05, 0.1), max(1.2, tube * 0.6), 0.3)]


def _web(rng: Generator, side: int) -> list[Mark]:
    """A spider's web, or the ribs of an umbrella."""
    spokes, rings, width = int(rng.integers(8, 18)), int(rng.integers(3, max(5, min(14, side // 40)))), _thin(rng, 2.2)
    angles = np.sort(rng.uniform(0, 2 * np.pi / spokes / 3, spokes) + np.arange(spokes) * 2 * np.pi / spokes)
    reach = rng.uniform(0.7, 1.0, spokes)
    tips = reach[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    marks: list[Mark] = [Stroke(_line(0, 0, *tip), width, 0.8) for tip in tips]
    for ring in np.linspace(0.15, 0.92, rings):
        corners = ring * np.concatenate([tips, tips[:1]])
        middles = 0.94 * (corners[:-1] + corners[1:]) / 2
        sagging = np.stack([corners[:-1], middles], axis=1).reshape(-1, 2)
        marks.append(Stroke(np.concatenate([sagging, corners[:1]]), width, 0.85))
    return marks


KINDS: tuple[Kind, ...] = (
    Kind("hair", _hair, "hair", False),
    Kind("wires", _wires, "metal", True),
    Kind("cable", _cable, "any", False),
    Kind("net", _net, "any", False),
    Kind("fence", _fence, "any", True),
    Kind("twig", _twig, "plant", True),
    Kind("vessels", _vessels, "any", False),
    Kind("grass", _grass, "plant", True),
    Kind("fern", _fern, "plant", False),
    Kind("text", _text, "any", False),
    Kind("chain", _chain, "metal", False),
    Kind("ladder", _ladder, "metal", True),
    Kind("bicycle", _bicycle, "any", True),
    Kind("web", _web, "metal", False),
)
