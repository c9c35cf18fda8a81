"""Distillation of an image encoder: its embedding shall be the teacher's, and do the teacher's work.

Two levels, as the paper names them: features, the squared error of the embedding over the teacher's variance; and
masks, where the teacher's own decoder answers the same clicks from either embedding and the answers are compared.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inter2former.model.inter2former import Inter2Former
from inter2former.training.batches import Batch
from inter2former.training.objective import Losses
from inter2former.training.settings import TrainingSettings

__all__ = ["Distillation", "Teacher", "draw_clicks"]


class Teacher(Protocol):
    """A Segment Anything network to learn from, such as `inter2former.model.mobile_sam.MobileSam`."""

    def encode(self, image: Tensor) -> Tensor:
        """Normalised images (B, 3, H, W) to embeddings (B, 256, H/16, W/16)."""
        ...

    def decode(
        self, embedding: Tensor, points: Tensor, labels: Tensor, previous: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Embeddings, points (B, N, 2) and labels (B, N) to mask logits (B, 4, h, w) and their scores."""
        ...


class Distillation:
    """Trains the image encoder alone; pictures need objects only to know where a person might click."""

    def __init__(self, network: Inter2Former, teacher: nn.Module, settings: TrainingSettings) -> None:
        """Take a network, whose other parts are frozen, and a teacher, which is frozen too.

        Args:
            network: the student, on any device.
            teacher: a `Teacher`; is moved to the same device and is no part of the run's state.
            settings: the weight of the masks and the seed.
        Raises:
            ValueError: the settings give the encoder no learning rate.
        """
        if not settings.encoder_learning_rate:
            raise ValueError("encoder_learning_rate is 0, but distillation trains the encoder alone; set it")
        network.requires_grad_(False)
        self.network = network
        self.module: nn.Module = network
        self.settings = settings
        self.device = next(network.parameters()).device
        self.teacher: Teacher = teacher.eval().requires_grad_(False).to(self.device)  # type: ignore[assignment]

    def losses(self, batch: Batch, step: int, *, piece: int = 0) -> Losses:
        """Encode the crops twice and compare.

        Returns:
            `features`, 1 where the student gives zeros for a teacher of mean zero; `answers`, the binary cross-entropy
            with the teacher's masks; the figure `agreement`, the share of the pixels that both put on the same side.
        """
        image = batch.image.to(self.device)
        with torch.no_grad():
            wanted = self.teacher.encode(image)
        embedding = self.network.encoder(image).embedding
        features = (embedding.float() - wanted).square().mean() / wanted.var().clamp(min=1e-12)
        points = draw_clicks(np.random.default_rng((self.settings.seed, step, 4, piece)), batch.target)
        place, label = points.to(self.device), torch.ones(points.shape[:2], dtype=torch.int64, device=self.device)
        with torch.no_grad():
            expected = self.teacher.decode(wanted, place, label)[0]
        answered = self.teacher.decode(embedding, place, label)[0]
        answers = F.binary_cross_entropy_with_logits(answered.float(), expected.sigmoid())
        terms = {"features": features, "answers": answers * self.settings.answer_weight}
        return Losses(terms, {"agreement": ((answered > 0) == (expected > 0)).float().mean()})


def draw_clicks(rng: np.random.Generator, target: Tensor) -> Tensor:
    """Draw a pixel of each object, or of the whole crop where there is none.

    Args:
        rng: where the draws come from.
        target: (B, 1, S, S) uint8, 1 on the object.

    Returns:
        (B, 1, 2) float32, x and y of a pixel's centre.
    """
    clicks = []
    for plane in target[:, 0].numpy():
        inside = np.flatnonzero(plane == 1)
        cell = int(inside[rng.integers(inside.size)]) if inside.size else int(rng.integers(plane.size))
        clicks.append((cell % plane.shape[1] + 0.5, cell // plane.shape[1] + 0.5))
    return torch.tensor(clicks, dtype=torch.float32)[:, None]
