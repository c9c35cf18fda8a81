"""Charts as inline SVG, drawn here: curves with bands, bars, and rows of histograms on one logarithmic axis.

Colours come from the page's style sheet by class, so that a chart follows light and dark. A chart is 440 wide in its
own units, about the pixels that it gets on a page, so that its 12 px letters stay readable on a telephone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inter2former.evaluation.reporting.text import escape

__all__ = ["Bar", "Curve", "Sample", "bar_chart", "curve_chart", "latency_chart"]

FloatArray = NDArray[np.float64]

WIDTH = 440
HEIGHT = 270
LEFT, RIGHT, TOP, BOTTOM = 48, 14, 14, 42


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A line with the band of its intervals.

    Attributes:
        name: stands at the right end of the line.
        values: (K,) at 1, 2, ... K.
        low: (K,) lower ends.
        high: (K,) upper ends.
    """

    name: str
    values: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Attributes:
        label: below it.
        amount: its height, >= 0, and the number above it.
        apart: an outline only, and set off from the others by a gap.
    """

    label: str
    amount: int
    apart: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Measured times of one kind.

    Attributes:
        name: of the kind.
        seconds: (N,) > 0.
    """

    name: str
    seconds: FloatArray


def curve_chart(
    curves: Sequence[Curve], *, label: str, x_label: str, y_label: str, ceiling: float | None = None
) -> str:
    """Draw curves over 1..K with their bands; the second and later lines are dashed.

    Args:
        curves: at least one; all of one length.
        label: what the chart shows, for those who cannot see it.
        x_label: below the axis.
        y_label: along the axis.
        ceiling: the greatest value possible, such as 1 for an IoU; None: the axis follows the curves.

    Returns:
        an `<svg>` element.
    """
    length = len(curves[0].values)
    low = min(float(curve.low.min()) for curve in curves)
    high = max(float(curve.high.max()) for curve in curves) if ceiling is None else ceiling
    ticks = _even_ticks(low, high)
    bottom, top = ticks[0], ticks[-1]

    def x(position: float) -> float:
        return LEFT + 8 + (position - 1) / max(length - 1, 1) * (WIDTH - LEFT - RIGHT - 16)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM)

    parts = [_horizontal_grid(ticks, y, _tick_text(ticks)), *_axis_titles(x_label, y_label)]
    parts += [_text(x(k), HEIGHT - BOTTOM + 16, str(k), "middle") for k in _whole_ticks(length)]
    for index, curve in enumerate(curves):
        parts.append(_band(curve, x, y, index))
    for index, curve in enumerate(curves):
        parts.append(_line(curve, x, y, index))
    parts += _line_names(curves, x(length), y)
    return _svg(label, parts)


def bar_chart(bars: Sequence[Bar], *, label: str, x_label: str, y_label: str) -> str:
    """Draw bars side by side, each with its amount on top where it is not 0.

    Args:
        bars: at least one.
        label: what the chart shows, for those who cannot see it.
        x_label: below the axis.
        y_label: along the axis.

    Returns:
        an `<svg>` element.
    """
    ticks = _even_ticks(0, max(1, *(bar.amount for bar in bars)), whole=True)
    gap = 0.8 * any(bar.apart for bar in bars)
    step = (WIDTH - LEFT - RIGHT) / (len(bars) + gap)
    every = math.ceil(16 / step)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - value / ticks[-1] * (HEIGHT - TOP - BOTTOM)

    parts = [_horizontal_grid(ticks, y, [f"{tick:.0f}" for tick in ticks]), *_axis_titles(x_label, y_label)]
    for index, bar in enumerate(bars):
        left = LEFT + (index + gap * bar.apart) * step
        middle = left + step / 2
        if bar.amount:
            kind = "bar apart" if bar.apart else "bar"
            parts.append(_box(left + step * 0.1, y(bar.amount), step * 0.8, y(0) - y(bar.amount), kind))
            parts.append(_text(middle, y(bar.amount) - 4, str(bar.amount), "middle", "value"))
        if bar.apart or index == 0 or (index + 1) % every == 0:
            parts.append(_text(middle, HEIGHT - BOTTOM + 16, bar.label, "middle"))
    return _svg(label, parts)


