"""Every tensor of the released checkpoint has its place here, and every place here is filled."""

from __future__ import annotations

import torch

from inter2former.config import preset
from inter2former.model.inter2former import Inter2Former
from inter2former.released_keys import rename

WITHOUT_COUNTERPART = ("step", "backbone.rope.freqs", "edge_detector.canny.")


def test_released_state_dict_is_ours(load_description):
    released = load_description("official_state_dict")["keys"]
    renamed = {rename(key): tuple(entry["shape"]) for key, entry in released.items()}
    assert all(key.startswith(WITHOUT_COUNTERPART) for key in released if rename(key) is None)
    renamed.pop(None)
    with torch.device("meta"):  # shapes without the 94 million numbers
        ours = Inter2Former(preset("inter2former-b")).state_dict()
    assert renamed == {key: tuple(value.shape) for key, value in ours.items()}


def test_no_two_released_tensors_share_a_name(load_description):
    names = [rename(key) for key in load_description("official_state_dict")["keys"]]
    found = [name for name in names if name is not None]
    assert len(found) == len(set(found))
