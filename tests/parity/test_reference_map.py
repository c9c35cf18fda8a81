"""Reference-map updates equal the stored ones in every pixel."""

from __future__ import annotations

import numpy as np

from inter2former.clicks.reference_map import State, apply_prediction, stamp_clicks
from inter2former.prompt import Click


def test_clicks_are_stamped_as_stored(load_fixture, cases):
    tensors, description = load_fixture("ref_label_updates")
    names = [case for case in cases(tensors) if "clicks" in description["cases"].get(case, {})]
    assert names
    for case in names:
        settings = description["cases"][case]
        stamped = stamp_clicks(
            tensors[f"{case}.before"],
            [Click(x, y, bool(positive)) for y, x, positive in settings["clicks"]],
            inner_radius=settings["inner_radius"],
            outer_radius=settings["outer_radius"],
        )
        np.testing.assert_array_equal(stamped, tensors[f"{case}.after"], err_msg=case)


def test_predictions_are_applied_as_stored(load_fixture, cases):
    tensors, _ = load_fixture("ref_label_updates")
    names = [case for case in cases(tensors) if f"{case}.pred" in tensors]
    assert names
    for case in names:
        moved = apply_prediction(tensors[f"{case}.before"], tensors[f"{case}.pred"])
        np.testing.assert_array_equal(moved, tensors[f"{case}.after"], err_msg=case)


def test_every_state_moves_as_in_the_stored_table(load_fixture):
    table = load_fixture("ref_label_updates")[0]["pred_table"]
    states = np.array([[*State]], dtype=np.uint8)
    for foreground in (False, True):
        moved = apply_prediction(states, np.full(states.shape, foreground))
        np.testing.assert_array_equal(moved[0], table[int(foreground)])
