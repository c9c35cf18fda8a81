"""A session on one image: what goes in, what comes out, undo and redo, and many threads at once."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from inter2former.checkpoint import save_weights
from inter2former.config import PRESETS, EdgeConfig, ModelConfig, WindowedViTConfig
from inter2former.errors import HistoryError, ImageNotSetError, ImageReadError, WeightsError
from inter2former.model.inter2former import Inter2Former
from inter2former.model.normalise import normalised_input
from inter2former.predictor import Predictor
from inter2former.prompt import Click, Lasso, Scribble, Stroke
from inter2former.session.region import Region, refined, region_worth_encoding

CLICKS = [(65, 45, True), (20, 12, False), (90.5, 60.9, True)]


def click_through(predictor, clicks=CLICKS):
    return [predictor.add_click(*click).mask for click in clicks]


def test_arrays_paths_and_pil_images_are_one_image(predictor, photo, tmp_path):
    image = photo()
    path = tmp_path / "photo.png"
    Image.fromarray(image).save(path)
    expected = click_through(predictor)
    for source in (path, str(path), Image.fromarray(image)):
        predictor.set_image(source)
        assert predictor.prediction is None
        assert predictor.image_size == (130, 90)
        np.testing.assert_array_equal(click_through(predictor), expected)


@pytest.mark.parametrize(
    "call",
    [
        lambda predictor: predictor.add_click(0, 0),
        lambda predictor: predictor.add_box(0, 0, 5, 5),
        lambda predictor: predictor.set_mask(np.zeros((4, 4), dtype=bool)),
        lambda predictor: predictor.image_size,
    ],
)
def test_prompts_need_an_image(new_predictor, call):
    with pytest.raises(ImageNotSetError, match=r"no image yet; call set_image\(\) first"):
        call(new_predictor)
    assert new_predictor.prediction is None


@pytest.mark.parametrize(
    ("x", "y"), [(130, 5), (5, 90), (-1, 5), (5, -0.5), (float("nan"), 5), (5, float("inf")), ("5", 5), (None, 5)]
)
def test_clicks_outside_are_refused_by_their_numbers(predictor, x, y):
    before = predictor.add_click(1, 1)
    message = rf"click \({x}, {y}\) lies outside the 130x90 image; x must be in \[0, 129\] and y in \[0, 89\]"
    with pytest.raises(ValueError, match=message):
        predictor.add_click(x, y)
    assert predictor.prediction is before


def test_a_fraction_names_the_pixel_it_lies_in(predictor):
    predictor.add_click(129.99, 0.2)
    predictor.add_click(np.float32(3.7), np.int64(89), positive=np.bool_(False))
    assert predictor.prediction.clicks == (Click(129, 0), Click(3, 89, positive=False))
    assert type(predictor.prediction.clicks[1].x) is int


@pytest.mark.parametrize(
    ("height", "width"), [(90, 130), (131, 47), (1, 1), (1, 300), (300, 1), (7, 5), (128, 128), (700, 451)]
)
def test_mask_has_the_size_of_any_image(shared_predictor, photo, height, width):
    shared_predictor.set_image(photo(height, width))
    for positive in (True, False):
        x, y = (width // 2, height // 2) if positive else (width - 1, 0)
        prediction = shared_predictor.add_click(x, y, positive)
        assert prediction.mask.dtype == np.bool_
        assert prediction.mask.shape == (height, width)
        assert prediction.mask[y, x] == positive
        assert prediction.logits.dtype == np.float32
        np.testing.assert_array_equal(prediction.logits > 0, prediction.mask)


def test_a_prediction_cannot_be_changed(predictor):
    prediction = predictor.add_click(65, 45)
    with pytest.raises(ValueError, match="read-only"):
        prediction.mask[0, 0] = True
    with pytest.raises(ValueError, match="read-only"):
        prediction.logits[0, 0] = 1
    with pytest.raises(TypeError):
        prediction.timings["total"] = 0
    with pytest.raises(AttributeError):
        prediction.score = 1
    assert prediction.logits is prediction.logits


def test_timings_and_score(predictor):
    prediction = predictor.add_click(65, 45)
    assert set(prediction.timings) == {"prompt", "network", "mask", "state", "total", "encode"}
    assert all(seconds > 0 for seconds in prediction.timings.values())
    parts = sum(prediction.timings[name] for name in ("prompt", "network", "mask", "state"))
    assert parts <= prediction.timings["total"]
    assert 0 <= prediction.score <= 1


def test_undo_and_redo_walk_through_the_predictions(predictor):
    first, second, third = (predictor.add_click(*click) for click in CLICKS)
    assert predictor.undo() is second
    assert predictor.undo() is first
    assert predictor.undo() is None
    assert predictor.prediction is None
    with pytest.raises(HistoryError, match="nothing to undo: no prompt has been given"):
        predictor.undo()
    assert [predictor.redo() for _ in range(3)] == [first, second, third]
    with pytest.raises(HistoryError, match="nothing to redo: no prompt was taken back"):
        predictor.redo()
    assert predictor.prediction is third


def test_a_new_click_after_undo_drops_what_was_taken_back(predictor):
    first, _ = (predictor.add_click(*click) for click in CLICKS[:2])
    predictor.undo()
    other = predictor.add_click(110, 80)
    assert other.clicks == (*first.clicks, Click(110, 80))
    with pytest.raises(HistoryError, match="nothing to redo"):
        predictor.redo()
    assert predictor.undo() is first


def test_the_same_click_after_undo_gives_the_same_mask(predictor):
    click_through(predictor, CLICKS[:2])
    before = predictor.add_click(*CLICKS[2])
    predictor.undo()
    after = predictor.add_click(*CLICKS[2])
    np.testing.assert_array_equal(after.logits, before.logits)


def test_reset_forgets_the_prompts_and_keeps_the_image(predictor):
    expected = click_through(predictor)
    predictor.reset()
    assert predictor.prediction is None
    assert predictor.image_size == (130, 90)
    with pytest.raises(HistoryError):
        predictor.undo()
    with pytest.raises(HistoryError):
        predictor.redo()
    np.testing.assert_array_equal(click_through(predictor), expected)


def test_the_same_calls_give_the_same_masks(predictor, random_weights, photo):
    expected = click_through(predictor)
    other = Predictor(weights=random_weights, size=128)
    other.set_image(photo())
    np.testing.assert_array_equal(click_through(other), expected)


def test_a_refused_image_leaves_the_session(predictor, tmp_path):
    before = predictor.add_click(65, 45)
    with pytest.raises(ImageReadError, match="no such file"):
        predictor.set_image(tmp_path / "absent.png")
    with pytest.raises(TypeError, match="int"):
        predictor.set_image(5)
    assert predictor.prediction is before
    assert predictor.image_size == (130, 90)
    assert predictor.add_click(20, 12, False).clicks == (*before.clicks, Click(20, 12, positive=False))


def test_a_given_mask_comes_back(shared_predictor, photo, disc):
    for height, width in ((90, 128), (60, 50), (400, 333)):
        shared_predictor.set_image(photo(height, width))
        mask = disc(height, width)
        prediction = shared_predictor.set_mask(mask)
        overlap = (prediction.mask & mask).sum() / (prediction.mask | mask).sum()
        assert overlap == 1 if width == 128 else overlap > 0.95
        assert prediction.clicks == ()
        assert shared_predictor.add_click(2, 3).clicks == (Click(2, 3),)
        assert shared_predictor.undo() is prediction


def test_numbers_are_a_mask_too(predictor, disc):
    expected = predictor.set_mask(disc()).mask
    np.testing.assert_array_equal(predictor.set_mask(disc().astype(np.uint8) * 7).mask, expected)


def test_a_mask_drops_earlier_clicks_until_undone(predictor, disc):
    before = predictor.add_click(65, 45)
    assert predictor.set_mask(disc()).clicks == ()
    assert predictor.undo() is before


def test_a_mask_of_another_size_is_refused(predictor):
    with pytest.raises(ValueError, match=r"mask has shape \(130, 90\); the image is \(90, 130\)"):
        predictor.set_mask(np.zeros((130, 90), dtype=bool))


def test_a_box_is_a_prompt_like_others(predictor):
    boxed = predictor.add_box(30, 20, 100, 70)
    assert boxed.clicks == ()
    assert boxed.mask.shape == (90, 130)
    clicked = predictor.add_click(65, 45)
    assert clicked.clicks == (Click(65, 45),)
    assert predictor.undo() is boxed
    assert predictor.undo() is None


def test_a_box_is_cut_to_the_image(predictor):
    whole = predictor.add_box(0, 0, 129, 89).logits
    predictor.reset()
    np.testing.assert_array_equal(predictor.add_box(-50, -1, 1000, 89.5).logits, whole)


@pytest.mark.parametrize("box", [(5, 5, 4, 9), (130, 0, 140, 9), (-9, 0, -1, 9), (0, 0, float("nan"), 9)])
def test_an_empty_box_is_refused(predictor, box):
    with pytest.raises(ValueError, match=rf"box \({box[0]}, .* holds no pixel of the 130x90 image"):
        predictor.add_box(*box)
    assert predictor.prediction is None


def test_threads_are_set_or_refused(random_weights, torch_threads):
    for threads in (0, -3):
        with pytest.raises(ValueError, match=f"threads is {threads}; it must be at least 1"):
            Predictor(weights=random_weights, threads=threads)
    assert torch.get_num_threads() == torch_threads
    Predictor(weights=random_weights, size=128, threads=1)
    assert torch.get_num_threads() == 1


def test_what_cannot_be_built_is_refused(random_weights, tmp_path):
    with pytest.raises(ValueError, match="unknown preset 'inter2former-q'"):
        Predictor("inter2former-q", weights=random_weights)
    with pytest.raises(ValueError, match=r"size is 8, wanted an integer in \[16, 4096\]"):
        Predictor(weights=random_weights, size=8)
    with pytest.raises(WeightsError, match=r"no weights at .*absent\.safetensors"):
        Predictor(weights=tmp_path / "absent.safetensors")
    with pytest.raises(WeightsError, match="no weights for 'inter2former-b' come with this package"):
        Predictor("inter2former-b")


def test_the_network_gets_the_channel_order_and_padding_of_its_preset(monkeypatch, tmp_path):
    config = ModelConfig(
        encoder=WindowedViTConfig(depth=1, width=32, heads=2, scales=(32,), taps=(0,)),
        edges=EdgeConfig(depths=(0, 0, 0, 0)),
        channel_order="bgr",
        padding="zero",
    )
    monkeypatch.setitem(PRESETS, "tiny", config)
    save_weights(Inter2Former(config), tmp_path / "w.safetensors", metadata={})
    predictor = Predictor("tiny", weights=tmp_path / "w.safetensors", size=64)
    seen, encode = [], predictor.engine.features
    monkeypatch.setattr(predictor.engine, "features", lambda image: seen.append(image) or encode(image))
    image = np.zeros((40, 64, 3), dtype=np.uint8)
    image[..., 2] = 255
    predictor.set_image(image)
    expected = normalised_input(image, stride=16, channel_order="bgr", padding="zero")
    assert torch.equal(seen[0], expected)
    assert seen[0][0, 0, 0, 0] > 0 > seen[0][0, 2, 0, 0]
    assert predictor.add_click(5, 5).mask.shape == (40, 64)


@pytest.fixture
def busy_switching():
    """Threads take turns as often as the interpreter can, so that races show."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_readers_see_whole_states_while_another_thread_clicks(predictor, busy_switching):
    predictor.add_click(65, 45)
    done, wrong = threading.Event(), []

    def read():
        while not done.is_set():
            prediction = predictor.prediction
            if prediction is None:
                wrong.append("no prediction")
            elif prediction.mask.shape != (90, 130) or prediction.clicks[0] != Click(65, 45):
                wrong.append(f"{prediction.mask.shape} after {prediction.clicks}")

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for turn in range(8):
        predictor.add_click(10 * turn, 5 * turn, turn % 2 == 0)
        predictor.undo()
        predictor.redo()
    done.set()
    for reader in readers:
        reader.join()
    assert not wrong


