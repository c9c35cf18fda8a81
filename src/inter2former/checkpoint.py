"""Weights in and out: safetensors only, strict, and the key map from the MobileSAM layout."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from inter2former.errors import WeightsError

__all__ = ["load_mobile_sam_encoder", "load_tensors", "load_weights", "save_weights", "shipped_weights"]


def shipped_weights(preset: str) -> Path:
    """The weights that come with the package for a preset.

    Raises:
        WeightsError: none come with it.
    """
    path = Path(str(files("inter2former"))) / "weights" / f"{preset}.safetensors"
    if not path.exists():
        raise WeightsError(f"no weights for {preset!r} come with this package; name a file with weights=...")
    return path


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
    """Write the weights as float16 safetensors, through a temporary file so that no half-written file remains."""
    tensors = {
        key: value.detach().cpu().to(torch.float16 if value.is_floating_point() else value.dtype).contiguous()
        for key, value in module.state_dict().items()
    }
    temporary = Path(f"{path}.partial")
    # Not save_file, which leaves the file readable by its owner only.
    temporary.write_bytes(save(tensors, metadata=metadata))
    temporary.replace(path)


def load_mobile_sam_encoder(module: nn.Module, path: str | Path) -> None:
    """Load the image encoder of a MobileSAM-layout file into a `TinyViT`, folding its batch norms.

    Raises:
        WeightsError: as `load_weights`.
    """
    tensors, _ = load_tensors(path)
    prefix = "image_encoder."
    encoder = {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
    try:
        folded = _fold_batch_norms(encoder)
    except KeyError as error:
        raise WeightsError(f"{path} does not fit the network: missing {prefix}{error.args[0]}") from None
    _load_strict(module, {_encoder_key(key): value for key, value in folded.items()}, str(path))


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
