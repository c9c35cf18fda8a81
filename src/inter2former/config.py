"""Every choice about the network, as frozen values; the named presets are at the end.

A choice exists because the paper's ablations have it, or because the released network has a defect that the compact
preset remedies (each remedy is one field). Unknown names are refused by `preset`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args, get_origin, get_type_hints

__all__ = [
    "PIXEL_MEAN",
    "PIXEL_STD",
    "PRESETS",
    "STRIDE",
    "ClickConfig",
    "DecoderConfig",
    "EdgeConfig",
    "ModelConfig",
    "TinyViTConfig",
    "WindowedViTConfig",
    "preset",
]

STRIDE = 16
"""Side of a token in pixels of the network's input."""

PIXEL_MEAN = (123.675, 116.28, 103.53)
"""Mean of the training images' channels, red first, in 0..255; subtracted from the network's input."""

PIXEL_STD = (58.395, 57.12, 57.375)
"""Standard deviation of the same; the network's input is divided by it."""


MAX_CODE_BITS = 12
"""A code addresses one of 2^bits keys; with more bits than this there would be more keys than tokens."""


def _check_choices(config: object) -> None:
    """Refuse a value that the field's `Literal` does not name."""
    for name, hint in get_type_hints(type(config)).items():
        value, choices = getattr(config, name), get_args(hint)
        if get_origin(hint) is Literal and value not in choices:
            raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(repr(choice) for choice in choices)}")


def _check_range(config: object, name: str, low: int, high: int | None = None) -> None:
    value = getattr(config, name)
    if value < low or (high is not None and value > high):
        wanted = f"at least {low}" if high is None else f"in {low}..{high}"
        raise ValueError(f"{name} is {value}; it must be {wanted}")


@dataclass(frozen=True, slots=True)
class TinyViTConfig:
    """TinyViT-5M: the first stage is convolutional, the others attend in windows."""

    widths: tuple[int, ...] = (64, 128, 160, 320)
    depths: tuple[int, ...] = (2, 2, 6, 2)
    windows: tuple[int, ...] = (7, 14, 7)
    heads: tuple[int, ...] = (4, 5, 10)
    embedding: int = 256


