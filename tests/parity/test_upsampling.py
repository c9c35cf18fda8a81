"""Local upsampling, its coarse logits and its boxes equal the stored ones."""

from __future__ import annotations

import numpy as np
import torch

from inter2former.config import DecoderConfig
from inter2former.model.boxes import tight_box, whole_grid
from inter2former.model.upsampling import STRIDE, LocalUpsampling


def test_logits_and_boxes(load_fixture, cases, weights, renamed, tensor, within):
    tensors, description = load_fixture("dlu")
    check, config = within(description), description["config"]
    head = LocalUpsampling(DecoderConfig(width=config["embed_dim"], box_threshold=config["threshold"]))
    state = renamed(weights(tensors), "decode_head.", "upsampling.")
    assert cases(tensors)
    for case in cases(tensors):
        head.load_state_dict(state)
        settings = description["cases"][case]
        if "mlp_last_bias_override" in settings:
            head.coarse[-1].bias.data.fill_(settings["mlp_last_bias_override"])
        x, height, width = tensor(tensors[f"{case}.x"]), settings["H"], settings["W"]
        edges = tuple(tensor(tensors[f"{case}.edge{level}"]) for level in range(config["num_upsamplers"]))
        with torch.no_grad():
            check(head.coarse_logits(x), tensors[f"{case}.pre_mask"], f"{case} coarse logits")
            if f"{case}.gt_mask" in tensors:
                given = tensor(tensors[f"{case}.gt_mask"])[:, 0] > config["threshold"]
                local = [_inside(head, x, edges, index, tight_box(mask)) for index, mask in enumerate(given)]
            else:
                local = head(x, edges)
        boxes = np.array([sample.box for sample in local])
        np.testing.assert_array_equal(boxes, STRIDE * tensors[f"{case}.box"], err_msg=case)
        planes = torch.stack([sample.pasted(STRIDE * height, STRIDE * width) for sample in local])[:, None]
        check(planes, tensors[f"{case}.out"], case)


def _inside(head, x, edges, index, box):
    """One sample of a batch in a given box, in the whole grid without one."""
    sample = slice(index, index + 1)
    return head.upsample_box(x[sample], tuple(edge[sample] for edge in edges), box or whole_grid(*x.shape[2:]))
