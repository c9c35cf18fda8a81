"""Weights in and out: safetensors only, strict, and the key maps from the MobileSAM layout."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from inter2former.errors import WeightsError
from inter2former.files import replacing

__all__ = [
    "file_hash",
    "load_mobile_sam",
    "load_mobile_sam_encoder",
    "load_tensors",
    "load_weights",
    "save_tensors",
    "save_weights",
    "shipped_weights",
]


def shipped_weights(preset: str) -> Path:
    """The weights that come with the package for a preset.

    Raises:
        WeightsError: none come with it.
    """
    path = Path(__file__).resolve().parent / "weights" / f"{preset}.safetensors"
    if not path.exists():
        raise WeightsError(f"no weights for {preset!r} come with this package; name a file with weights=...")
    return path


def file_hash(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a weights file, in hexadecimal digits.

    Raises:
        WeightsError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise WeightsError(f"no weights at {path} ({error.strerror}); give the path of a file") from None
    return digest.hexdigest()


def load_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file.

    Returns:
        its tensors, float ones as float32, and its metadata.
    Raises:
        WeightsError: the file is missing or damaged.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}
            metadata = file.metadata() or {}
    except FileNotFoundError:
        raise WeightsError(f"no weights at {path}; give the path of a .safetensors file") from None
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"cannot read weights from {path}: {error}; the file must be an undamaged .safetensors"
        ) from error
    return {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}, metadata


def load_weights(module: nn.Module, path: str | Path) -> dict[str, str]:
    """Load a checkpoint into `module`, every tensor of it and nothing else.

    Returns:
        the file's metadata.
    Raises:
        WeightsError: the file is missing or damaged, or a tensor is missing, unexpected or misshapen.
    """
    tensors, metadata = load_tensors(path)
    _load_strict(module, tensors, str(path))
    return metadata


def save_weights(module: nn.Module, path: str | Path, *, metadata: dict[str, str]) -> None:
    """Write the weights as float16 safetensors; integers stay what they are."""
    save_tensors(module.state_dict(), path, metadata=metadata, dtype=torch.float16)


def save_tensors(
    tensors: Mapping[str, Tensor], path: str | Path, *, metadata: dict[str, str], dtype: torch.dtype
) -> None:
    """Write safetensors; the file appears complete or not at all.

    Args:
        tensors: by name, on any device and in any memory format.
        path: of the file; an existing one is replaced.
        metadata: what the file says about itself.
        dtype: of the floating-point tensors in the file; the others keep theirs.
    """
    # Copied, because the format does not allow two names for one memory.
    copied = {
        key: value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype, copy=True).contiguous()
        for key, value in tensors.items()
    }
    # Not save_file, which leaves the file readable by its owner only.
    with replacing(path) as stream:
        stream.write(save(copied, metadata=metadata))


def load_mobile_sam_encoder(module: nn.Module, path: str | Path) -> None:
    """Load the image encoder of a MobileSAM-layout file into a `TinyViT`, folding its batch norms.

    Raises:
        WeightsError: as `load_weights`.
    """
    _load_strict(module, _encoder_tensors(load_tensors(path)[0], str(path)), str(path))


def load_mobile_sam(module: nn.Module, path: str | Path) -> None:
    """Load a MobileSAM-layout file into a `MobileSam`: encoder, prompt encoder and mask decoder.

    Raises:
        WeightsError: as `load_weights`.
    """
    tensors, _ = load_tensors(path)
    renamed = {f"encoder.{key}": value for key, value in _encoder_tensors(tensors, str(path)).items()}
    # What is a table of its own there, one per label or per answer, is one table here.
    for table, rows in _DECODER_TABLES:
        if missing := [row for row in rows if row not in tensors]:
            raise WeightsError(f"{path} does not fit the network: missing {missing[0]}")
        renamed[table] = torch.cat([tensors.pop(row) for row in rows])
    for key, value in tensors.items():
        if not key.startswith("image_encoder."):
            renamed[_decoder_key(key)] = value.squeeze(0) if key == "prompt_encoder.no_mask_embed.weight" else value
    _load_strict(module, renamed, str(path))


def _load_strict(module: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    wanted = module.state_dict()
    missing = sorted(wanted.keys() - tensors.keys())
    unexpected = sorted(tensors.keys() - wanted.keys())
    if missing or unexpected:
        raise WeightsError(
            f"{source} does not fit the network: missing {missing[:5] or 'nothing'} ({len(missing)} in all), "
            f"unexpected {unexpected[:5] or 'nothing'} ({len(unexpected)} in all)"
        )
    for key, value in tensors.items():
        if value.shape != wanted[key].shape:
            raise WeightsError(
                f"{source} does not fit the network: {key} has shape {tuple(value.shape)}, "
                f"expected {tuple(wanted[key].shape)}"
            )
    module.load_state_dict(tensors)


def _fold_batch_norms(tensors: dict[str, Tensor], *, eps: float = 1e-5) -> dict[str, Tensor]:
    """Merge every `X.c.weight` + `X.bn.*` into `X.weight` and `X.bias`; other tensors pass through."""
    folded: dict[str, Tensor] = {}
    for key, value in tensors.items():
        if key.endswith(".c.weight"):
            name = key[: -len(".c.weight")]
            mean, variance = tensors[f"{name}.bn.running_mean"], tensors[f"{name}.bn.running_var"]
            scale = tensors[f"{name}.bn.weight"] / torch.sqrt(variance + eps)
            folded[f"{name}.weight"] = value * scale[:, None, None, None]
            folded[f"{name}.bias"] = tensors[f"{name}.bn.bias"] - mean * scale
        elif ".bn." not in key:
            folded[key] = value
    return folded


_ENCODER_RULES: tuple[tuple[str, str], ...] = (
    (r"^patch_embed\.seq\.0\.", "stem_in."),
    (r"^patch_embed\.seq\.2\.", "stem_out."),
    (r"^layers\.0\.blocks\.(\d+)\.conv1\.", r"local_stage.\1.expand."),
    (r"^layers\.0\.blocks\.(\d+)\.conv2\.", r"local_stage.\1.depthwise."),
    (r"^layers\.0\.blocks\.(\d+)\.conv3\.", r"local_stage.\1.reduce."),
    (r"^layers\.(\d+)\.downsample\.conv1\.", r"merges.\1.expand."),
    (r"^layers\.(\d+)\.downsample\.conv2\.", r"merges.\1.depthwise."),
    (r"^layers\.(\d+)\.downsample\.conv3\.", r"merges.\1.mix."),
    (r"\.attn\.attention_biases$", ".attention.offset_bias"),
    (r"\.attn\.qkv\.", ".attention.query_key_value."),
    (r"\.attn\.proj\.", ".attention.project."),
    (r"\.attn\.norm\.", ".attention.norm."),
    (r"\.local_conv\.", ".depthwise."),
    (r"\.mlp\.norm\.", ".norm."),
    (r"\.mlp\.fc1\.", ".widen."),
    (r"\.mlp\.fc2\.", ".narrow."),
)


def _encoder_key(key: str) -> str:
    for pattern, replacement in _ENCODER_RULES:
        key = re.sub(pattern, replacement, key)
    # Their stage 0 is convolutional, so their stages 1.. are our windowed stages 0..
    return re.sub(r"^layers\.(\d+)\.blocks\.", lambda m: f"window_stages.{int(m[1]) - 1}.", key)


def _encoder_tensors(tensors: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    """Pick the image encoder's tensors from a MobileSAM layout, folded and under the names of `TinyViT`."""
    prefix = "image_encoder."
    encoder = {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
    try:
        folded = _fold_batch_norms(encoder)
    except KeyError as error:
        raise WeightsError(f"{source} does not fit the network: missing {prefix}{error.args[0]}") from None
    return {_encoder_key(key): value for key, value in folded.items()}


_DECODER_TABLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "prompt_encoder.kinds.weight",
        (
            "prompt_encoder.not_a_point_embed.weight",
            *(f"prompt_encoder.point_embeddings.{label}.weight" for label in range(4)),
        ),
    ),
    ("decoder.answers", ("mask_decoder.iou_token.weight", "mask_decoder.mask_tokens.weight")),
)

