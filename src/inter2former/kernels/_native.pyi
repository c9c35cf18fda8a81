from collections.abc import Sequence

from torch import Tensor

from inter2former.kernels.reference import Experts, Norm, Samples

def levels() -> list[str]: ...
def level() -> str: ...
def set_level(level: str) -> None: ...
def release_buffers() -> None: ...
def linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    norm: Norm | None,
    residual: Tensor | None,
    activate: bool,
    places: Tensor | None,
    out: Tensor,
    threads: int,
) -> None: ...
def expert_mlp(tokens: Tensor, expert: Tensor, mlps: Experts, out: Tensor, threads: int) -> None: ...
def hybrid_experts(
    tokens: Tensor,
    norm: Norm,
    shared: Experts,
    routed: Experts,
    place: Tensor,
    expert: Tensor,
    shared_weight: Tensor,
    routed_weight: Tensor,
    out: Tensor,
    threads: int,
) -> None: ...
def hybrid_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cosine: Tensor,
    sine: Tensor,
    boundary: Tensor,
    interior: Tensor,
    codes: Tensor,
    code_keys: Tensor,
    out: Tensor,
    threads: int,
) -> None: ...
def boundary_tokens(
    reference_map: Tensor, stride: int, reach: int, unknown: int, marks: Tensor, threads: int
) -> None: ...
def tokens_with(reference_map: Tensor, stride: int, states: Sequence[int], marks: Tensor, threads: int) -> None: ...
def interpolated_mask(logits: Tensor, columns: Samples, rows: Samples, mask: Tensor, threads: int) -> None: ...
def colour_planes(
    image: Tensor, mean: Tensor, deviation: Tensor, taps: Tensor, planes: Tensor, threads: int
) -> None: ...
def convolution_net(
    nodes: Sequence[tuple[Tensor, bool] | tuple[int, Tensor, Tensor, int, bool, int | None, Tensor | None]],
    threads: int,
) -> None: ...
def embed_prompt(
    reference_map: Tensor,
    background: int,
    embeddings: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    tokens: Tensor | None,
    out: Tensor,
    threads: int,
) -> None: ...
def upsample(
    tokens: Tensor,
    epsilon: float,
    weights: Sequence[Tensor],
    scales: Sequence[Tensor],
    shifts: Sequence[Tensor],
    terms: Sequence[Tensor],
    box: Sequence[int],
    logits: Tensor,
    threads: int,
) -> None: ...
