"""The native planes have the bits of the reference; nets of convolutions equal it."""

from __future__ import annotations

import pytest
import torch

from inter2former.config import PIXEL_MEAN, PIXEL_STD
from inter2former.kernels import native, reference
from inter2former.kernels.reference import Convolution, Given

MEAN, DEVIATION = torch.tensor(PIXEL_MEAN), torch.tensor(PIXEL_STD)
SIZES = [(1, 1), (1, 7), (9, 1), (2, 3), (16, 16), (33, 47), (130, 20)]


def images(height, width):
    """Noise, flat colour and straight edges, whose two sides have gradients of the same length."""
    torch.manual_seed(height + 1000 * width)
    pixels = torch.randint(0, 256, (3, height, width)).float()
    yield (pixels - MEAN[:, None, None]) / DEVIATION[:, None, None]
    pixels = torch.full((3, height, width), 200.0)
    yield (pixels - MEAN[:, None, None]) / DEVIATION[:, None, None]
    pixels[:, height // 2 :] -= 100
    pixels[1, :, width // 3 :] += 30
    yield (pixels - MEAN[:, None, None]) / DEVIATION[:, None, None]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_planes_have_the_bits_of_the_reference(level, size):
    for image in images(*size):
        expected = reference.colour_planes(image, MEAN, DEVIATION)
        assert torch.equal(native.colour_planes(image, MEAN, DEVIATION), expected)
        turned = image.permute(1, 2, 0).contiguous().permute(2, 0, 1)
        assert torch.equal(native.colour_planes(turned, MEAN, DEVIATION), expected)


def test_planes_of_a_part_of_an_image(level):
    wide = next(images(40, 60))
    part = wide[:, 3:36, 5:42]
    assert torch.equal(
        native.colour_planes(part, MEAN, DEVIATION), reference.colour_planes(part.contiguous(), MEAN, DEVIATION)
    )


def convolution(source, into, out, kernel=3, **settings):
    weight = torch.randn(out, into, kernel, kernel) * (kernel * kernel * into) ** -0.5
    return Convolution(source, weight, torch.randn(out), **settings)


def edge_net(height, width):
    """A net like the edge encoder: residual blocks, a coarser level, a map with ones and channels last."""
    torch.manual_seed(height + 1000 * width)
    skip = torch.randn(height // 2, width // 2, 8).permute(2, 0, 1)
    return (
        Given(torch.randn(5, height, width)),
        convolution(0, 5, 4),
        convolution(1, 4, 4, activate=True),
        convolution(2, 4, 4, activate=True, residual=1),
        convolution(3, 4, 4, kernel=1),
        convolution(4, 4, 1, wanted=True),
        Given(skip, ones=True),
        convolution(6, 9, 6, kernel=1),
        convolution(3, 4, 6, stride=2, residual=7, wanted=True),
        convolution(8, 6, 3, wanted=True),
        convolution(6, 9, 17),
        convolution(10, 17, 1, kernel=1, activate=True, wanted=True),
    )


# Sums of up to 153 products, up to five layers deep.
def close(measured, expected):
    assert len(measured) == len(expected)
    for one, other in zip(measured, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=3e-5)


@pytest.mark.parametrize("size", [(2, 2), (4, 30), (62, 2), (64, 48), (98, 70), (256, 16)], ids=str)
def test_every_level_equals_the_reference(level, size):
    nodes = edge_net(*size)
    close(native.convolution_net(nodes), reference.convolution_net(nodes))


@pytest.mark.parametrize("into", [1, 3, 64])
@pytest.mark.parametrize("out", [1, 2, 5, 16])
def test_channels(level, into, out):
    nodes = Given(torch.randn(into, 9, 31)), convolution(0, into, out, wanted=True)
    close(native.convolution_net(nodes), reference.convolution_net(nodes))


def test_strides(level):
    wide, skip = torch.randn(5, 12, 50), torch.randn(20, 6, 40)
    given, skip = wide[:, :, 3:43], skip[::2, :, ::2]
    weights = torch.randn(6, 3, 3, 5).permute(0, 3, 1, 2), torch.randn(11, 6).T[..., None, None]
    net = (
        Convolution(0, weights[0], torch.randn(12)[::2], stride=2, wanted=True),
        Given(skip, ones=True),
        Convolution(2, weights[1], torch.randn(6), wanted=True),
    )
    measured = native.convolution_net((Given(given), *net))
    close(measured, reference.convolution_net((Given(given), *net)))


def test_every_number_of_threads_gives_the_same_bits(threads):
    nodes, image = edge_net(256, 32), next(images(130, 47))
    measured, planes = native.convolution_net(nodes), native.colour_planes(image, MEAN, DEVIATION)
    torch.set_num_threads(1)
    assert all(map(torch.equal, measured, native.convolution_net(nodes)))
    assert torch.equal(planes, native.colour_planes(image, MEAN, DEVIATION))


def test_what_does_not_fit_is_refused():
    given = Given(torch.zeros(3, 5, 6))
    for node, message in (
        (convolution(1, 3, 4, wanted=True), "source must be an earlier node"),
        (convolution(0, 2, 4, wanted=True), "weight and bias must be"),
        (convolution(0, 3, 4, stride=2, wanted=True), "stride must be 1, or 2"),
        (convolution(0, 3, 4, residual=0, wanted=True), "residual must be an earlier node of the same shape"),
    ):
        with pytest.raises((ValueError, IndexError), match=message if node.source == 0 else "range"):
            native.convolution_net((given, node))
    with pytest.raises(ValueError, match=r"image must be \(3, H, W\)"):
        native.colour_planes(torch.zeros(2, 4, 4), MEAN, DEVIATION)
