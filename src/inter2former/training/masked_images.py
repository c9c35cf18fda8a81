"""Pre-training of an image encoder without labels: hide patches of the image, ask for their pixels.

He et al., "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022: three quarters of the patches are hidden, and
the loss is the squared error of their pixels, normalised patch by patch.

Differs from that paper and follows Xie et al., "SimMIM", CVPR 2022, in that a hidden patch stays in its place and shows
a learned patch instead: an encoder of windows needs the whole grid. It is hidden in the image itself, so that no finer
or coarser scale of the encoder can see it, and the decoder is one linear layer.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inter2former.config import STRIDE
from inter2former.model.inter2former import Inter2Former
from inter2former.training.batches import Batch
from inter2former.training.objective import Losses
from inter2former.training.settings import TrainingSettings

__all__ = ["MaskedImages", "hidden_patches", "patch_pixels"]


class MaskedImages:
    """Trains the image encoder alone."""

    def __init__(self, network: Inter2Former, settings: TrainingSettings) -> None:
        """Take a network, whose other parts are frozen.

        Raises:
            ValueError: the settings give the encoder no learning rate.
        """
        if not settings.encoder_learning_rate:
            raise ValueError("encoder_learning_rate is 0, but pre-training trains the encoder alone; set it")
        network.requires_grad_(False)
        self.network = network
        self.settings = settings
        self.autoencoder = _Autoencoder(network).to(next(network.parameters()).device)
        self.module: nn.Module = self.autoencoder

    def losses(self, batch: Batch, step: int, *, piece: int = 0) -> Losses:
        """Hide patches of the crops and compare what the encoder makes of them.

        Returns:
            `pixels`, 1 where the encoder knows nothing but each hidden patch's mean.
        """
        image = batch.image.to(self.autoencoder.shown.device)
        grid = image.shape[2] // STRIDE, image.shape[3] // STRIDE
        rng = np.random.default_rng((self.settings.seed, step, 3, piece))
        hidden = torch.from_numpy(hidden_patches(rng, len(image), grid, self.settings.hidden_share)).to(image.device)
        predicted = self.autoencoder(image, hidden)
        error = (predicted.float() - patch_pixels(image)).square().mean(dim=1)
        return Losses({"pixels": error[hidden].mean()})


class _Autoencoder(nn.Module):
    """A network whose encoder also gives pixels."""

    def __init__(self, network: Inter2Former) -> None:
        super().__init__()
        self.network = network
        self.shown = nn.Parameter(torch.zeros(3, STRIDE, STRIDE))
        self.head = nn.Conv2d(network.config.decoder.width, 3 * STRIDE**2, 1)

    def forward(self, image: Tensor, hidden: Tensor) -> Tensor:
        """Normalised pixels of all patches, (B, 3 * 16 * 16, h, w), from images (B, 3, H, W) and flags (B, h, w)."""
        cover = hidden.repeat_interleave(STRIDE, 1).repeat_interleave(STRIDE, 2)[:, None]
        shown = self.shown.repeat(1, hidden.shape[1], hidden.shape[2])
        pixels: Tensor = self.head(self.network.encoder(torch.where(cover, shown, image)).embedding)
        return pixels


def hidden_patches(rng: np.random.Generator, count: int, grid: tuple[int, int], share: float) -> np.ndarray:
    """Draw which patches are hidden, the same number in each image.

    Args:
        rng: where the draws come from.
        count: of images.
        grid: rows and columns of patches.
        share: of the patches, 0..1; at least one is hidden.

    Returns:
        (count, rows, columns) bool.
    """
    cells = grid[0] * grid[1]
    hidden = np.zeros((count, cells), dtype=np.bool_)
    for row in hidden:
        row[rng.permutation(cells)[: max(1, round(share * cells))]] = True
    return hidden.reshape(count, *grid)


def patch_pixels(image: Tensor) -> Tensor:
    """The pixels of each patch, less their mean and over their standard deviation.

    Args:
        image: (B, 3, H, W).

    Returns:
        (B, 3 * 16 * 16, H/16, W/16).
    """
    patches = F.pixel_unshuffle(image, STRIDE)
    variance, mean = torch.var_mean(patches, dim=1, keepdim=True)
    return (patches - mean) / (variance + 1e-6).sqrt()
