"""Every tensor of the released decoder and edge encoder has its place here, and every place here is filled."""

from __future__ import annotations

from inter2former.config import ModelConfig
from inter2former.model.inter2former import Inter2Former
from inter2former.released_keys import rename

IMAGE_ENCODER = "backbone."


def test_released_state_dict_is_ours_without_the_image_encoder(load_description):
    released = load_description("official_state_dict")["keys"]
    renamed = {
        rename(key): tuple(entry["shape"]) for key, entry in released.items() if not key.startswith(IMAGE_ENCODER)
    }
    without_counterpart = [key for key in released if not key.startswith(IMAGE_ENCODER) and rename(key) is None]
    assert all(key == "step" or key.startswith("edge_detector.canny.") for key in without_counterpart)
    renamed.pop(None)
    ours = Inter2Former(ModelConfig()).state_dict()
    assert renamed == {key: tuple(value.shape) for key, value in ours.items() if not key.startswith("encoder.")}


def test_no_two_released_tensors_share_a_name(load_description):
    released = load_description("official_state_dict")["keys"]
    names = [rename(key) for key in released if not key.startswith(IMAGE_ENCODER)]
    found = [name for name in names if name is not None]
    assert len(found) == len(set(found))
