"""The stages of encoding and of a click, each as a call that can be timed or counted by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from inter2former.benchmark.roofline import Stage
from inter2former.benchmark.scene import Scene
from inter2former.config import STRIDE
from inter2former.model.boundary import TokenSplit, select_boundary_tokens
from inter2former.model.boxes import Box
from inter2former.model.edge_terms import skip_terms
from inter2former.model.image_features import ImageFeatures
from inter2former.model.inter2former import EncodedImage, HybridBlock, Inter2Former

__all__ = ["boundary_share", "click_stages", "encode_stages"]


def encode_stages(
    network: Inter2Former, image: Tensor, features: Callable[[Tensor], ImageFeatures] | None = None
) -> dict[str, Stage]:
    """What runs once per image.

    Args:
        network: on the image's device.
        image: (1, 3, H, W) normalised; H and W are multiples of 16.
        features: what runs the image encoder; None: the network itself.
    """
    encode = network.encoder if features is None else features
    found = encode(image)

    def counted() -> object:
        """The same in PyTorch, out of whose sight another library computes."""
        features = network.encoder(image)
        return skip_terms(network.skip_nets, features.skips) if found.shares else features

    return {
        "image encoder": Stage(lambda: encode(image), (image, network.encoder), counted),
        "edge terms": Stage(
            lambda: network.edge_terms(image, found), (image, *found.skips, *found.shares, network.edge_encoder)
        ),
    }


def click_stages(
    network: Inter2Former, encoded: EncodedImage, scene: Scene, box: Box | None = None
) -> dict[str, Stage]:
    """What runs at a click, from the reference map to logits in a box.

    Args:
        network: in inference.
        encoded: from its `encode`, of a square image as large as the scene.
        scene: the object and the click.
        box: the tokens to upsample; None: those of the scene's object.
    """
    decoder = network.config.decoder
    whole_image, whole_map = encoded, scene.reference_map(network.config).to(encoded.embedding.device)
    window = network.window(whole_map)
    encoded, reference_map = _cropped(whole_image, whole_map, window)
    split = TokenSplit.of(select_boundary_tokens(reference_map, rule=decoder.boundary, stride=STRIDE))
    x = network.prompt_embedding.add_to(encoded.embedding, reference_map)
    blocks = [block for block in network.blocks if isinstance(block, HybridBlock)]
    before, between = [x.flatten(2).transpose(1, 2)], []
    for block in blocks:
        between.append(block.attention.add_to(before[-1], block.norm1, split))
        before.append(block.feed_forward.add_to(between[-1], block.norm2, split))
    tokens = before.pop().transpose(1, 2).unflatten(2, split.flags.shape[1:])
    box = (scene.box(network.config) if box is None else box).within(window).moved(-window.left, -window.top)
    attentions, feed_forwards = [block.attention for block in blocks], [block.feed_forward for block in blocks]
    return {
        "window": Stage(lambda: _cropped(whole_image, whole_map, network.window(whole_map)), (whole_map,)),
        "boundary tokens": Stage(
            lambda: TokenSplit.of(select_boundary_tokens(reference_map, rule=decoder.boundary, stride=STRIDE)),
            (reference_map,),
        ),
        "prompt embedding": Stage(
            lambda: network.prompt_embedding.add_to(encoded.embedding, reference_map),
            (encoded.embedding, reference_map, network.prompt_embedding),
            # What stands for the native kernel among the reference ones is dense; the module itself is not.
            counted=partial(network.prompt_embedding, reference_map),
        ),
        "attention": Stage(
            lambda: [block.attention.add_to(y, block.norm1, split) for block, y in zip(blocks, before, strict=True)],
            (*before, *attentions),
        ),
        "feed-forward": Stage(
            lambda: [
                block.feed_forward.add_to(y, block.norm2, split) for block, y in zip(blocks, between, strict=True)
            ],
            (*between, *feed_forwards),
        ),
        "box": Stage(lambda: network.upsampling.boxes(tokens), (tokens, network.upsampling.coarse)),
        "upsampling": Stage(
            lambda: network.upsampling.upsample_box(tokens, encoded.edges, box),
            (*_in_box(tokens, encoded.edges, box), network.upsampling),
        ),
    }


def _cropped(encoded: EncodedImage, reference_map: Tensor, window: Box) -> tuple[EncodedImage, Tensor]:
    pixels = window.scaled(STRIDE)
    return encoded.cropped(window), reference_map[:, :, pixels.rows, pixels.columns].contiguous()


def _in_box(tokens: Tensor, edges: tuple[Tensor, ...], box: Box) -> list[Tensor]:
    """What lies in a box of tokens, which is all that upsampling has to read."""
    scaled = [box.scaled(2**level) for level in range(len(edges) + 1)]
    return [maps[:, :, part.rows, part.columns] for maps, part in zip((tokens, *edges), scaled, strict=True)]


def boundary_share(network: Inter2Former, scene: Scene) -> float:
    """Boundary tokens among all tokens of a scene, 0..1."""
    rule = network.config.decoder.boundary
    flags = select_boundary_tokens(scene.reference_map(network.config), rule=rule, stride=STRIDE)
    return float(flags.float().mean())