_DECODER_RULES: tuple[tuple[str, str], ...] = (
    (r"\.pe_layer\.positional_encoding_gaussian_matrix$", ".positions.frequencies"),
    (r"\.no_mask_embed\.weight$", ".no_mask"),
    (r"\.mask_downscaling\.", ".mask_convolution."),
    (r"^mask_decoder\.", "decoder."),
    (r"\.transformer\.final_attn_token_to_image\.", ".last_attention."),
    (r"\.transformer\.norm_final_attn\.", ".last_norm."),
    (r"\.transformer\.layers\.", ".blocks."),
    (r"\.self_attn\.", ".self_attention."),
    (r"\.cross_attn_token_to_image\.", ".tokens_to_image."),
    (r"\.cross_attn_image_to_token\.", ".image_to_tokens."),
    (r"\.q_proj\.", ".query."),
    (r"\.k_proj\.", ".key."),
    (r"\.v_proj\.", ".value."),
    (r"\.out_proj\.", ".project."),
    (r"\.mlp\.lin1\.", ".widen."),
    (r"\.mlp\.lin2\.", ".narrow."),
    (r"\.output_upscaling\.", ".upsampling."),
    (r"\.output_hypernetworks_mlps\.", ".mask_heads."),
    (r"\.iou_prediction_head\.", ".score_head."),
)


def _decoder_key(key: str) -> str:
    for pattern, replacement in _DECODER_RULES:
        key = re.sub(pattern, replacement, key)
    # Their perceptrons count the linear layers, ours the activations between them too.
    return re.sub(r"(_heads?\.(?:\d+\.)?)layers\.(\d+)\.", lambda m: f"{m[1]}{2 * int(m[2])}.", key)
