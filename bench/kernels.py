"""Time what each native kernel replaces: the plain way, the same idea in PyTorch (`kernels/reference.py`), the kernel.

    python bench/kernels.py [--size 1024] [--share 0.5] [--threads 1] [--repeats 9]

Each group answers one question of a click or of the image's edge terms, in the widths of inter2former-t, on an object
whose box has `share` of the side. The ways of a group take turns, so that what else the machine does meets them alike.
Printed are the least milliseconds; with one thread those of the processor, which other programs hardly change.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from inter2former import kernels
from inter2former.benchmark.scene import Scene, photo_like
from inter2former.config import STRIDE, ModelConfig, preset
from inter2former.kernels import native, reference
from inter2former.kernels.reference import Experts
from inter2former.model.boundary import UNKNOWN, WINDOW
from inter2former.model.edge_encoder import EdgeEncoder
from inter2former.model.inter2former import Inter2Former
from inter2former.model.layers import rotary_turns
from inter2former.model.normalise import normalised_input

Ways = dict[str, Callable[[], object]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print(f"level {kernels.level()}, {options.threads} threads, {options.size} px, box {options.share:.0%} of the side")
    config = preset("inter2former-t")
    with torch.inference_mode():
        for name, ways in questions(config, options.size, options.share):
            times = least_times(ways, options.repeats, alone=options.threads == 1)
            print(f"{name:<22}" + "   ".join(f"{way} {ms:.2f}" for way, ms in times.items()), flush=True)


def least_times(ways: Ways, repeats: int, *, alone: bool) -> dict[str, float]:
    clock = time.thread_time if alone else time.perf_counter
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(repeats + 1):
        for name, way in ways.items():
            started = clock()
            way()
            best[name] = min(best[name], 1000 * (clock() - started))
    return best


def questions(config: ModelConfig, side: int, share: float) -> Iterator[tuple[str, Ways]]:
    scene = Scene.of(config, side=side, share=share)
    states = scene.reference_map(config)[0, 0]
    flags = native.boundary_tokens(states, stride=STRIDE, reach=WINDOW // 2, unknown=UNKNOWN).flatten()
    boundary, interior = flags.nonzero()[:, 0], (~flags).nonzero()[:, 0]
    print(f"{len(flags)} tokens, {len(boundary)} of them boundary tokens")
    yield "boundary tokens", boundary_ways(states)
    yield "prompt embedding", prompt_ways(config, states)
    yield from attention_ways(config, side // STRIDE, boundary, interior)
    yield "experts", expert_ways(config, len(flags), boundary)
    box = scene.box(config)
    yield "upsampling", upsampling_ways(side // STRIDE, (box.left, box.top, box.right, box.bottom))
    yield from edge_ways(config, side)


def boundary_ways(states: Tensor) -> Ways:
    settings = {"stride": STRIDE, "reach": WINDOW // 2, "unknown": UNKNOWN}
    return {
        "variance in float32": partial(mixed_by_variance, states),
        "extremes in PyTorch": lambda: reference.boundary_tokens(states, **settings),
        "native": lambda: native.boundary_tokens(states, **settings),
    }


def mixed_by_variance(states: Tensor) -> Tensor:
    """The released test, whatever it finds: the variance of every window, then any of a token's."""
    x = states[None].float()
    mean, square = (F.avg_pool2d(y, WINDOW, stride=1, padding=WINDOW // 2) for y in (x, x * x))
    return F.max_pool2d((square - mean * mean > 0).float(), STRIDE) > 0


def prompt_ways(config: ModelConfig, states: Tensor) -> Ways:
    channels = (3, *config.decoder.prompt_widths)
    weights = convolution_weights(channels)
    arguments = states, 0, torch.randn(5, channels[0]), weights, tuple(map(torch.randn, channels[1:]))
    return {
        "dense in PyTorch": lambda: reference.embed_prompt(*arguments),
        "native": lambda: native.embed_prompt(*arguments),
    }


def convolution_weights(widths: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Of 3x3 convolutions from each width to the next, in memory as a network for inference has them."""
    weights = (torch.randn(out, into, 3, 3) / into for into, out in pairwise(widths))
    return tuple(weight.contiguous(memory_format=torch.channels_last) for weight in weights)


def attention_ways(config: ModelConfig, tokens: int, *places: Tensor) -> Iterator[tuple[str, Ways]]:
    depth = config.decoder.width // config.decoder.downscale
    query, key, value = torch.randn(3, tokens * tokens, 1, depth)
    code_keys = torch.randn(2**config.decoder.code_bits, 1, depth)
    codes = torch.randint(0, len(code_keys), (len(query),))
    turns = rotary_turns(tokens, tokens, depth, query.device)
    boundary, interior = places
    none = boundary[:0]
    yield (
        "attention, boundary",
        {
            "PyTorch": lambda: reference.full_attention(
                reference.rotate(query[boundary], *(turn[boundary] for turn in turns)),
                reference.rotate(key, *turns),
                value,
            ),
            "native": lambda: native.hybrid_attention(query, key, value, turns, boundary, none, codes, code_keys),
        },
    )
    yield (
        "attention, interior",
        {
            "over tokens": lambda: reference.full_attention(query[interior], code_keys[codes], value),
            "counts in PyTorch": lambda: reference.code_attention(query[interior], codes, value, code_keys),
            "native": lambda: native.hybrid_attention(query, key, value, turns, none, interior, codes, code_keys),
        },
    )


def expert_ways(config: ModelConfig, tokens: int, place: Tensor) -> Ways:
    width, hidden, count = config.decoder.width, config.decoder.hidden, config.decoder.downscale
    shared, routed = (random_experts(number, width, hidden // count) for number in (1, count))
    expert = torch.randint(0, count, (len(place), 1))
    weights = torch.rand(len(place), 1), torch.rand(len(place), 1)
    norm = torch.ones(width), torch.zeros(width), 1e-5
    arguments = torch.randn(tokens, width), norm, shared, routed, place, expert, *weights

    def every_expert() -> Tensor:
        """Each boundary token through all experts, all results but one thrown away."""
        normal = F.layer_norm(arguments[0], (width,), *norm)
        each = torch.stack(
            [reference.expert_mlp(normal[place], torch.full_like(place, index), *routed) for index in range(count)]
        )
        routed_sum = weights[1] * each[expert[:, 0], torch.arange(len(place))]
        out = reference.expert_mlp(normal, torch.zeros(tokens, dtype=torch.int64), *shared)
        return arguments[0] + out.index_copy(0, place, weights[0] * out[place] + routed_sum)

    return {
        "every expert": every_expert,
        "sorted in PyTorch": lambda: reference.hybrid_experts(*arguments),
        "native": lambda: native.hybrid_experts(*arguments),
    }


def random_experts(count: int, width: int, hidden: int) -> Experts:
    weights = torch.randn(count, hidden, width), torch.randn(count, hidden, width), torch.randn(count, width, hidden)
    biases = torch.randn(count, hidden), torch.randn(count, hidden), torch.randn(count, width)
    return Experts(tuple(w / width**0.5 for w in weights), biases, (torch.ones(hidden), torch.zeros(hidden), 1e-5))


def upsampling_ways(tokens: int, box: tuple[int, int, int, int]) -> Ways:
    widths = (256, 64, 16, 4, 1)
    pairs = list(pairwise(widths))
    arguments = (
        torch.randn(tokens, tokens, widths[0]),
        1e-5,
        convolution_weights(widths),
        tuple(torch.rand(into) for into, _ in pairs),
        tuple(torch.randn(into) for into, _ in pairs),
        tuple(torch.randn(out, tokens << s, tokens << s) for s, (_, out) in enumerate(pairs, 1)),
        box,
    )
    return {
        "PyTorch": lambda: reference.upsample(*arguments),
        "native": lambda: native.upsample(*arguments),
    }


def edge_ways(config: ModelConfig, side: int) -> Iterator[tuple[str, Ways]]:
    network = Inter2Former(config).eval().requires_grad_(False)
    image = normalised_input(photo_like(side), stride=STRIDE)
    features = network.encoder(image)
    assert isinstance(network.edge_encoder, EdgeEncoder)

    def by_reference(call: Callable[[], object]) -> None:
        with kernels.reference_only():
            call()

    for name, call in (
        ("edge planes", lambda: network.edge_encoder.planes(image)),
        ("edge terms", lambda: network.edge_terms(image, features)),
    ):
        yield name, {"PyTorch": partial(by_reference, call), "native": call}


if __name__ == "__main__":
    main()
