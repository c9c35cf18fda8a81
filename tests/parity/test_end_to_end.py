"""Whole click sessions: image, clicks, reference maps, boxes, logits and masks equal the stored ones.

Each click starts from the stored reference map, so a rounding does not travel from one click to the next.
"""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from inter2former.clicks.reference_map import apply_prediction, blank_map, stamp_next_click
from inter2former.clicks.simulate import ClickRule, click_candidates
from inter2former.config import STRIDE, ClickConfig, DecoderConfig, EdgeConfig, ModelConfig, WindowedViTConfig
from inter2former.model.boundary import select_boundary_tokens
from inter2former.model.boxes import Box
from inter2former.model.inter2former import EncodedImage, Inter2Former
from inter2former.model.upsampling import LocalLogits
from inter2former.prompt import Click

# The released test protocol pads to multiples of this, and then to a square.
PADDED_TO = 256

# The file states none for edge maps: this is the one of the edge encoder's own file.
EDGE_TOLERANCE = {"atol": 2e-5, "rtol": 1e-4}


@dataclasses.dataclass
class Session:
    """One image, its stored values without the session's name, and what the network makes of the image."""

    name: str
    own: dict[str, np.ndarray]
    target_size: int
    square: int
    encoded: EncodedImage

    @property
    def clicks(self):
        """Clicks in original pixels; None where the simulated user found no error."""
        return [Click(int(x), int(y), bool(positive)) if y >= 0 else None for y, x, positive in self.own["clicks"]]

    def reference_map(self, index):
        return torch.from_numpy(self.own[f"ref_in.{index}"].copy())[None, None]

    def mask(self, local):
        """The mask at the original size: logits resized, then thresholded."""
        plane = local.pasted(self.target_size, self.target_size)[None, None]
        plane = F.interpolate(plane, size=(self.square, self.square), mode="bilinear", align_corners=False)
        height, width = self.own["gt"].shape
        return (plane[0, 0, :height, :width] > 0).numpy()


@pytest.fixture(scope="module")
def bounds(load_fixture):
    """The tolerances that the file states in words."""
    text = load_fixture("e2e")[1]["tolerance_float32"]
    return {
        "logits": float(re.search(r"logits atol ([0-9.e-]+)", text)[1]),
        "embedding": float(re.search(r"image_embed atol ([0-9.e-]+)", text)[1]),
        "mask": float(re.search(r"([0-9.]+)% of pixels", text)[1]) / 100,
    }


@pytest.fixture(scope="module")
def config(load_fixture):
    """The stored network's configuration."""
    stored = load_fixture("e2e")[1]["config"]
    backbone = stored["backbone"]
    encoder = WindowedViTConfig(
        depth=backbone["depth"],
        width=backbone["embed_dim"],
        heads=backbone["num_heads"],
        window=backbone["window_size"],
        patch=backbone["patch_size"],
        position_grid=backbone["img_size"] // backbone["patch_size"],
        scales=tuple(backbone["downsample_sizes"]),
        taps=tuple(backbone["out_indices"]),
        embedding=backbone["final_embed_dim"],
    )
    return ModelConfig(
        encoder=encoder,
        edges=EdgeConfig(),
        decoder=DecoderConfig(box_threshold=stored["head_threshold"]),
        clicks=ClickConfig(inner_radius=stored["inner_radius"], outer_radius=stored["outer_radius"]),
    )


@pytest.fixture(scope="module")
def network(load_fixture, weights, renamed, config):
    """`network(rule)`: the stored network with that boundary rule."""
    state = renamed(weights(load_fixture("e2e")[0]), "", "")

    def build(rule):
        decoder = dataclasses.replace(config.decoder, boundary=rule)
        built = Inter2Former(dataclasses.replace(config, decoder=decoder)).eval().requires_grad_(False)
        built.load_state_dict(state)
        return built

    return build


@pytest.fixture(scope="module")
def released(network):
    return network("release")


