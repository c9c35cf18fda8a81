"""The stages of encoding and of a click, each as a call that can be timed or counted by itself."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from inter2former.benchmark.scene import Scene
from inter2former.config import STRIDE
from inter2former.model.boundary import TokenSplit, select_boundary_tokens
from inter2former.model.inter2former import EncodedImage, HybridBlock, Inter2Former

__all__ = ["boundary_share", "click_stages", "encode_stages"]

Stages = dict[str, Callable[[], object]]


def encode_stages(network: Inter2Former, image: Tensor) -> Stages:
    """What runs once per image.

    Args:
        network: on the image's device.
        image: (1, 3, H, W) normalised; H and W are multiples of 16.
    """
    skips = network.encoder(image).skips
    edges = network.edge_encoder(image, skips)
    return {
        "image encoder": lambda: network.encoder(image),
        "edge encoder": lambda: network.edge_encoder(image, skips),
        "edge terms": lambda: network.upsampling.prepare(edges),
    }


def click_stages(network: Inter2Former, encoded: EncodedImage, scene: Scene) -> Stages:
    """What runs at a click, from the reference map to logits in the box of the scene's object.

    Args:
        network: in inference.
        encoded: from its `encode`, of a square image as large as the scene.
        scene: the object and the click.
    """
    decoder = network.config.decoder
    reference_map = scene.reference_map(network.config).to(encoded.embedding.device)
    split = TokenSplit.of(select_boundary_tokens(reference_map, rule=decoder.boundary, stride=STRIDE))
    x = network.prompt_embedding.add_to(encoded.embedding, reference_map)
    blocks = [block for block in network.blocks if isinstance(block, HybridBlock)]
    before, between = [x.flatten(2).transpose(1, 2)], []
    for block in blocks:
        between.append(block.attention.add_to(before[-1], block.norm1, split))
        before.append(block.feed_forward.add_to(between[-1], block.norm2, split))
    tokens = before.pop().transpose(1, 2).unflatten(2, split.flags.shape[1:])
    box = scene.box(network.config)
    return {
        "boundary tokens": lambda: TokenSplit.of(
            select_boundary_tokens(reference_map, rule=decoder.boundary, stride=STRIDE)
        ),
        "prompt embedding": lambda: network.prompt_embedding.add_to(encoded.embedding, reference_map),
        "attention": lambda: [
            block.attention.add_to(y, block.norm1, split) for block, y in zip(blocks, before, strict=True)
        ],
        "feed-forward": lambda: [
            block.feed_forward.add_to(y, block.norm2, split) for block, y in zip(blocks, between, strict=True)
        ],
        "upsampling": lambda: network.upsampling.upsample_box(tokens, encoded.edges, box),
    }


def boundary_share(network: Inter2Former, scene: Scene) -> float:
    """Boundary tokens among all tokens of a scene, 0..1."""
    rule = network.config.decoder.boundary
    flags = select_boundary_tokens(scene.reference_map(network.config), rule=rule, stride=STRIDE)
    return float(flags.float().mean())
