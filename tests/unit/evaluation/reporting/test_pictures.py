"""What a picture shows of a session, and what it does without the photo."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from tests.unit.evaluation.made_runs import HEIGHT, WIDTH, masks, session, write_photo

from inter2former.evaluation.reporting.pictures import Cut, cut_around, session_picture
from inter2former.prompt import Click

WHOLE = Cut(0, 0, WIDTH, HEIGHT, 10.0, (WIDTH, HEIGHT))
RECORD = session("ducks/one", [0.5, 0.6, 0.7])


def picture(record=RECORD, *, photo, cut=WHOLE):
    target, mask = masks()
    svg, note = session_picture(record, mask, target, photo, cut)
    return ElementTree.fromstring(svg), note


def pixels(root):
    data = root.find("image").get("href").removeprefix("data:image/jpeg;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data, validate=True))).convert("RGB")).astype(int)


@pytest.fixture
def photo(tmp_path):
    return write_photo(tmp_path) / "images" / "duck.png"


def test_photo_tint_and_outline(photo):
    root, note = picture(photo=photo)
    shown = pixels(root)
    assert shown.shape == (320, 480, 3)
    assert note == ""
    # Pixel (40, 4) is photo alone, (20, 16) mask and target, (32, 16) mask alone; (12, 16) target alone.
    assert shown[45, 405] == pytest.approx(np.array([20, 160, 40]), abs=6)
    tinted = np.array([(20 + 30) / 2, (160 + 110) / 2, (40 + 255) / 2])
    assert shown[165, 205] == pytest.approx(tinted, abs=6)
    assert shown[165, 325] == pytest.approx(tinted, abs=6)
    assert shown[165, 120] == pytest.approx(np.array([20, 160, 40]), abs=6)
    # The target's upper edge at row 8 is yellow, the mask's right edge is not.
    assert (shown[76:84, 200, :2] > 190).all(axis=1).any()
    assert not (shown[165, 330:350, :2] > 190).all(axis=1).any()


def test_clicks_lie_where_they_were_made(photo):
    root, _ = picture(photo=photo)
    (first, third) = (g.find("circle") for g in root.iter("g") if g.get("class") == "click positive")
    assert {(float(c.get("cx")), float(c.get("cy"))) for c in (first, third)} == {(125.0, 105.0), (185.0, 125.0)}
    (negative,) = (g for g in root.iter("g") if g.get("class") == "click negative")
    box = negative.find("rect")
    middle = [float(box.get(edge)) + float(box.get(side)) / 2 for edge, side in (("x", "width"), ("y", "height"))]
    assert middle == pytest.approx([155, 115], abs=0.1)
    assert negative.findtext("title") == "click 2 − at (15, 11), IoU 0.600"


def test_signs_differ_in_shape(photo):
    """A plus has an upright stroke, a minus has none."""
    root, _ = picture(photo=photo)
    for group in root.iter("g"):
        if group.get("class", "").startswith("click"):
            sign = next(path for path in group.findall("path") if path.get("class") is None).get("d")
            assert ("V" in sign) == (group.get("class") == "click positive")


def test_numbers_stay_inside_and_apart(photo):
    """Twenty clicks in one corner: no number covers another."""
    entry = RECORD.clicks[0]
    crowd = replace(RECORD, clicks=tuple(replace(entry, click=Click(46 - k % 3, k % 2)) for k in range(20)))
    root, _ = picture(crowd, photo=photo)
    (group,) = (g for g in root.iter("g") if g.get("class") == "numbers")
    places = {text.text: (float(text.get("x")), float(text.get("y")) - 4.5) for text in group}
    assert sorted(places, key=int) == [str(k) for k in range(1, 21)]
    for name, (x, y) in places.items():
        assert 0 <= x <= 480
        assert 0 <= y <= 320
        for other, (at_x, at_y) in places.items():
            assert other == name or abs(x - at_x) > 8 or abs(y - at_y) > 8, (name, other)


def test_missing_photo_is_drawn_on_grey(tmp_path):
    root, note = picture(photo=tmp_path / "gone.png")
    assert note == "Drawn on grey: the photo was not found or cannot be read."
    assert pixels(root)[45, 405] == pytest.approx(np.array([128, 128, 128]), abs=3)
    assert len([g for g in root.iter("g") if g.get("class", "").startswith("click")]) == 3


def test_damaged_photo_is_drawn_on_grey(tmp_path):
    (tmp_path / "duck.png").write_bytes(b"no image")
    assert picture(photo=tmp_path / "duck.png")[1].startswith("Drawn on grey: the photo was not found or cannot")


def test_photo_of_another_size_is_not_used(tmp_path):
    photo = write_photo(tmp_path, (20, 10)) / "images" / "duck.png"
    root, note = picture(photo=photo)
    assert note == "Drawn on grey: the photo is now 20 × 10, in the run it was 48 × 32."
    assert pixels(root)[45, 405] == pytest.approx(np.array([128, 128, 128]), abs=3)


def test_a_cut_is_said(photo):
    root, note = picture(photo=photo, cut=Cut(8, 4, 24, 16, 20.0, (WIDTH, HEIGHT)))
    assert note == "Cut to 24 × 16 of 48 × 32 pixels."
    assert root.get("viewBox") == "0 0 480 320"
    (first, _) = (g.find("circle") for g in root.iter("g") if g.get("class") == "click positive")
    assert (float(first.get("cx")), float(first.get("cy"))) == ((18 + 0.5 - 8) * 20, (12 + 0.5 - 4) * 20)


def test_no_clicks(photo):
    root, _ = picture(replace(RECORD, clicks=()), photo=photo)
    assert root.get("aria-label").endswith("and 0 clicks")
    assert not [g for g in root.iter("g") if g.get("class", "").startswith("click")]


def test_hostile_id_is_text(photo):
    root, _ = picture(replace(RECORD, id='"><script>x</script>'), photo=photo)
    assert root.get("aria-label").startswith('"><script>x</script>: image with')
    assert not root.findall(".//script")


def shown(width, height, *boxes):
    mask = np.zeros((height, width), np.bool_)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


def test_a_small_object_is_cut_out():
    cut = cut_around((1000, 800), shown(1000, 800, (400, 300, 500, 360)), (Click(420, 310),))
    assert (cut.left, cut.top, cut.width, cut.height) == (388, 292, 124, 76)
    assert cut.picture_size == (480, round(480 * 76 / 124))
    assert not cut.is_whole


def test_a_large_object_is_shown_in_the_whole_image():
    cut = cut_around((1000, 800), shown(1000, 800, (100, 300, 700, 360)), ())
    assert cut.is_whole
    assert cut.picture_size == (480, 384)


def test_a_far_click_widens_the_cut():
    mask = shown(1000, 800, (400, 300, 500, 360))
    assert cut_around((1000, 800), mask, (Click(900, 790),)).is_whole


@pytest.mark.parametrize("clicks", [(), (Click(999, 0),)])
def test_nothing_to_show(clicks):
    cut = cut_around((1000, 800), shown(1000, 800), clicks)
    assert 0 <= cut.left
    assert cut.left + cut.width <= 1000
    assert all(cut.left <= c.x < cut.left + cut.width and cut.top <= c.y < cut.top + cut.height for c in clicks)


def test_a_long_thin_cut_is_made_wider():
    cut = cut_around((1000, 800), shown(1000, 800, (300, 400, 302, 600)), ())
    assert cut.height == 200 + 2 * 24
    assert cut.width == 124
    assert cut.left <= 300 < cut.left + cut.width


def test_one_pixel():
    cut = cut_around((1, 1), shown(1, 1, (0, 0, 1, 1)), (Click(0, 0),))
    assert cut.is_whole
    assert re.fullmatch(r"480x480", "{}x{}".format(*cut.picture_size))