def test_clicks_from_many_threads_come_one_after_the_other(predictor, busy_switching):
    with ThreadPoolExecutor(4) as pool:
        predictions = list(pool.map(lambda i: predictor.add_click(10 * i, 8 * i, i % 3 > 0), range(10)))
    last = predictor.prediction
    assert sorted(click.x for click in last.clicks) == [10 * i for i in range(10)]
    by_length = sorted(predictions, key=lambda prediction: len(prediction.clicks))
    assert [prediction.clicks for prediction in by_length] == [last.clicks[:n] for n in range(1, 11)]
    order = [(click.x, click.y, click.positive) for click in last.clicks]
    predictor.reset()
    np.testing.assert_array_equal(click_through(predictor, order)[-1], last.mask)


def test_shipped_weights_find_a_disc(shipped, disc):
    image = np.full((400, 640, 3), 90, dtype=np.uint8)
    image[disc(400, 640)] = (220, 120, 40)
    predictor = Predictor(weights=shipped, size=512)
    predictor.set_image(image)
    mask = predictor.add_click(320, 200).mask
    assert (mask & disc(400, 640)).sum() / (mask | disc(400, 640)).sum() > 0.9


LINE = [(40, 30), (80, 30), (80, 60)]


def test_a_scribble_is_evidence_like_a_row_of_clicks(predictor):
    for positive in (True, False):
        mask = predictor.add_scribble(LINE, positive).mask
        assert (mask[30, 40:81] == positive).all()
        assert (mask[30:61, 80] == positive).all()
        assert predictor.prediction.prompts[-1] == Scribble(LINE, predictor.prediction.prompts[-1].radius, positive)
    # As thick as a click's disc: 5 px of the 128 px that the 130 are reduced to.
    assert predictor.prediction.prompts[-1].radius == pytest.approx(5 * 130 / 128)
    assert predictor.add_scribble(np.array(LINE) + 0.7, radius=2).prompts[-1] == Scribble(LINE, 2)
    assert predictor.prediction.clicks == ()


