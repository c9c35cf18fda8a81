"""Charts are well formed, and what they draw lies where the values say."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from inter2former.evaluation.reporting.charts import Bar, Curve, Sample, bar_chart, curve_chart, latency_chart


def curve(values, spread=0.0, name="IoU"):
    values = np.array(values, dtype=np.float64)
    return Curve(name, values, values - spread, values + spread)


def drawn(svg):
    return ElementTree.fromstring(svg)


def points(path):
    numbers = [float(number) for number in re.findall(r"[\d.]+", path.get("d"))]
    return np.array(numbers).reshape(-1, 2)


def of_class(root, kind):
    return [element for element in root.iter() if element.get("class") == kind]


def ticks(root, anchor):
    return {
        e.text: float(e.get("y" if anchor == "end" else "x"))
        for e in of_class(root, "tick")
        if e.get("text-anchor") == anchor
    }


def test_a_curve_goes_through_its_values():
    root = drawn(curve_chart([curve([0.5, 0.75, 1.0], 0.1)], label="l", x_label="x", y_label="y", ceiling=1))
    (line,) = of_class(root, "line s0")
    up, along = ticks(root, "end"), ticks(root, "middle")
    # Words stand 4 units below the height they name.
    expected = [(along["1"], 0.5), (along["2"], 0.75), (along["3"], 1.0)]
    scale = (up["0.4"] - up["1.0"]) / 0.6
    assert points(line) == pytest.approx(
        np.array([(x, up["1.0"] - 4 + (1 - v) * scale) for x, v in expected]), abs=0.11
    )
    assert len(of_class(root, "dot s0")) == 3


def test_a_band_goes_up_there_and_down_back():
    root = drawn(curve_chart([curve([0.5, 0.6], 0.1)], label="l", x_label="x", y_label="y"))
    (band,) = of_class(root, "band s0")
    (line,) = of_class(root, "line s0")
    corners, middle = points(band), points(line)
    assert corners[:, 0] == pytest.approx([middle[0, 0], middle[1, 0], middle[1, 0], middle[0, 0]])
    assert (corners[:2, 1] < middle[:, 1]).all()
    assert (corners[2:, 1] > middle[::-1, 1]).all()
    assert corners[:2, 1] + corners[:1:-1, 1] == pytest.approx(2 * middle[:, 1], abs=0.11)


def test_one_click_is_a_dot_with_its_interval():
    root = drawn(curve_chart([curve([0.5], 0.1)], label="l", x_label="x", y_label="y"))
    assert len(of_class(root, "dot s0")) == 1
    assert not of_class(root, "band s0")


def test_curves_without_spread_have_an_axis():
    root = drawn(curve_chart([curve([0.0, 0.0])], label="l", x_label="x", y_label="y"))
    assert "nan" not in ElementTree.tostring(root, encoding="unicode")


def test_names_of_two_lines_do_not_meet():
    root = drawn(
        curve_chart([curve([0.5, 0.9], name="A"), curve([0.5, 0.9001], name="B")], label="l", x_label="", y_label="")
    )
    a, b = (float(of_class(root, f"name s{k}")[0].get("y")) for k in (0, 1))
    assert a - b > 15  # B ends higher and stands above


def test_bars_are_as_high_as_their_amounts():
    bars = [Bar("1", 4), Bar("2", 0), Bar("3", 2), Bar("never", 1, apart=True)]
    root = drawn(bar_chart(bars, label="l", x_label="x", y_label="y"))
    heights = [float(box.get("height")) for box in of_class(root, "bar")]
    (apart,) = of_class(root, "bar apart")
    assert heights[0] == pytest.approx(2 * heights[1], abs=0.2)
    assert heights[0] == pytest.approx(4 * float(apart.get("height")), abs=0.4)
    assert [element.text for element in of_class(root, "value")] == ["4", "2", "1"]
    lefts = [float(box.get("x")) for box in [*of_class(root, "bar"), apart]]
    step = (lefts[1] - lefts[0]) / 2
    assert lefts[2] - lefts[1] == pytest.approx(1.8 * step, abs=0.2)


def test_bars_of_nothing():
    root = drawn(bar_chart([Bar("1", 0)], label="l", x_label="x", y_label="y"))
    assert not of_class(root, "bar")
    assert set(ticks(root, "end")) == {"0", "1"}


def test_latencies_share_a_logarithmic_axis():
    samples = [Sample("later clicks", np.full(9, 0.01)), Sample("encode", np.array([1.0, 1.0, 1.0]))]
    root = drawn(latency_chart(samples, label="l"))
    along = ticks(root, "middle")
    marks = [float(re.match(r"M([\d.]+)", mark.get("d"))[1]) for mark in of_class(root, "mark")]
    assert marks == pytest.approx([along["10"]] * 2 + [along["1000"]] * 2, abs=0.11)
    assert along["100"] == pytest.approx((along["10"] + along["1000"]) / 2, abs=0.11)
    words = [element.text for element in of_class(root, "value")]
    assert words == ["later clicks: median 10 ms, p95 10 ms", "encode: median 1000 ms, p95 1000 ms"]


@pytest.mark.parametrize("seconds", [0.0301, 0.00003, 250.0])
def test_a_single_latency_has_a_tick(seconds):
    root = drawn(latency_chart([Sample("encode", np.array([seconds]))], label="l"))
    assert ticks(root, "middle")


def test_labels_are_no_markup():
    hostile = '"><script>alert(1)</script>'
    root = drawn(curve_chart([curve([0.5, 0.6], name=hostile)], label=hostile, x_label=hostile, y_label=hostile))
    assert root.get("aria-label") == hostile
    assert not root.findall(".//script")