def latency_chart(samples: Sequence[Sample], *, label: str) -> str:
    """Draw a histogram per kind of time, one below the other, over one logarithmic axis in milliseconds.

    Median and 95th percentile are marked and written at each.

    Args:
        samples: at least one, each with at least one time > 0.
        label: what the chart shows, for those who cannot see it.

    Returns:
        an `<svg>` element.
    """
    times = [1000 * np.maximum(sample.seconds, 1e-6) for sample in samples]
    low, high = min(float(t.min()) for t in times), max(float(t.max()) for t in times)
    # At least 0.42 decades: the widest step between ticks, from 2 to 5, is 0.40.
    spare = max(0.05, (0.42 - math.log10(high / low)) / 2)
    start, end = math.log10(low) - spare, math.log10(high) + spare
    edges = np.linspace(start, end, 49)
    row = (HEIGHT - TOP - BOTTOM) / len(samples)

    def x(value: float) -> float:
        return LEFT + (math.log10(value) - start) / (end - start) * (WIDTH - LEFT - RIGHT)

    parts = [_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "milliseconds, logarithmic", "middle", "axis")]
    for tick in _log_ticks(10**start, 10**end):
        parts.append(f'<path class="grid" d="M{x(tick):.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        parts.append(_text(x(tick), HEIGHT - BOTTOM + 16, f"{tick:g}", "middle"))
    for index, (sample, values) in enumerate(zip(samples, times, strict=True)):
        base = TOP + (index + 1) * row - 8
        parts += _latency_row(sample.name, values, edges, x, base, row - 38)
    return _svg(label, parts)


def _latency_row(
    name: str, values: FloatArray, edges: FloatArray, x: Callable[[float], float], base: float, height: float
) -> list[str]:
    counts, _ = np.histogram(np.log10(values), edges)
    parts = []
    for amount, left, right in zip(counts, edges[:-1], edges[1:], strict=True):
        if amount:
            tall = max(1.0, height * float(amount) / float(counts.max()))
            parts.append(_box(x(10**left) + 0.5, base - tall, x(10**right) - x(10**left) - 1, tall, "bar"))
    parts.append(f'<path class="ground" d="M{LEFT} {base:.1f}H{WIDTH - RIGHT}"/>')
    half, most = np.percentile(values, [50, 95])
    for value in (half, most):
        parts.append(f'<path class="mark" d="M{x(value):.1f} {base + 4:.1f}V{base - height - 4:.1f}"/>')
    words = f"{name}: median {_short(half)} ms, p95 {_short(most)} ms"
    return [*parts, _text(LEFT, base - height - 10, words, "start", "value")]


def _svg(label: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        + "".join(parts)
        + "</svg>"
    )


def _text(x: float, y: float, words: str, anchor: str, kind: str = "tick") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _box(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _horizontal_grid(ticks: Sequence[float], y: Callable[[float], float], words: Sequence[str]) -> str:
    parts = []
    for index, (tick, word) in enumerate(zip(ticks, words, strict=True)):
        kind = "grid" if index and abs(tick) > 1e-12 else "ground"
        parts.append(f'<path class="{kind}" d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 6, y(tick) + 4, word, "end"))
    return "".join(parts)


def _axis_titles(x_label: str, y_label: str) -> list[str]:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    turned = f'<g transform="rotate(-90 12 {middle:.1f})">{_text(12, middle, y_label, "middle", "axis")}</g>'
    return [_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_label, "middle", "axis"), turned]


def _band(curve: Curve, x: Callable[[float], float], y: Callable[[float], float], index: int) -> str:
    there = [f"{x(k):.1f} {y(value):.1f}" for k, value in enumerate(curve.high, start=1)]
    back = [f"{x(k):.1f} {y(value):.1f}" for k, value in enumerate(curve.low, start=1)][::-1]
    if len(there) == 1:  # an area of one point is nothing; its interval is drawn as an upright line
        return f'<path class="line s{index}" d="M{there[0]}L{back[0]}"/>'
    return f'<path class="band s{index}" d="M{"L".join(there + back)}Z"/>'


def _line(curve: Curve, x: Callable[[float], float], y: Callable[[float], float], index: int) -> str:
    points = [(x(k), y(value)) for k, value in enumerate(curve.values, start=1)]
    path = "L".join(f"{px:.1f} {py:.1f}" for px, py in points)
    dots = "".join(f'<circle class="dot s{index}" cx="{px:.1f}" cy="{py:.1f}" r="2.2"/>' for px, py in points)
    return f'<path class="line s{index}" d="M{path}"/>{dots}'


def _line_names(curves: Sequence[Curve], right: float, y: Callable[[float], float]) -> list[str]:
    """Write the name of the line that ends highest above its band, the others below theirs."""
    highest = max(range(len(curves)), key=lambda k: float(curves[k].values[-1]))
    parts = []
    for index, curve in enumerate(curves):
        above, below = y(float(curve.high[-1])) - 7, y(float(curve.low[-1])) + 17
        height = max(above, TOP - 2) if index == highest else min(below, HEIGHT - BOTTOM - 4)
        parts.append(_text(right, height, curve.name, "end", f"name s{index}"))
    return parts


def _even_ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """About five round values of which the first is at most `low` and the last at least `high`."""
    span = max(high - low, 1e-9)
    unit = 10 ** math.floor(math.log10(span / 5))
    step = next(m * unit for m in (1, 2, 2.5, 5, 10) if m * unit >= span / 5 and not (whole and m * unit % 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [k * step for k in range(first, max(last, first + 1) + 1)]


def _tick_text(ticks: Sequence[float]) -> list[str]:
    """All with the fewest decimals that tell them apart exactly."""
    digits = next(d for d in range(12) if all(abs(round(t, d) - t) < 1e-9 for t in ticks) or d == 11)
    return [f"{tick:.{digits}f}".replace("-", "−") for tick in ticks]


def _whole_ticks(length: int) -> list[int]:
    step = next(s for s in (1, 5, 10, 20, 50, 100, 1000) if length / s <= 12 or s == 1000)
    return sorted({1, *range(step, length + 1, step)})


def _log_ticks(low: float, high: float) -> list[float]:
    """Round values 1, 2, 5 times a power of ten inside the range; only the powers where these are many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1.0, 2.0, 5.0) if len(powers) <= 4 else (1.0,)
    return [f * 10.0**p for p in powers for f in factors if low <= f * 10.0**p <= high]


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