def test_painting_is_exact_and_changes_nothing_else(predictor):
    before = predictor.add_click(65, 45)
    painted = predictor.paint([(5, 5), (25, 5)], 1.5)
    changed = np.argwhere(painted.mask != before.mask)
    assert len(changed)
    assert (changed[:, 0] <= 6).all()
    assert painted.mask[4:7, 5:26].all()
    erased = predictor.paint([(5, 5), (25, 5)], 1.5, erase=True)
    assert not erased.mask[4:7, 5:26].any()
    for click in CLICKS:
        assert not predictor.add_click(*click).mask[4:7, 5:26].any()
    strokes = [Stroke([(5, 5), (25, 5)], 1.5, erase=erase) for erase in (False, True)]
    assert predictor.undo().prompts[:3] == (Click(65, 45), *strokes)


def test_a_lasso_is_a_prompt(predictor):
    lasso = [(30, 20), (100, 20), (100, 70), (30, 70)]
    assert predictor.add_lasso(lasso).prompts == (Lasso(lasso),)
    predictor.set_mask(np.ones((90, 130), dtype=bool))
    assert not predictor.add_lasso(lasso, positive=False).mask[30:60, 45:85].any()


def test_a_whole_list_of_prompts_goes_on_from_what_is_known(predictor, monkeypatch):
    expected = click_through(predictor)
    prompts = predictor.prediction.prompts
    predictor.reset()
    answers, answer = [], predictor.engine.answer
    monkeypatch.setattr(predictor.engine, "answer", lambda *inputs: answers.append(1) or answer(*inputs))
    np.testing.assert_array_equal(predictor.resume(prompts[:2]).mask, expected[1])
    np.testing.assert_array_equal(predictor.resume(prompts).mask, expected[2])
    assert len(answers) == 3
    np.testing.assert_array_equal(predictor.resume(prompts[:1]).mask, expected[0])
    assert len(answers) == 3
    assert predictor.resume([]) is None
    assert predictor.session.prompts == ()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: p.add_scribble([]), "the scribble has no points"),
        (lambda p: p.add_scribble([(1, float("nan"))]), r"the scribble has the point \(1, nan\)"),
        (lambda p: p.add_scribble([(-9, -9)], radius=2), "touches no pixel of the 130x90 image"),
        (lambda p: p.add_scribble([(5, 5)], radius=0), "the scribble's radius is 0; wanted pixels, at least 0.5"),
        (lambda p: p.add_lasso([(5, 5), (9, 9)]), "lasso has 2 different corners"),
        (lambda p: p.paint([(5, 5, 5)], 2), r"the stroke has the point \(5, 5, 5\)"),
        (lambda p: p.paint([(500, 5)], 2), "paints no pixel of the 130x90 image"),
        (lambda p: p.resume([Click(5, 5), Click(130, 5)]), r"click \(130, 5\) lies outside the 130x90 image"),
    ],
)
def test_other_prompts_are_refused_with_a_sentence(predictor, call, message):
    before = predictor.add_click(65, 45)
    with pytest.raises(ValueError, match=message):
        call(predictor)
    assert predictor.prediction is before


