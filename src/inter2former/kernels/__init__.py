"""The operations a native kernel may replace, chosen once: one table from operation to implementation."""

from __future__ import annotations

from inter2former.kernels.reference import code_attention, expert_mlp, full_attention

__all__ = ["ACTIVE", "code_attention", "expert_mlp", "full_attention"]

ACTIVE: dict[str, str] = {"full_attention": "reference", "code_attention": "reference", "expert_mlp": "reference"}
"""Which implementation each operation uses; `inter2former doctor` prints it."""
