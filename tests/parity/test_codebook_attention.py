"""Attention over codes, its codes and its gradients equal the stored ones."""

from __future__ import annotations

import numpy as np
import torch

from inter2former import kernels
from inter2former.model.codebook import BinarySphericalCodebook

# A gradient is a sum whose terms partly cancel, so its rounding is relative to the terms and not to the sum: the stored
# float32 gradients are up to 7e-7 of a tensor's largest value off the float64 ones. Eight units in the last place.
GRADIENT_ROUNDING = 8 * torch.finfo(torch.float32).eps

RELEASED, OURS = "neck.blocks.0.bsq_attn.", "blocks.0.attention.codebook."


def test_inference(load_fixture, cases, weights, renamed, tensor, within):
    tensors, description = load_fixture("bsq_attention_eval")
    check = within(description)
    assert cases(tensors)
    for case in cases(tensors):
        settings = description["cases"][case]
        codebook = _codebook(settings, renamed(weights(tensors, case), RELEASED, OURS))
        heads, lengths = settings["num_heads"], settings["lengths"]
        with torch.no_grad():
            codes = codebook.codes(tensor(tensors[f"{case}.k"]))
            np.testing.assert_array_equal(codes.numpy(), tensors[f"{case}.code_index"], err_msg=case)
            code_keys = codebook.all_keys().unflatten(-1, (heads, -1))
            queries = _samples(tensor(tensors[f"{case}.q"]), settings["inv_lengths"], heads)
            values = _samples(tensor(tensors[f"{case}.v"]), lengths, heads)
            out = [
                kernels.code_attention(query, code, value, code_keys)
                for query, code, value in zip(queries, codes.split(lengths), values, strict=True)
            ]
        check(torch.cat(out).flatten(1), tensors[f"{case}.out"], case)


def test_training_and_its_gradients(load_fixture, cases, weights, renamed, tensor, within):
    tensors, description = load_fixture("bsq_attention_train")
    check = within(description)
    assert cases(tensors)
    for case in cases(tensors):
        settings = description["cases"][case]
        codebook = _codebook(settings, renamed(weights(tensors, case), RELEASED, OURS))
        query, key, value = (tensor(tensors[f"{case}.{name}"]).requires_grad_() for name in "qkv")
        quantised = codebook.straight_through(key)
        split = settings["lengths"], settings["num_heads"]
        samples = zip(_samples(query, *split), _samples(quantised.keys, *split), _samples(value, *split), strict=True)
        out = torch.cat([kernels.full_attention(*sample) for sample in samples]).flatten(1)
        check(out, tensors[f"{case}.out"], f"{case} out")
        check(quantised.commitment_loss, tensors[f"{case}.loss"], f"{case} loss")

        objective = (out * tensor(tensors[f"{case}.g"])).sum() + settings["loss_weight"] * quantised.commitment_loss
        objective.backward()
        gradients = {
            "q": query.grad,
            "k": key.grad,
            "v": value.grad,
            "codebook": codebook.vectors.grad,
            "code_proj_weight": codebook.project.weight.grad,
            "code_proj_bias": codebook.project.bias.grad,
        }
        for name, gradient in gradients.items():
            stored = tensors[f"{case}.grad.{name}"]
            rounding = GRADIENT_ROUNDING * float(np.abs(stored).max())
            check(gradient, stored, f"{case} gradient of {name}", rounding=rounding)


def _codebook(settings, state):
    codebook = BinarySphericalCodebook(settings["embed_dim"], settings["code_size"])
    codebook.load_state_dict(state)
    return codebook


def _samples(rows, lengths, heads):
    """Rows (sum of lengths, heads * d) as one (length, heads, d) per sample."""
    return rows.unflatten(-1, (heads, -1)).split(lengths)