@dataclass(frozen=True, slots=True)
class WindowedViTConfig:
    """The paper's encoder, a ViT-B over windows at two scales of the image.

    Attributes:
        depth: number of blocks; every other one has shifted windows.
        width: channels of a token.
        heads: attention heads.
        window: side of a window in tokens.
        patch: side of a token in pixels.
        position_grid: side of the table of positions, which is resized to the image's tokens.
        rotary_scale: distance of neighbouring tokens in the rotary embedding.
        scales: the image is seen at its own size and, squeezed to a square, at each of these sides in pixels.
        taps: blocks, counted from 0, whose tokens make the embedding.
        embedding: channels of the image embedding.
    """

    depth: int = 12
    width: int = 768
    heads: int = 12
    window: int = 16
    patch: int = 16
    position_grid: int = 14
    rotary_scale: float = 0.5
    scales: tuple[int, ...] = (256,)
    taps: tuple[int, ...] = (2, 5, 8, 11)
    embedding: int = 256

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit together.

        Raises:
            ValueError: the message names the field.
        """
        if self.width % (4 * self.heads):
            raise ValueError(
                f"width is {self.width} and heads {self.heads}; a head must have a multiple of 4 channels, "
                "for rotary positions"
            )
        if not self.taps or not all(0 <= tap < self.depth for tap in self.taps):
            raise ValueError(f"taps is {self.taps}; each must be a block, 0..{self.depth - 1}")


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    """The edge encoder: planes computed from the image, residual blocks per level, maps taken over from the encoder.

    Attributes:
        planes: "canny" as released (five maps, each divided by its norm over the whole plane), or "colour": RGB,
            gradient magnitude and thinned edge, whose values depend neither on padding nor on resolution.
        depths: residual blocks per level, fine to coarse (1/1, 1/2, 1/4, 1/8); levels past the end of the tuple have
            no layers of their own and consist of the encoder's skip map alone.
        skips: channels of the encoder's map that joins each level, fine to coarse; 0: none.
        norm: "group" (one group over the whole plane, as released) or "none".
    """

    planes: Literal["canny", "colour"] = "canny"
    depths: tuple[int, ...] = (4, 4, 4, 4)
    skips: tuple[int, ...] = (0, 0, 0, 0)
    norm: Literal["group", "none"] = "group"

    def __post_init__(self) -> None:
        """Refuse unknown names, and a level that would have nothing.

        Raises:
            ValueError: the message names the field.
        """
        _check_choices(self)
        if len(self.depths) > len(self.skips) or not all(self.skips[len(self.depths) :]):
            raise ValueError(
                f"depths is {self.depths} and skips {self.skips}; every level needs layers of its own or a skip map"
            )


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """Prompt embedding, hybrid attention, mixture of experts and upsampling.

    The first names of `attention`, `prompt`, `upsampling` and `feed_forward` are the paper's method, the others the
    rows of its ablation.

    Attributes:
        width: channels of the image embedding.
        depth: number of blocks.
        downscale: attention width and expert width are `width` and `hidden` divided by this; also the expert count.
        hidden: width of the feed-forward layer before it is split into experts.
        attention: "hybrid": boundary tokens see all tokens, the others the binary-spherical codes of all tokens;
            "full": every token sees all tokens; "bsq": every token sees codes; "vq": as "hybrid", but the codes are
            the nearest of 2^code_bits learned vectors.
        code_bits: bits of a code, 1..12.
        code_balance: in training, the weight of a loss against codes that are all alike; 0 as released.
        prompt: "dynamic": the reference map is embedded inside its box, along the contours; "dense": the whole of it.
        upsampling: "local": inside the box of the object; "full": the whole plane.
        feed_forward: "hybrid": a shared expert for every token and routed ones for boundary tokens; "shared": only the
            shared one.
        experts_per_token: routed experts of a boundary token; 1 as released, more is an idea the paper leaves open.
        prompt_widths: channels of the strided convolutions of the prompt embedding.
        boundary: which rule marks boundary tokens; "exact" (integer logic) or "release" (what the released float32
            test amounts to: every token of the box whose windows are not entirely definite background).
        prompt_border: what the prompt convolution sees beyond its crop: "zero" as released, or "background", the
            state that holds outside, so that the crop equals the convolution over an endless map.
        normalise_embedding: a layer norm on each token of the image embedding, for encoders whose embedding is much
            smaller than the prompt embedding that is added to it.
        upsampling_norm: "group" (statistics over the crop, as released) or "token": a layer norm on each token, and
            only a scale and a shift per channel on the finer maps, whose few channels a norm would flatten.
        coarse_shapes_tokens: the auxiliary low-resolution mask sends its gradient into the tokens; not so as released.
        interpolation: how the upsampler doubles a map.
        window_margin: a later click is answered from the tokens within this many of the prompt box, see
            `Inter2Former.answer`; None as released: from all tokens.
        box_margin: tokens added on each side of the box that is upsampled.
        box_halo: further tokens computed and dropped, so that the crop equals the full map. With "token" norm and
            "bilinear" interpolation 2 is exact: the four stages reach 1 + 1/2 + 1/4 + 1/8 tokens.
        box_holds_clicks: the box that is upsampled holds every token with definite foreground.
        box_threshold: a token whose low-resolution logit exceeds this belongs to the box.
    """

    width: int = 256
    depth: int = 2
    downscale: int = 8
    hidden: int = 512
    attention: Literal["hybrid", "full", "bsq", "vq"] = "hybrid"
    code_bits: int = 8
    code_balance: float = 0.0
    prompt: Literal["dynamic", "dense"] = "dynamic"
    upsampling: Literal["local", "full"] = "local"
    feed_forward: Literal["hybrid", "shared"] = "hybrid"
    experts_per_token: int = 1
    prompt_widths: tuple[int, ...] = (32, 64, 128, 256)
    boundary: Literal["exact", "release"] = "release"
    prompt_border: Literal["zero", "background"] = "zero"
    normalise_embedding: bool = False
    upsampling_norm: Literal["group", "token"] = "group"
    coarse_shapes_tokens: bool = False
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    window_margin: int | None = None
    box_margin: int = 0
    box_halo: int = 0
    box_holds_clicks: bool = False
    box_threshold: float = -2.0

    def __post_init__(self) -> None:
        """Refuse unknown names and sizes that do not fit together.

        Raises:
            ValueError: the message names the field.
        """
        _check_choices(self)
        for name in ("width", "depth", "downscale", "hidden"):
            _check_range(self, name, 1)
        _check_range(self, "code_bits", 1, MAX_CODE_BITS)
        if not 0 <= self.code_balance < math.inf:
            raise ValueError(f"code_balance is {self.code_balance}; it must be a number of at least 0")
        _check_range(self, "experts_per_token", 1, self.downscale)
        if self.window_margin is not None:
            _check_range(self, "window_margin", 2)  # what upsampling looks beyond its box
        _check_range(self, "box_margin", 0)
        _check_range(self, "box_halo", 0)
        for name in ("width", "hidden"):
            if getattr(self, name) % self.downscale:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; it must be a multiple of downscale, {self.downscale}"
                )
        if self.width // self.downscale % 4:
            raise ValueError(
                f"width / downscale is {self.width // self.downscale}; it must be a multiple of 4 for rotary positions"
            )


@dataclass(frozen=True, slots=True)
class ClickConfig:
    """How clicks enter the reference map; radii in pixels of the network's input.

    Attributes:
        initial_state: the state of every pixel before the first click; 2 (unknown) as released, 1 (possible
            background) for a first click that costs no more than the others.
        inner_radius: pixels this near to a click take its definite state.
        outer_radius: background pixels this near to a positive click become unknown, and foreground pixels near a
            negative one.
        first_outer_radius: the same for the first click, which has to find the object.
        outer_growth: the outer radius of a later click is at least this many times the distance from the click to the
            nearest pixel that the answer before has on its side; 0: it does not depend on the answer. A click in the
            middle of a large mistake opens all of it.
        outer_limit: most that the outer radius grows to.
    """

    initial_state: Literal[1, 2] = 2
    inner_radius: int = 5
    outer_radius: int = 0
    first_outer_radius: int = 0
    outer_growth: float = 0.0
    outer_limit: int = 0

    def __post_init__(self) -> None:
        """Refuse other states and negative numbers.

        Raises:
            ValueError: the message names the field.
        """
        _check_choices(self)
        for name in ("inner_radius", "outer_radius", "first_outer_radius", "outer_growth", "outer_limit"):
            _check_range(self, name, 0)


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One whole network.

    Attributes:
        encoder: the image encoder; the type says which.
        edges: the edge encoder.
        decoder: what runs at every click.
        clicks: how clicks enter the reference map.
        channel_order: which colour is the first channel of the network's input. "bgr" as released, whose weights were
            trained with blue first; mean and standard deviation are red first all the same, which is a mistake that
            the weights have learnt to live with.
        padding: what fills the input at the right and bottom up to whole tokens: "repeat", the last column and row; or
            "zero" as released, the mean colour.
    """

    encoder: TinyViTConfig | WindowedViTConfig = field(default_factory=TinyViTConfig)
    edges: EdgeConfig = field(default_factory=EdgeConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    clicks: ClickConfig = field(default_factory=ClickConfig)
    channel_order: Literal["rgb", "bgr"] = "rgb"
    padding: Literal["repeat", "zero"] = "repeat"

    def __post_init__(self) -> None:
        """Refuse unknown names, and parts that do not fit together.

        Raises:
            ValueError: the message names the field.
        """
        _check_choices(self)
        width, prompt_widths = self.decoder.width, self.decoder.prompt_widths
        if self.encoder.embedding != width:
            raise ValueError(f"encoder.embedding is {self.encoder.embedding}; it must equal decoder.width, {width}")
        if 2 ** len(prompt_widths) != STRIDE or prompt_widths[-1] != width:
            raise ValueError(
                f"decoder.prompt_widths is {prompt_widths}; it must be {STRIDE.bit_length() - 1} numbers, "
                f"the last one decoder.width, {width}"
            )
        if width % STRIDE**2:
            raise ValueError(
                f"decoder.width is {width}; it must be a multiple of {STRIDE**2}: the upsampling quarters it four times"
            )


PRESETS: dict[str, ModelConfig] = {
    "inter2former-t": ModelConfig(
        encoder=TinyViTConfig(),
        edges=EdgeConfig(planes="colour", depths=(1, 0), skips=(0, 32, 64, 128), norm="none"),
        decoder=DecoderConfig(
            code_balance=0.1,
            boundary="exact",
            prompt_border="background",
            normalise_embedding=True,
            upsampling_norm="token",
            coarse_shapes_tokens=True,
            interpolation="bilinear",
            window_margin=4,
            box_margin=1,
            box_halo=2,
            box_holds_clicks=True,
            box_threshold=-0.5,
        ),
        clicks=ClickConfig(initial_state=1, outer_radius=96, first_outer_radius=320, outer_growth=3.0, outer_limit=400),
    ),
    "inter2former-b": ModelConfig(encoder=WindowedViTConfig(), channel_order="bgr", padding="zero"),
}
"""The networks that can be asked for by name."""


def preset(name: str) -> ModelConfig:
    """Look a preset up.

    Raises:
        ValueError: no preset of that name.
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise ValueError(f"unknown preset {name!r}; the presets are {', '.join(sorted(PRESETS))}") from None
