"""The released checkpoint, a pickle of PyTorch, to safetensors and back; nothing in it but tensors is ever run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inter2former.checkpoint import load_tensors, save_tensors
from inter2former.config import ModelConfig, WindowedViTConfig, preset
from inter2former.errors import WeightsError
from inter2former.files import replacing
from inter2former.kernels.reference import gaussian_taps
from inter2former.model.layers import rotary_frequencies
from inter2former.released_keys import FILTERS, FREQUENCIES, STEP, ReleasedTensor, released_tensors, rename

__all__ = ["Conversion", "convert_back", "convert_release"]

PRESET = "inter2former-b"
WRAPPER = "state_dict"
PARALLEL = "module."
NAMED = 5

# What mmengine keeps in a checkpoint beside the weights: logs as arrays, and the names of functions. They are read as
# empty objects of these names, so that nothing of theirs runs and no such package need be installed.
_IGNORED_GLOBALS = (
    "mmengine.logging.history_buffer.HistoryBuffer",
    "builtins.getattr",
    "_codecs.encode",
    "numpy.ndarray",
    "numpy.dtype",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
)


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a conversion did.

    Attributes:
        tensors: how many tensors the new file holds.
        parameters: how many numbers.
        dtype: of its floating-point tensors.
        largest_change: the largest difference that this dtype made to any number; 0 in float32.
        other_constants: released tensors whose values differ from the constants that this network computes in their
            place, so that its masks will differ from those of the released code.
    """

    tensors: int
    parameters: int
    dtype: str
    largest_change: float
    other_constants: tuple[str, ...]


def convert_release(source: str | Path, target: str | Path, *, dtype: torch.dtype = torch.float32) -> Conversion:
    """Write a released checkpoint as safetensors that `Predictor(preset="inter2former-b")` loads.

    The tensors may lie under "state_dict", as training saves them, and have the prefix "module." of parallel training,
    which carries no meaning and is dropped. The metadata name the preset and its configuration, the source with its
    hash, and the converter; they also keep the few released tensors without a counterpart here, so that `convert_back`
    loses nothing.

    Args:
        source: the released `.pth`.
        target: the safetensors file.
        dtype: float32, which changes nothing, or float16, half the size.
    Raises:
        WeightsError: the source is missing, damaged, holds more than tensors, or tensors of another network; or a
            number does not fit into `dtype`.
    """
    config, (released, wrapped) = preset(PRESET), _read(Path(source))
    _check(released, released_tensors(config), source)
    fixed = {key: value for key, value in released.items() if rename(key) is None}
    renamed = {name: value for key, value in released.items() if (name := rename(key)) is not None}
    change = _largest_change(renamed, dtype, source)
    metadata = {
        "preset": PRESET,
        "config": json.dumps(dataclasses.asdict(config)),
        "source": Path(source).name,
        "source_sha256": _sha256(Path(source)),
        "converter": f"inter2former {version('inter2former')}",
        "released_only": json.dumps({key: value.tolist() for key, value in fixed.items()}),
        "released_wrapper": WRAPPER if wrapped else "",
    }
    save_tensors(renamed, target, metadata=metadata, dtype=dtype)
    ours = _fixed_tensors(config)
    other = tuple(key for key in fixed if key != STEP and not torch.allclose(fixed[key], ours[key], rtol=1e-5))
    return _conversion(renamed, dtype, change, other)


def convert_back(source: str | Path, target: str | Path) -> Conversion:
    """Write safetensors of the preset `inter2former-b` as the released code loads them.

    Args:
        source: a safetensors file, converted or trained here.
        target: the `.pth` file: float32, with the released names.
    Raises:
        WeightsError: the source is missing, damaged or of another network.
    """
    config, (tensors, metadata) = preset(PRESET), load_tensors(source)
    wanted = released_tensors(config)
    ours = {name: entry for key, entry in wanted.items() if (name := rename(key)) is not None}
    _check(tensors, ours, source)
    fixed = _fixed_tensors(config) | _kept_tensors(metadata, wanted, source)
    released = {key: fixed[key] if (name := rename(key)) is None else tensors[name] for key in wanted}
    whole: dict[str, Any] = {WRAPPER: released} if metadata.get("released_wrapper") else released
    with replacing(target) as stream:
        torch.save(whole, stream)
    return _conversion(released, torch.float32, 0.0, ())


