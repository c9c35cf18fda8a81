"""The training loop: draw crops, click, learn, log, save; stop at any time and go on later."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import torch
from torch import Tensor, nn

from inter2former.checkpoint import save_weights
from inter2former.model.inter2former import EncodedImage, Inter2Former
from inter2former.training.crops import Batch, CropSampler
from inter2former.training.distributed import any_process, average_gradients, process_count, process_rank
from inter2former.training.interaction import simulate_interaction
from inter2former.training.losses import IGNORE, low_resolution_target, normalised_focal_loss
from inter2former.training.settings import TrainingSettings
from inter2former.training.state import RunState, WeightMean

__all__ = ["Trainer"]


class Trainer:
    """Trains everything but the image encoder, whose embeddings are cached.

    A run lives in a folder: `settings.json`, `log.jsonl`, `state.pt` to resume from and `weights.safetensors`, the
    mean weights in the form that `Predictor` loads.
    """

    def __init__(self, network: Inter2Former, sampler: CropSampler, settings: TrainingSettings, folder: Path) -> None:
        """Prepare the run and go on where the folder's state says.

        Raises:
            ValueError: the folder holds a run with other settings, or the network wants its channels in another order.
        """
        if network.config.channel_order != "rgb":
            raise ValueError(
                f"the network's channel order is {network.config.channel_order!r} but training feeds red first; "
                "set channel_order to 'rgb' and start from weights that expect it"
            )
        self.network, self.sampler, self.settings, self.folder = network, sampler, settings, folder
        network.encoder.requires_grad_(False)
        self.trained = [p for p in network.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(_parameter_groups(network, settings), lr=settings.learning_rate)
        self.mean = WeightMean(network, settings.ema_decay)
        self.step = 0
        self._stopped = False
        folder.mkdir(parents=True, exist_ok=True)
        self._check_settings()
        if self._state_path.exists():
            self._resume()

    def run(self, report: Callable[[str], None] = print) -> None:
        """Train to the last step, or until SIGTERM or SIGINT; either way the state is saved."""
        handlers = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            started, first = time.perf_counter(), self.step
            while self.step < self.settings.steps and not any_process(self._stopped):
                values = self._one_step()
                if self.step % self.settings.log_every == 0 and process_rank() == 0:
                    values["seconds_per_step"] = (time.perf_counter() - started) / (self.step - first)
                    self._log(values)
                    report(_summary(self.step, self.settings.steps, values))
                if self.step % self.settings.checkpoint_every == 0 and process_rank() == 0:
                    self._save()
            if process_rank() == 0:
                self._save()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Simulate the interaction on a batch and compute its losses, without touching the weights.

        Returns:
            scalars: `mask`, `coarse` and `commitment`, each already weighted, and `iou`, which is no loss.
        """
        with torch.no_grad():
            skips = self.network.encoder.local_features(batch.image)
        edges = self.network.edge_encoder(batch.image, skips)
        embedding = self.network.embedding_norm(batch.embedding)
        fixed = EncodedImage(embedding.detach(), tuple(edge.detach() for edge in edges))
        reference_map = simulate_interaction(
            self.network, fixed, batch.target, self.settings, step=step, rank=process_rank()
        )
        output = self.network.forward_training(EncodedImage(embedding, edges), reference_map)
        coarse_target = low_resolution_target(
            batch.target, (output.coarse_logits.shape[2], output.coarse_logits.shape[3])
        )
        return {
            "mask": normalised_focal_loss(output.logits, batch.target).mean(),
            "coarse": normalised_focal_loss(output.coarse_logits, coarse_target).mean() * self.settings.coarse_weight,
            "commitment": output.commitment_loss * self.settings.commitment_weight,
            "iou": _mean_iou(output.logits.detach() > 0, batch.target),
        }

    def _one_step(self) -> dict[str, float]:
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.learning_rate * _schedule(self.step, self.settings)
        batch = self.sampler.batch(self.step, rank=process_rank(), processes=process_count())
        parts = self.losses(batch, self.step)
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack([value for name, value in parts.items() if name != "iou"]).sum().backward()
        average_gradients(self.trained)
        norm = nn.utils.clip_grad_norm_(self.trained, self.settings.clip_norm)
        self.optimiser.step()
        self.mean.update(self.network)
        self.step += 1
        return {name: float(value.detach()) for name, value in parts.items()} | {"gradient_norm": float(norm)}

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopped = True

    def _log(self, values: dict[str, float]) -> None:
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps({"step": self.step, **values}) + "\n")

    def _save(self) -> None:
        network = self.network.state_dict()
        RunState(self.step, network, self.optimiser.state_dict(), self.mean.tensors, self.mean.updates).save(
            self._state_path
        )
        self.network.load_state_dict(self.mean.tensors)
        save_weights(self.network, self.folder / "weights.safetensors", metadata={"step": str(self.step)})
        self.network.load_state_dict(RunState.load(self._state_path).network)

    def _resume(self) -> None:
        state = RunState.load(self._state_path)
        self.network.load_state_dict(state.network)
        self.optimiser.load_state_dict(state.optimiser)
        self.mean.tensors, self.mean.updates = state.mean, state.mean_updates
        self.step = state.step

    def _check_settings(self) -> None:
        path = self.folder / "settings.json"
        text = json.dumps(self.settings.to_dict(), indent=2)
        if path.exists() and path.read_text() != text:
            raise ValueError(f"{path} holds other settings than these; train into another folder or change them back")
        path.write_text(text)

    @property
    def _state_path(self) -> Path:
        return self.folder / "state.pt"


def _parameter_groups(network: nn.Module, settings: TrainingSettings) -> list[dict[str, object]]:
    """Matrices decay, vectors do not."""
    trained = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _mean_iou(mask: Tensor, target: Tensor) -> Tensor:
    """Mean IoU of a batch: the focal loss weighs its mistakes anew each step and so does not show progress."""
    valid, wanted = target != IGNORE, target == 1
    both = (mask & wanted).flatten(1).sum(1)
    either = ((mask | wanted) & valid).flatten(1).sum(1)
    return (both / either.clamp(min=1)).mean()


def _schedule(step: int, settings: TrainingSettings) -> float:
    """Share of the highest learning rate at a step."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    return max(0.0, (settings.steps - step) / max(1, settings.steps - settings.warmup_steps))


def _summary(step: int, steps: int, values: dict[str, float]) -> str:
    left = (steps - step) * values["seconds_per_step"]
    figures = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
    return f"{step}/{steps}  {figures}  {left / 60:.0f} min left"
