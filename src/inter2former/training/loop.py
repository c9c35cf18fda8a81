"""The training loop: draw crops, learn, log, save; stop at any time and go on later."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import torch
from torch import Tensor

from inter2former.config import PIXEL_MEAN, PIXEL_STD
from inter2former.training.batches import Batch, CropSource
from inter2former.training.distributed import any_process, average_gradients, process_count, process_rank
from inter2former.training.objective import Objective
from inter2former.training.optimiser import ScheduledAdamW
from inter2former.training.run_folder import RunFolder
from inter2former.training.settings import TrainingSettings
from inter2former.training.sharding import clip_gradients, is_shared, parts_like, share_out, share_out_state, whole
from inter2former.training.state import RunState, WeightMean

__all__ = ["StepReport", "Trainer"]


class StepReport(NamedTuple):
    """How far a run is.

    Attributes:
        step: steps done.
        steps: of the whole run.
        values: losses and other figures of the last step by name.
    """

    step: int
    steps: int
    values: dict[str, float]

    def __str__(self) -> str:
        left = (self.steps - self.step) * self.values["seconds_per_step"]
        figures = "  ".join(f"{name} {value:.4f}" for name, value in self.values.items())
        return f"{figures}  {left / 60:.0f} min left"


class Trainer:
    """Trains a network towards an objective.

    A run lives in a folder, see `RunFolder`; the network may lie on any device.
    """

    def __init__(self, objective: Objective, source: CropSource, settings: TrainingSettings, folder: Path) -> None:
        """Prepare the run and go on where the folder's state says.

        Raises:
            ValueError: the folder holds a run with other settings, or the network wants its channels in another order.
        """
        network = objective.network
        if network.config.channel_order != "rgb":
            raise ValueError(
                f"the network's channel order is {network.config.channel_order!r} but training feeds red first; "
                "set channel_order to 'rgb' and start from weights that expect it"
            )
        self.objective, self.source, self.settings = objective, source, settings
        self.device = next(network.parameters()).device
        if settings.shard_encoder:
            share_out(network.encoder)
        self.adamw = ScheduledAdamW(objective.module, network.encoder, settings)
        self.mean = WeightMean(objective.module, settings.ema_decay)
        self.step = 0
        self._stopped = False
        self.folder = RunFolder(folder, settings, writes=process_rank() == 0)
        if self.folder.state_path.exists():
            self._resume()

    def run(self, report: Callable[[StepReport], None] = print) -> None:
        """Train to the last step, or until SIGTERM or SIGINT; either way the state is saved.

        Raises:
            RunError: another run writes to the folder.
        """
        with self.folder.held() if process_rank() == 0 else nullcontext():
            self._run(report)

    def _run(self, report: Callable[[StepReport], None]) -> None:
        handlers = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            started, first = time.perf_counter(), self.step
            while self.step < self.settings.steps and not any_process(self._stopped):
                values = self._one_step()
                if self.step % self.settings.log_every == 0 and process_rank() == 0:
                    values["seconds_per_step"] = (time.perf_counter() - started) / (self.step - first)
                    self.folder.log(self.step, values)
                    report(StepReport(self.step, self.settings.steps, values))
                if self.step % self.settings.checkpoint_every == 0:
                    self._save()
            self._save()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _one_step(self) -> dict[str, float]:
        pieces = self.settings.accumulate
        self.adamw.optimiser.zero_grad(set_to_none=True)
        totals: dict[str, float] = {}
        for number in range(pieces):
            # Pieces are numbered like processes, so that one process with two pieces draws what two processes draw.
            piece = process_rank() * pieces + number
            batch = self.source.batch(self.step, rank=piece, processes=process_count() * pieces)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.bfloat16):
                losses = self.objective.losses(batch, self.step, piece=piece)
            total = torch.stack(list(losses.terms.values())).sum()
            (total if pieces == 1 else total / pieces).backward()
            for name, value in (losses.terms | losses.figures).items():
                totals[name] = totals.get(name, 0.0) + float(value.detach()) / pieces
        average_gradients([parameter for parameter in self.adamw.trained if not is_shared(parameter)])
        norm = clip_gradients(self.adamw.trained, self.settings.clip_norm)
        self.adamw.step(self.step)
        self.mean.update(self.objective.module)
        self.step += 1
        if self.folder.wants_pictures and losses.logits is not None and self.step % self.settings.picture_every == 0:
            self._show(batch, losses.logits)
        return totals | {"gradient_norm": norm}

    def _show(self, batch: Batch, logits: Tensor) -> None:
        """The first crop of a batch, for TensorBoard."""
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (PIXEL_MEAN, PIXEL_STD))
        pixels = (batch.image[0] * std + mean).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()
        mask = (logits[0, 0] > 0).cpu().numpy()
        self.folder.log_picture(self.step, pixels.numpy(), mask, (batch.target[0, 0] == 1).numpy())

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopped = True

    def _save(self) -> None:
        """Put the state together, which takes all processes, and write it, which takes one."""
        state = RunState(
            self.step,
            whole(self.objective.module.state_dict()),
            whole(self.adamw.optimiser.state_dict()),
            whole(self.mean.tensors),
            self.mean.updates,
        )
        if process_rank() == 0:
            self.folder.save_state(state)
            prefix = self._prefix()
            weights = {key.removeprefix(prefix): value for key, value in state.mean.items() if key.startswith(prefix)}
            self.folder.save_weights(weights, self.step)

    def _prefix(self) -> str:
        """What the names of the network's tensors begin with in the module that is trained."""
        names = [name for name, part in self.objective.module.named_modules() if part is self.objective.network]
        return f"{names[0]}." if names[0] else ""

    def _resume(self) -> None:
        state, module = RunState.load(self.folder.state_path), self.objective.module
        module.load_state_dict(parts_like(state.network, module.state_dict()))
        self.adamw.optimiser.load_state_dict(state.optimiser)
        share_out_state(self.adamw.optimiser)
        self.mean.tensors = parts_like(state.mean, self.mean.tensors)
        self.mean.updates = state.mean_updates
        self.step = state.step