def _read(path: Path) -> tuple[dict[str, Any], bool]:
    """The state dict of a checkpoint, and whether it was wrapped with other things."""
    try:
        with torch.serialization.safe_globals([_ignored(name) for name in _IGNORED_GLOBALS]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"no checkpoint at {path}; give the path of a released .pth file") from None
    except pickle.UnpicklingError as error:
        if found := re.search(r"GLOBAL (\S+)", str(error)):
            raise WeightsError(
                f"{path} holds Python code ({found[1]}) beside its tensors, which is not run; save the state dict alone"
            ) from error
        raise WeightsError(f"{path} is no checkpoint of PyTorch, or damaged; download it again") from error
    except Exception as error:  # a damaged file can make torch.load fail in any way
        raise WeightsError(f"{path} is no checkpoint of PyTorch, or damaged; download it again") from error
    wrapped = isinstance(content, dict) and isinstance(content.get(WRAPPER), dict)
    state = content[WRAPPER] if wrapped else content
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise WeightsError(f"{path} holds a {type(state).__name__}; wanted a state dict, tensors by name")
    parallel = bool(state) and all(key.startswith(PARALLEL) for key in state)
    plain = {key.removeprefix(PARALLEL) if parallel else key: _detached(value) for key, value in state.items()}
    return plain, wrapped


def _detached(value: object) -> object:
    """A tensor without the gradient that a saved parameter asks for; anything else as it is."""
    return value.detach() if isinstance(value, Tensor) else value


def _ignored(path: str) -> type:
    """A class of that name which can be made from anything and keeps nothing."""
    module, _, name = path.rpartition(".")
    return type(name, (_Ignored,), {"__module__": module, "__qualname__": name})


class _Ignored:
    def __new__(cls, *arguments: object) -> _Ignored:
        return object.__new__(cls)

    def __setstate__(self, state: object) -> None:
        pass


def _check(found: Mapping[str, Any], wanted: Mapping[str, ReleasedTensor], source: str | Path) -> None:
    """Refuse tensors that are not those of the network, by name."""
    both = [key for key in wanted if key in found]
    tensors = [key for key in both if isinstance(found[key], Tensor)]
    problems = {
        "missing": [key for key in wanted if key not in found],
        "unexpected": [key for key in found if key not in wanted],
        "no tensor": [f"{key} is a {type(found[key]).__name__}" for key in both if not isinstance(found[key], Tensor)],
        "misshapen": [
            f"{key} is {tuple(found[key].shape)}, wanted {wanted[key].shape}"
            for key in tensors
            if tuple(found[key].shape) != wanted[key].shape
        ],
        "of another type": [
            f"{key} is {found[key].dtype}, wanted {wanted[key].dtype}"
            for key in tensors
            if found[key].dtype != wanted[key].dtype
        ],
    }
    parts = [
        f"{what} {'; '.join(named[:NAMED])}{' ...' if len(named) > NAMED else ''} ({len(named)} in all)"
        for what, named in problems.items()
        if named
    ]
    if parts:
        raise WeightsError(f"{source} does not fit the network {PRESET!r}: {'; '.join(parts)}")


def _largest_change(tensors: Mapping[str, Tensor], dtype: torch.dtype, source: str | Path) -> float:
    """The largest difference that the dtype makes to any number; refuses numbers beyond its range."""
    largest = 0.0
    for key, value in tensors.items():
        if value.is_floating_point() and value.numel():
            change = float((value.to(dtype).to(value.dtype) - value).abs().max())
            if not math.isfinite(change):
                raise WeightsError(f"{source}: {key} holds numbers beyond the range of {dtype}; convert to float32")
            largest = max(largest, change)
    return largest


def _fixed_tensors(config: ModelConfig) -> dict[str, Tensor]:
    """The released tensors without a counterpart, as this network computes them; the step counter is 0."""
    assert isinstance(config.encoder, WindowedViTConfig)
    taps = gaussian_taps(torch.float64).float()
    sobel = torch.tensor(((1.0, 0, -1), (2, 0, -2), (1, 0, -1)))
    differences = torch.zeros(8, 1, 3, 3)
    differences[:, :, 1, 1] = 1
    for index, (row, column) in enumerate(((1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0), (0, 1), (0, 2))):
        differences[index, 0, row, column] = -1
    filters = (taps.view(1, 1, 1, 5), taps.view(1, 1, 5, 1), sobel[None, None], sobel.T[None, None], differences)
    frequencies = rotary_frequencies(config.encoder.width // config.encoder.heads)
    step = torch.zeros((), dtype=torch.int64)
    return {STEP: step, FREQUENCIES: frequencies, **dict(zip(FILTERS, filters, strict=True))}


def _kept_tensors(
    metadata: Mapping[str, str], wanted: Mapping[str, ReleasedTensor], source: str | Path
) -> dict[str, Tensor]:
    """The released tensors that a conversion kept in the metadata; none where the file was not converted."""
    try:
        values = json.loads(metadata.get("released_only", "{}"))
        kept = {key: torch.tensor(value, dtype=wanted[key].dtype) for key, value in values.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise WeightsError(
            f"{source}: its metadata entry 'released_only' is damaged; convert the release again"
        ) from error
    _check(kept, {key: wanted[key] for key in kept}, source)
    return kept


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _conversion(tensors: Mapping[str, Tensor], dtype: torch.dtype, change: float, other: tuple[str, ...]) -> Conversion:
    numbers = sum(value.numel() for value in tensors.values())
    return Conversion(len(tensors), numbers, str(dtype).removeprefix("torch."), change, other)