@pytest.fixture(scope="module")
def sessions(load_fixture, released, tensor):
    tensors, description = load_fixture("e2e")
    found = []
    for name, case in description["cases"].items():
        own = {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
        target_size = description["config"]["target_size"][name]
        encoded = released.encode(_network_input(tensor(own["image_u8"]), description["config"], target_size))
        found.append(Session(name, own, target_size, case["square"], encoded))
    assert found
    return found


def _network_input(image, config, target_size):
    """As in the released test protocol: normalised, padded with zeros to a square, resized."""
    mean, std = (torch.tensor(config[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    side = max(length + -length % PADDED_TO for length in image.shape[2:])
    square = F.pad((image - mean) / std, (0, side - image.shape[3], 0, side - image.shape[2]))
    return F.interpolate(square, size=(target_size, target_size), mode="bilinear", align_corners=False)


def _close(measured, stored, name, **tolerance):
    stored = torch.from_numpy(np.array(stored))
    torch.testing.assert_close(measured, stored, msg=lambda text: f"{name}: {text}", **tolerance)


def test_what_is_computed_once_per_image(sessions, bounds):
    for session in sessions:
        embedding = session.encoded.embedding[:, :, ::2, ::2]
        _close(embedding, session.own["image_embed_sub"], f"{session.name} embedding", atol=bounds["embedding"], rtol=0)
        for level, edges in enumerate(session.encoded.edges):
            stored = session.own[f"edge_maps_sub.{level}"]
            _close(edges[:, :, ::8, ::8], stored, f"{session.name} edge map {level}", **EDGE_TOLERANCE)


def test_every_click(sessions, released, bounds):
    for session in sessions:
        for index in range(len(session.clicks)):
            name, reference_map = f"{session.name} click {index}", session.reference_map(index)
            boundary = select_boundary_tokens(reference_map, rule="release", stride=STRIDE)
            assert int(boundary.sum()) == int(session.own[f"idxs_count.{index}"]), name

            coarse = released.upsampling.coarse_logits(released.prompted_tokens(session.encoded, reference_map))
            _close(coarse[0, 0], session.own[f"pre_mask.{index}"], f"{name} coarse", atol=bounds["logits"], rtol=0)

            (local,) = released.decode(session.encoded, reference_map)
            np.testing.assert_array_equal(local.box, STRIDE * session.own[f"box.{index}"], err_msg=name)
            if f"logits.{index}" in session.own:
                _close(local.logits, session.own[f"logits.{index}"], name, atol=bounds["logits"], rtol=0)
            different = session.mask(local) != (session.own[f"mask.{index}"] == 1)
            assert different.mean() <= bounds["mask"], name


def test_exact_boundary_rule(sessions, network, bounds):
    exact = network("exact")
    compared = 0
    for session in sessions:
        for index in range(len(session.clicks)):
            if f"logits_exact.{index}" not in session.own:
                continue
            compared += 1
            (local,) = exact.decode(session.encoded, session.reference_map(index))
            name = f"{session.name} click {index}, exact"
            np.testing.assert_array_equal(local.box, STRIDE * session.own[f"box_exact.{index}"], err_msg=name)
            _close(local.logits, session.own[f"logits_exact.{index}"], name, atol=bounds["logits"], rtol=0)
    assert compared


def test_reference_maps(sessions, released, config, bounds):
    for session in sessions:
        reference_map = blank_map(session.target_size, session.target_size, config.clicks)
        for index, click in enumerate(session.clicks):
            stamped = _stamped(session, reference_map, click, config.clicks, first=index == 0)
            _same_states(stamped, session, f"ref_in.{index}", index - 1, bounds["mask"])
            reference_map = apply_prediction(session.own[f"ref_in.{index}"], _prediction(session, index, released))
        _same_states(reference_map, session, "ref_last", len(session.clicks) - 1, bounds["mask"])


def _prediction(session, index, network):
    """The mask at the network's size: from the stored logits, or where these are left out from our own."""
    if f"logits.{index}" in session.own:
        box = Box(*session.own[f"box.{index}"].tolist()).scaled(STRIDE)
        local = LocalLogits(torch.from_numpy(session.own[f"logits.{index}"].copy()), box)
    else:
        (local,) = network.decode(session.encoded, session.reference_map(index))
    return (local.pasted(session.target_size, session.target_size) > 0).numpy()


def _stamped(session, reference_map, click, clicks, *, first):
    if click is None:
        return reference_map
    scale = session.target_size / session.square
    at = Click(int(scale * click.x), int(scale * click.y), click.positive)
    return stamp_next_click(reference_map, at, clicks, first=first)


def _same_states(states, session, key, predicted_from, share):
    """Exactly the stored map; where the prediction before it is our own, up to the share allowed for masks."""
    stored, name = session.own[key], f"{session.name} {key}"
    if predicted_from < 0 or f"logits.{predicted_from}" in session.own:
        np.testing.assert_array_equal(states, stored, err_msg=name)
    else:
        assert (states != stored).mean() <= share, name


def test_next_clicks(sessions, load_fixture):
    rule = ClickRule("before", "random", load_fixture("e2e")[1]["config"]["sfc_inner_k"])
    for session in sessions:
        target = session.own["gt"]
        prediction = np.zeros_like(target)
        for index, click in enumerate(session.clicks):
            previous = [earlier for earlier in session.clicks[:index] if earlier is not None]
            candidates, positive = click_candidates(prediction, target, previous=previous, rule=rule)
            name = f"{session.name} click {index}"
            if click is None:
                assert not candidates.any(), name
            else:
                assert positive == click.positive, name
                assert candidates[click.y, click.x], name
            prediction = session.own[f"mask.{index}"]