def test_kept_and_prefetched_encodings_give_the_same_masks(random_weights, photo, tmp_path, monkeypatch):
    expected = Predictor(weights=random_weights, size=128)
    expected.set_image(photo())
    masks = click_through(expected)
    keeping = Predictor(weights=random_weights, size=128, cache=tmp_path / "kept", memory=1 << 20)
    keeping.prefetch(photo())
    keeping.set_image(photo())
    np.testing.assert_array_equal(click_through(keeping), masks)
    again = Predictor(weights=random_weights, size=128, cache=tmp_path / "kept")
    monkeypatch.setattr(again.engine, "features", lambda image: pytest.fail("it was kept on disk"))
    again.set_image(photo())
    np.testing.assert_array_equal(click_through(again), masks)


def test_refining_draws_the_edge_at_the_images_resolution(random_weights, photo):
    predictor = Predictor(weights=random_weights, size=64)
    with pytest.raises(ImageNotSetError, match="call set_image"):
        predictor.refine()
    image = photo(300, 400)
    predictor.set_image(image)
    assert predictor.refine() is None
    mask = np.zeros((300, 400), dtype=bool)
    mask[130:170, 180:230] = True
    predictor.set_mask(mask)
    given = predictor.paint([(200, 150)], 6)
    fine = predictor.refine()
    assert predictor.prediction is given
    assert (fine.mask != given.mask).any()
    box = region_worth_encoding(given)
    region = Region(box[0], box[1], predictor.engine.encode(image[box[1] : box[3], box[0] : box[2]]))
    np.testing.assert_array_equal(fine.mask, refined(predictor.engine, region, given).mask)
    np.testing.assert_array_equal(predictor.refine(box).mask, fine.mask)
    outside = np.ones_like(mask)
    outside[box[1] : box[3], box[0] : box[2]] = False
    np.testing.assert_array_equal(fine.mask[outside], given.mask[outside])
    for region in ((0, 0, 0, 5), (0, 0, 401, 5), (-1, 0, 5, 5)):
        with pytest.raises(ValueError, match="is empty or leaves the 400x300 image"):
            predictor.refine(region)


def test_refining_what_is_shown_finely_enough_changes_nothing(predictor):
    assert predictor.refine() is None
    answer = predictor.add_click(65, 45)
    assert predictor.refine() is answer
