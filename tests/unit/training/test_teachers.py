"""A network of `transformers` teaches as its own forward call answers."""

from __future__ import annotations

import pytest
import torch

from inter2former.training.teachers import TransformersTeacher

SIDE = 64


@pytest.fixture(scope="module")
def library():
    return pytest.importorskip(
        "transformers", reason="transformers is not installed; pip install -e '.[peers]' brings it"
    )


def save_model(library, folder, kind):
    vision = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": SIDE, "mlp_dim": 64,
        "window_size": 2, "global_attn_indexes": [1], "output_channels": 256, "patch_size": 16,
    }  # fmt: skip
    prompts = {"image_size": SIDE, "image_embedding_size": SIDE // 16, "patch_size": 16}
    config = getattr(library, f"{kind}Config")(
        vision_config=vision, prompt_encoder_config=prompts, initializer_range=0.2
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        getattr(library, f"{kind}Model")(config).save_pretrained(folder)
    return folder


def test_answers(library, tmp_path):
    teacher = TransformersTeacher(save_model(library, tmp_path / "sam", "Sam"))
    image = torch.randn(2, 3, SIDE, SIDE)
    points, labels = torch.tensor([[[10.5, 20.5]], [[40.5, 8.5]]]), torch.ones(2, 1, dtype=torch.int64)
    with torch.no_grad():
        embedding = teacher.encode(image)
        logits, scores = teacher.decode(embedding, points, labels)
        expected = teacher.model(pixel_values=image, input_points=points[:, None], input_labels=labels[:, None])
    assert embedding.shape == (2, 256, SIDE // 16, SIDE // 16)
    assert logits.shape == (2, 3, SIDE // 4, SIDE // 4)
    assert scores.shape == (2, 3)
    torch.testing.assert_close(logits, expected.pred_masks[:, 0])
    with pytest.raises(ValueError, match="takes crops of 64x64 pixels, not 32x64"):
        teacher.encode(image[:, :, :, :32])


def test_another_kind_is_refused(library, tmp_path):
    folder = save_model(library, tmp_path / "hq", "SamHQ")
    with pytest.raises(ValueError, match="of the kind 'sam_hq'; a teacher must be of the kind 'sam'"):
        TransformersTeacher(folder)
