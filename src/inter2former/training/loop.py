"""The training loop: draw crops, click, learn, log, save; stop at any time and go on later."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from inter2former.checkpoint import save_weights
from inter2former.config import PIXEL_MEAN, PIXEL_STD
from inter2former.model.image_features import ImageFeatures
from inter2former.model.inter2former import EncodedImage, Inter2Former
from inter2former.training.batches import Batch, CropSource
from inter2former.training.distributed import any_process, average_gradients, process_count, process_rank
from inter2former.training.interaction import simulate_interaction
from inter2former.training.losses import IGNORE, low_resolution_target, normalised_focal_loss
from inter2former.training.optimiser import ScheduledAdamW
from inter2former.training.run_folder import RunFolder
from inter2former.training.settings import TrainingSettings
from inter2former.training.state import RunState, WeightMean

__all__ = ["StepReport", "Trainer"]

LOGITS = "logits"


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
    """Trains a network: decoder and edge encoder, and the image encoder where the settings give it a learning rate.

    A run lives in a folder, see `RunFolder`; the network may lie on any device.
    """

    def __init__(self, network: Inter2Former, source: CropSource, settings: TrainingSettings, folder: Path) -> None:
        """Prepare the run and go on where the folder's state says.

        Raises:
            ValueError: the folder holds a run with other settings, or the network wants its channels in another order.
        """
        if network.config.channel_order != "rgb":
            raise ValueError(
                f"the network's channel order is {network.config.channel_order!r} but training feeds red first; "
                "set channel_order to 'rgb' and start from weights that expect it"
            )
        self.network, self.source, self.settings = network, source, settings
        self.device = next(network.parameters()).device
        self.adamw = ScheduledAdamW(network, settings)
        self.mean = WeightMean(network, settings.ema_decay)
        self.step = 0
        self._stopped = False
        self.folder = RunFolder(folder, settings, writes=process_rank() == 0)
        if self.folder.state_path.exists():
            self._resume()

    def run(self, report: Callable[[StepReport], None] = print) -> None:
        """Train to the last step, or until SIGTERM or SIGINT; either way the state is saved."""
        handlers = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            started, first = time.perf_counter(), self.step
            while self.step < self.settings.steps and not any_process(self._stopped):
                values = self._one_step()
                if self.step % self.settings.log_every == 0 and process_rank() == 0:
                    values["seconds_per_step"] = (time.perf_counter() - started) / (self.step - first)
                    self.folder.log(self.step, values)
                    report(StepReport(self.step, self.settings.steps, values))
                if self.step % self.settings.checkpoint_every == 0 and process_rank() == 0:
                    self._save()
            if process_rank() == 0:
                self._save()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def losses(self, batch: Batch, step: int, *, piece: int = 0) -> dict[str, Tensor]:
        """Simulate the interaction on a batch and compute its losses, without touching the weights.

        Args:
            batch: on the CPU.
            step: of the run.
            piece: of all pieces that all processes compute the step in.

        Returns:
            scalars: `mask`, `coarse` and `commitment`, each already weighted, and `iou`, which is no loss; and
            `logits`, (B, 1, S, S) without gradient.
        """
        image, target = batch.image.to(self.device), batch.target.to(self.device)
        features = self._features(image, batch.embedding)
        edges = self.network.edge_encoder(image, features.skips)
        embedding = self.network.embedding_norm(features.embedding)
        with torch.no_grad():
            fixed = self.network.prepared(EncodedImage(embedding.detach(), edges))
        reference_map = simulate_interaction(self.network, fixed, batch.target, self.settings, step=step, rank=piece)
        output = self.network.forward_training(EncodedImage(embedding, edges), reference_map.to(self.device))
        coarse_target = low_resolution_target(target, (output.coarse_logits.shape[2], output.coarse_logits.shape[3]))
        logits = output.logits.detach()
        return {
            "mask": normalised_focal_loss(output.logits, target).mean(),
            "coarse": normalised_focal_loss(output.coarse_logits, coarse_target).mean() * self.settings.coarse_weight,
            "commitment": output.commitment_loss.float() * self.settings.commitment_weight,
            "iou": _mean_iou(logits > 0, target),
            LOGITS: logits,
        }

    def _features(self, image: Tensor, cached: Tensor | None) -> ImageFeatures:
        """The image encoder's part: cached where the batch has it, with gradient where the encoder is trained."""
        with torch.set_grad_enabled(self.settings.encoder_learning_rate > 0):
            if cached is None:
                return self.network.encoder(image)
            return ImageFeatures(cached.to(self.device), self.network.encoder.local_features(image))

    def _one_step(self) -> dict[str, float]:
        pieces = self.settings.accumulate
        self.adamw.optimiser.zero_grad(set_to_none=True)
        totals: dict[str, float] = {}
        for number in range(pieces):
            # Pieces are numbered like processes, so that one process with two pieces draws what two processes draw.
            piece = process_rank() * pieces + number
            batch = self.source.batch(self.step, rank=piece, processes=process_count() * pieces)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.bfloat16):
                parts = self.losses(batch, self.step, piece=piece)
            logits = parts.pop(LOGITS)
            total = torch.stack([value for name, value in parts.items() if name != "iou"]).sum()
            (total if pieces == 1 else total / pieces).backward()
            for name, value in parts.items():
                totals[name] = totals.get(name, 0.0) + float(value.detach()) / pieces
        average_gradients(self.adamw.trained)
        norm = nn.utils.clip_grad_norm_(self.adamw.trained, self.settings.clip_norm)
        self.adamw.step(self.step)
        self.mean.update(self.network)
        self.step += 1
        if self.folder.wants_pictures and self.step % self.settings.picture_every == 0:
            self._show(batch, logits)
        return totals | {"gradient_norm": float(norm)}

    def _show(self, batch: Batch, logits: Tensor) -> None:
        """The first crop of a batch, for TensorBoard."""
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (PIXEL_MEAN, PIXEL_STD))
        pixels = (batch.image[0] * std + mean).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()
        mask = (logits[0, 0] > 0).cpu().numpy()
        self.folder.log_picture(self.step, pixels.numpy(), mask, (batch.target[0, 0] == 1).numpy())

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopped = True

    def _save(self) -> None:
        network = self.network.state_dict()
        optimiser = self.adamw.optimiser.state_dict()
        self.folder.save_state(RunState(self.step, network, optimiser, self.mean.tensors, self.mean.updates))
        self.network.load_state_dict(self.mean.tensors)
        save_weights(self.network, self.folder.weights_path, metadata={"step": str(self.step)})
        self.network.load_state_dict(RunState.load(self.folder.state_path).network)

    def _resume(self) -> None:
        state = RunState.load(self.folder.state_path)
        self.network.load_state_dict(state.network)
        self.adamw.optimiser.load_state_dict(state.optimiser)
        self.mean.tensors = {key: value.to(self.device) for key, value in state.mean.items()}
        self.mean.updates = state.mean_updates
        self.step = state.step


def _mean_iou(mask: Tensor, target: Tensor) -> Tensor:
    """Mean IoU of a batch: the focal loss weighs its mistakes anew each step and so does not show progress."""
    valid, wanted = target != IGNORE, target == 1
    both = (mask & wanted).flatten(1).sum(1)
    either = ((mask | wanted) & valid).flatten(1).sum(1)
    return (both / either.clamp(min=1)).mean()
