"""The stages, one after the other, are what the network does at a click."""

from __future__ import annotations

import pytest
import torch

from inter2former.benchmark.scene import Scene, ellipse, photo_like
from inter2former.benchmark.session import random_engine
from inter2former.benchmark.stages import boundary_share, click_stages, encode_stages

SIDE = 96


@pytest.fixture(scope="module")
def engine():
    return random_engine("inter2former-t", size=SIDE)


def test_picture_and_object_are_the_same_everywhere():
    assert photo_like(32).shape == (32, 32, 3)
    assert (photo_like(32) == photo_like(32)).all()
    mask = ellipse(64, 0.5)
    rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
    assert abs(rows[-1] - rows[0] + 1 - 32) <= 2
    assert abs(columns[-1] - columns[0] + 1 - 32) <= 2


def test_a_scene_knows_its_object(engine):
    config = engine.network.config
    scene = Scene.of(config, side=SIDE, share=0.5)
    states = scene.prompt(config)
    assert (states[ellipse(SIDE, 0.4)] >= 3).all()
    assert states[scene.click.y, scene.click.x] == 4
    box = scene.box(config)
    assert box == (0, 0, 6, 6)  # tokens 1 to 4 hold the disc, one token around them
    assert 0 < boundary_share(engine.network, scene) <= 1


def test_stages_of_a_click_end_where_decoding_does(engine):
    network = engine.network
    with torch.inference_mode():
        encoded = engine.encode(photo_like(SIDE)).encoded
        scene = Scene.of(network.config, side=SIDE, share=0.5)
        stages = click_stages(network, encoded, scene)
        assert list(stages) == [
            "window", "boundary tokens", "prompt embedding", "attention", "feed-forward", "box", "upsampling",
        ]  # fmt: skip
        results = {name: stage.run() for name, stage in stages.items()}
        tokens = network.prompted_tokens(encoded, scene.reference_map(network.config))
        torch.testing.assert_close(
            results["feed-forward"][-1].transpose(1, 2).view_as(tokens), tokens, rtol=1e-4, atol=1e-5
        )
        assert results["box"] == network.upsampling.boxes(tokens)
        expected = network.upsampling.upsample_box(tokens, encoded.edges, scene.box(network.config))
        torch.testing.assert_close(results["upsampling"].logits, expected.logits, rtol=1e-4, atol=1e-4)


def test_stages_of_encoding(engine):
    with torch.inference_mode():
        stages = encode_stages(engine.network, torch.zeros(1, 3, SIDE, SIDE))
        assert stages["image encoder"].run().embedding.shape == (1, 256, SIDE // 16, SIDE // 16)
        terms = stages["edge terms"].run()
        for made, expected in zip(terms, engine.network.encode(torch.zeros(1, 3, SIDE, SIDE)).edges, strict=True):
            torch.testing.assert_close(made, expected, rtol=0, atol=0)
