"""What a training run leaves in its folder: settings, log, checkpoints, and files for TensorBoard if asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inter2former.checkpoint import save_tensors
from inter2former.errors import RunError
from inter2former.files import hold, replacing, write_whole
from inter2former.images import overlay
from inter2former.training.settings import TrainingSettings
from inter2former.training.state import RunState

__all__ = ["RunFolder", "SummaryWriter", "summary_writer"]


class SummaryWriter(Protocol):
    """The part of TensorBoard's writer that is used here."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Write a number."""
        ...

    def add_image(self, tag: str, img_tensor: NDArray[np.uint8], global_step: int, dataformats: str = "CHW") -> None:
        """Write a picture."""
        ...

    def flush(self) -> None:
        """Write what is still in memory."""
        ...


def summary_writer(folder: Path) -> SummaryWriter:
    """TensorBoard's writer into a folder.

    Raises:
        ValueError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter as Writer
    except ImportError as error:
        raise ValueError(
            f"tensorboard is set but cannot be used ({error}); pip install 'inter2former[tensorboard]', or leave it out"
        ) from error
    writer: Any = Writer
    return writer(str(folder))


class RunFolder:
    """The folder of one run: `settings.json`, `log.jsonl`, `state.pt`, `weights.safetensors`, older `states/`."""

    def __init__(self, path: Path, settings: TrainingSettings, *, writes: bool) -> None:
        """Make the folder, or go on in it.

        Args:
            path: the folder.
            settings: of the run.
            writes: this process keeps the log; of several only the first does.

        Raises:
            ValueError: the folder holds a run with other settings, or TensorBoard is asked for and absent.
        """
        self.path = path
        self.settings = settings
        path.mkdir(parents=True, exist_ok=True)
        self._check_settings()
        self._writer = summary_writer(path / "tensorboard") if settings.tensorboard and writes else None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs out of the folder while this one writes to it.

        Raises:
            RunError: another one does.
        """
        with self._log_path.open("a", encoding="utf-8") as log:
            if not hold(log):
                raise RunError(f"another run writes to {self.path}; wait for it, or train into another folder")
            yield

    @property
    def state_path(self) -> Path:
        """The newest checkpoint, from which a run is resumed."""
        return self.path / "state.pt"

    @property
    def weights_path(self) -> Path:
        """The mean weights, in the form that `Predictor` loads."""
        return self.path / "weights.safetensors"

    def log(self, step: int, values: dict[str, float]) -> None:
        """Add a line to the log, and points to TensorBoard's curves."""
        with self._log_path.open("a", encoding="utf-8") as log:
            log.write(json.dumps({"step": step, **values}) + "\n")
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)
            self._writer.flush()

    @property
    def wants_pictures(self) -> bool:
        """Whether `log_picture` has anywhere to go."""
        return self._writer is not None

    def log_picture(
        self, step: int, image: NDArray[np.uint8], mask: NDArray[np.bool_], target: NDArray[np.bool_]
    ) -> None:
        """Show TensorBoard a crop, (S, S, 3) uint8, with the prediction beside it and the truth beside that."""
        if self._writer is not None:
            row = np.concatenate([image, overlay(image, mask), overlay(image, target)], axis=1)
            self._writer.add_image("crop, prediction, truth", row, step, dataformats="HWC")

    def save_state(self, state: RunState) -> None:
        """Write a checkpoint and drop the oldest beyond `kept_states`."""
        if self.settings.kept_states > 1:
            older = self.path / "states"
            older.mkdir(exist_ok=True)
            if self.state_path.exists():
                step = RunState.load(self.state_path).step
                with self.state_path.open("rb") as newest, replacing(older / f"{step:08d}.pt") as kept:
                    shutil.copyfileobj(newest, kept)
            for path in sorted(older.glob("*.pt"))[: -(self.settings.kept_states - 1)]:
                path.unlink()
        state.save(self.state_path)

    def save_weights(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Write the mean weights in half precision."""
        save_tensors(tensors, self.weights_path, metadata={"step": str(step)}, dtype=torch.float16)

    @property
    def _log_path(self) -> Path:
        return self.path / "log.jsonl"

    def _check_settings(self) -> None:
        path = self.path / "settings.json"
        if path.exists():
            # By value: a run of an earlier version, which had fewer settings, goes on where the new ones are defaults.
            if TrainingSettings.from_dict(json.loads(path.read_text())) != self.settings:
                raise ValueError(
                    f"{path} holds other settings than these; train into another folder or change them back"
                )
            return
        write_whole(path, json.dumps(self.settings.to_dict(), indent=2))
