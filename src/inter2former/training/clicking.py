"""The stage that makes a segmenter: simulated clicks, and the losses of the mask that answers them.

Paper, section on training; what the released configuration says of it is in `settings.SETTINGS["released"]`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inter2former.model.attention import CodeAttention
from inter2former.model.image_features import ImageFeatures
from inter2former.model.inter2former import EncodedImage, HybridBlock, Inter2Former, TrainingOutput
from inter2former.training.batches import Batch
from inter2former.training.interaction import SimulatedInteraction, simulate_interaction
from inter2former.training.losses import IGNORE, low_resolution_target, normalised_focal_loss
from inter2former.training.objective import Losses
from inter2former.training.settings import TrainingSettings

__all__ = ["Clicking"]


class Clicking:
    """Trains decoder and edge encoder, and the image encoder where the settings give it a learning rate."""

    def __init__(self, network: Inter2Former, settings: TrainingSettings) -> None:
        """Take a network, on any device."""
        self.network = network
        self.module: nn.Module = network
        self.settings = settings

    def losses(self, batch: Batch, step: int, *, piece: int = 0) -> Losses:
        """Simulate the interaction on a batch and compute the losses of its last answers.

        Returns:
            `mask`, `coarse` and `commitment`, each the mean over the answers that are learned from; the logits of the
            last answer, its figure `iou` and, where attention has codes, `codes`: how many of them are in use.
        """
        network, settings = self.network, self.settings
        device = next(network.parameters()).device
        image, target = batch.image.to(device), batch.target.to(device)
        features = self._features(image, batch.embedding)
        encoded = EncodedImage(network.embedding_norm(features.embedding), network.edge_encoder(image, features.skips))
        users = SimulatedInteraction(batch.target, network.config.clicks, settings, step=step, rank=piece)
        learned = min(settings.learned_answers, users.rounds + 1)
        self._answer_silently(encoded, users, users.rounds + 1 - learned)
        answers: list[dict[str, Tensor]] = []
        for left in reversed(range(learned)):
            output = network.forward_training(encoded, users.reference_maps().to(device))
            answers.append(self._terms(output, target))
            logits = output.logits.detach()
            if left:
                users.answered((logits[:, 0] > 0).unbind())
        terms = {name: torch.stack([answer[name] for answer in answers]).mean() for name in answers[0]}
        return Losses(terms, {"iou": _mean_iou(logits > 0, target)} | self._code_figures(), logits)

    def _code_figures(self) -> dict[str, Tensor]:
        """Codes that lie idle are seen here only: the losses go down all the same."""
        attentions = [block.attention for block in self.network.blocks if isinstance(block, HybridBlock)]
        used = [attention.codebook.used for attention in attentions if isinstance(attention, CodeAttention)]
        return {"codes": torch.stack(used).mean()} if used else {}

    def _answer_silently(self, encoded: EncodedImage, users: SimulatedInteraction, rounds: int) -> None:
        """The answers that only prepare those to learn from."""
        if rounds:
            with torch.no_grad():
                fixed = self.network.prepared(encoded._replace(embedding=encoded.embedding.detach()))
            simulate_interaction(self.network, fixed, users, rounds)

    def _terms(self, output: TrainingOutput, target: Tensor) -> dict[str, Tensor]:
        """The losses of one answer, weighted."""
        coarse_target = low_resolution_target(target, (output.coarse_logits.shape[2], output.coarse_logits.shape[3]))
        return {
            "mask": normalised_focal_loss(output.logits, target).mean(),
            "coarse": normalised_focal_loss(output.coarse_logits, coarse_target).mean() * self.settings.coarse_weight,
            "commitment": output.commitment_loss.float() * self.settings.commitment_weight,
        }

    def _features(self, image: Tensor, cached: Tensor | None) -> ImageFeatures:
        """The image encoder's part: cached where the batch has it, with gradient where the encoder is trained."""
        with torch.set_grad_enabled(self.settings.encoder_learning_rate > 0):
            if cached is None:
                return self.network.encoder(image)
            return ImageFeatures(cached.to(image.device), self.network.encoder.local_features(image))


def _mean_iou(mask: Tensor, target: Tensor) -> Tensor:
    """Mean IoU of a batch: the focal loss weighs its mistakes anew each step and so does not show progress."""
    valid, wanted = target != IGNORE, target == 1
    both = (mask & wanted).flatten(1).sum(1)
    either = ((mask | wanted) & valid).flatten(1).sum(1)
    return (both / either.clamp(min=1)).mean()
