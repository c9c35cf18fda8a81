"""What a stage of training minimises, as the loop sees it."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from inter2former.model.inter2former import Inter2Former
from inter2former.training.batches import Batch

__all__ = ["Losses", "Objective"]


class Losses:
    """The figures of one batch.

    Attributes:
        terms: scalars that are added up and minimised, each already weighted, by name.
        figures: scalars that are only logged.
        logits: (B, 1, S, S) mask logits without gradient, to be shown; None: there are none.
    """

    __slots__ = ("figures", "logits", "terms")

    def __init__(
        self, terms: dict[str, Tensor], figures: dict[str, Tensor] | None = None, logits: Tensor | None = None
    ) -> None:
        """Take the figures."""
        self.terms, self.figures, self.logits = terms, figures or {}, logits


class Objective(Protocol):
    """One stage of training.

    Attributes:
        network: what is trained, and saved as weights.
        module: `network`, or a module around it with what only training needs; its tensors are the run's state.
    """

    network: Inter2Former
    module: nn.Module

    def losses(self, batch: Batch, step: int, *, piece: int = 0) -> Losses:
        """Compute the losses of a batch, without touching the weights.

        Args:
            batch: on the CPU.
            step: of the run; all draws depend on it.
            piece: of all pieces that all processes compute the step in.
        """
        ...
