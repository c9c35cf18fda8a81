"""Models of `transformers` behind the harness: tiny ones with random weights, saved to a folder and read back."""

from __future__ import annotations

import importlib
import json
import types

import numpy as np
import pytest
import torch

from inter2former.errors import MissingPackageError, WeightsError
from inter2former.evaluation.segmenters import transformers_sam
from inter2former.evaluation.segmenters.transformers_sam import RANDOM, TransformersSegmenter
from inter2former.prompt import Click

PROMPTS = {"hidden_size": 16, "image_size": 64, "mask_input_channels": 4}
DECODER = {"hidden_size": 16, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16}
PLAIN_VISION = {
    "hidden_size": 16,
    "output_channels": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 64,
    "window_size": 2,
    "global_attn_indexes": [1],
    "num_pos_feats": 8,
    "mlp_dim": 32,
    "initializer_range": 0.2,
}
HIERA_VISION = {
    "backbone_config": {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "num_attention_heads": 1,
        "image_size": [64, 64],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 1, 1],
        "window_size_per_stage": [4, 4, 4, 2],
        "global_attention_blocks": [3],
        "window_positional_embedding_background_size": [2, 2],
        "initializer_range": 0.2,
    },
    "backbone_channel_list": [64, 32, 16, 8],
    "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
    "fpn_hidden_size": 16,
}
PARTS = {
    "Sam": (PLAIN_VISION, DECODER),
    "SamHQ": (PLAIN_VISION, {**DECODER, "vit_dim": 16}),
    "Sam2": (HIERA_VISION, DECODER),
}


@pytest.fixture(scope="module")
def library():
    return pytest.importorskip(
        "transformers", reason="transformers is not installed; pip install -e '.[peers]' brings it"
    )


@pytest.fixture(scope="module")
def folders(library, tmp_path_factory):
    """A folder with a tiny model of each kind: `folders["Sam"]`."""
    made = {}
    for kind, (vision, decoder) in PARTS.items():
        config = getattr(library, f"{kind}Config")(
            vision_config=vision, prompt_encoder_config=PROMPTS, mask_decoder_config=decoder, initializer_range=0.2
        )
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = getattr(library, f"{kind}Model")(config)
        made[kind] = tmp_path_factory.mktemp(kind)
        model.save_pretrained(made[kind])
    return made


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", PARTS)
def test_a_session(folders, photo, kind, precision):
    segmenter = TransformersSegmenter(folders[kind], precision=precision)
    assert segmenter.size == 64
    segmenter.encode(photo(40, 90))
    clicks = [Click(50, 20), Click(2, 3, False)]
    first = [segmenter.step(click) for click in clicks]
    segmenter.reset()
    for answer, click in zip(first, clicks, strict=True):
        assert answer.mask.shape == (40, 90)
        assert answer.logits().dtype == np.float32
        np.testing.assert_array_equal(segmenter.step(click).logits(), answer.logits())
    assert np.abs(first[1].logits() - first[0].logits()).max() > 1e-6


@pytest.mark.parametrize("kind", PARTS)
def test_the_answer_is_the_models_own(folders, library, photo, kind):
    """The same image and click through the model's plain forward call, without the harness's session."""
    segmenter = TransformersSegmenter(folders[kind])
    image = photo(64, 64)
    segmenter.encode(image)
    answer = segmenter.step(Click(30, 40)).logits()
    model = getattr(library, f"{kind}Model").from_pretrained(folders[kind]).eval()
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    pixels = ((torch.from_numpy(image).float() - mean) / std).permute(2, 0, 1)[None]
    with torch.inference_mode():
        output = model(
            pixel_values=pixels,
            input_points=torch.tensor([[[[30.0, 40.0]]]]),
            input_labels=torch.tensor([[[1]]]),
            multimask_output=True,
        )
        best = output.pred_masks[0, 0, output.iou_scores[0, 0].argmax()][None, None]
        expected = torch.nn.functional.interpolate(best, (64, 64), mode="bilinear", align_corners=False)
    np.testing.assert_allclose(answer, expected[0, 0].numpy(), rtol=1e-4, atol=1e-6)


def test_an_incomplete_model_is_refused(folders, library, tmp_path):
    from safetensors.torch import load_file, save_file

    tensors = load_file(folders["Sam"] / "model.safetensors")
    del tensors["mask_decoder.iou_token.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_bytes((folders["Sam"] / "config.json").read_bytes())
    with pytest.raises(WeightsError, match=r"lacks mask_decoder\.iou_token\.weight \(1 tensors in all\)"):
        TransformersSegmenter(tmp_path)


def test_another_kind_of_model_is_refused(library, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(WeightsError, match="is a model of type 'vit'; expected one of sam, sam_hq, sam2"):
        TransformersSegmenter(tmp_path)


def test_a_folder_without_weights_is_refused(folders, tmp_path):
    (tmp_path / "config.json").write_bytes((folders["Sam"] / "config.json").read_bytes())
    with pytest.raises(WeightsError, match="cannot load the model of"):
        TransformersSegmenter(tmp_path)


def test_what_is_not_there_is_not_downloaded(library, tmp_path):
    with pytest.raises(WeightsError, match=r"no transformers model at '.*nothing.*'.*nothing is downloaded"):
        TransformersSegmenter(tmp_path / "nothing")


def test_random_networks_are_named(library):
    with pytest.raises(ValueError, match=f"no random network 'sam-vit-x'; known are {', '.join(RANDOM)}"):
        TransformersSegmenter("random:sam-vit-x")


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="precision is 'float16'; expected 'float32' or 'bfloat16'"):
        TransformersSegmenter("unused", precision="float16")


def test_a_missing_package_is_named(monkeypatch):
    def import_module(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", import_module)
    with pytest.raises(
        MissingPackageError, match=r"No module named 'transformers'.*pip install 'inter2former\[peers\]'"
    ):
        TransformersSegmenter("random:sam-vit-b")


def test_a_package_too_old_for_a_model_is_named(monkeypatch):
    old = types.SimpleNamespace(__version__="4.1")
    monkeypatch.setattr(transformers_sam.importlib, "import_module", lambda name: old)
    with pytest.raises(MissingPackageError, match=r"transformers 4\.1 has no Sam2Config; a newer one has"):
        TransformersSegmenter("random:sam2.1-hiera-tiny")
