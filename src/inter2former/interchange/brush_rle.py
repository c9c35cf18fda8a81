"""Label Studio's run lengths of brush masks: RGBA values in row-major order, packed into bits.

A header of 32 bits with the number of values, 5 bits with the bits of a value less one, and four times 4 bits with
four sizes less one. Then chunks: 1 bit (1: one value is repeated, 0: values follow one by one), 2 bits that choose one
of the sizes, so many bits with the count less one, and the value or values. Zeros up to a whole byte, and one byte more
where there is nothing to fill. The scheme is that of the rle-pack package, the numbers those that Label Studio writes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["decode_brush", "encode_brush"]

_SIZES = (3, 4, 8, 16)
_VALUE_BITS = 8
_CHANNELS = 4
_SET = 255
_LONGEST = 1 << _SIZES[-1]
_FLAG_BITS = 3


def encode_brush(mask: NDArray[np.bool_]) -> list[int]:
    """Write a mask.

    Args:
        mask: (H, W) bool, at least one pixel.

    Returns:
        numbers 0..255, the same as Label Studio's own converter writes for a mask of 0 and 255.
    """
    flat = np.ascontiguousarray(mask).reshape(-1)
    edges = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]])
    lengths, values = np.diff(edges) * _CHANNELS, flat[edges[:-1]] * np.int64(_SET)
    lengths, values = _at_most(lengths, values)
    # A run of RGBA values has at least four, so chunks of single values do not occur.
    choice = np.searchsorted(np.array([1 << size for size in _SIZES]), lengths)
    bits = np.array(_SIZES)[choice]
    code = (((1 << 2) | choice) << bits | (lengths - 1)) << _VALUE_BITS | values
    total = _FLAG_BITS + bits + _VALUE_BITS
    header = _bits(np.array([flat.size * _CHANNELS, _VALUE_BITS - 1]), np.array([32, 5]))
    sizes = _bits(np.array(_SIZES) - 1, np.full(len(_SIZES), 4))
    stream = np.concatenate([header, sizes, _bits(code, total)])
    filled = np.concatenate([stream, np.zeros(8 - stream.size % 8, dtype=np.uint8)])
    return [int(byte) for byte in np.packbits(filled)]


def decode_brush(rle: Sequence[int], height: int, width: int) -> NDArray[np.bool_]:
    """Read a mask: pixels whose alpha, the last of the four values, is above half.

    Args:
        rle: numbers 0..255.
        height: rows of the image.
        width: columns of the image.

    Returns:
        (height, width) bool.

    Raises:
        ValueError: the numbers break off, or hold an image of another size.
    """
    try:
        stream = _BitReader(bytes(rle))
    except (ValueError, TypeError) as error:
        raise ValueError(f"brush run lengths hold something else than numbers 0..255 ({error})") from error
    count, value_bits = stream.read(32), stream.read(5) + 1
    sizes = [stream.read(4) + 1 for _ in range(4)]
    if count != height * width * _CHANNELS:
        raise ValueError(
            f"brush run lengths hold {count} values, an image of {width}x{height} has {height * width * _CHANNELS}"
        )
    values = np.zeros(count, dtype=np.uint8)
    at = 0
    while at < count:
        repeated = stream.read(1)
        length = stream.read(sizes[stream.read(2)]) + 1
        if repeated:
            values[at : at + length] = stream.read(value_bits) & 255
        else:
            for offset in range(at, min(at + length, count)):
                values[offset] = stream.read(value_bits) & 255
        at += length
    return values.reshape(height, width, _CHANNELS)[..., -1] > _SET // 2


class _BitReader:
    """Reads numbers of any width, highest bit first."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def read(self, bits: int) -> int:
        """The next number."""
        end = self._at + bits
        if end > 8 * len(self._content):
            raise ValueError(f"brush run lengths break off after {len(self._content)} numbers")
        first, last = self._at // 8, -(-end // 8)
        number = int.from_bytes(self._content[first:last], "big") >> (8 * last - end)
        self._at = end
        return number & ((1 << bits) - 1)


def _at_most(lengths: NDArray[np.int64], values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut runs into pieces that the greatest size can count, the full ones first."""
    pieces = -(-lengths // _LONGEST)
    cut = np.full(int(pieces.sum()), _LONGEST, dtype=np.int64)
    cut[np.cumsum(pieces) - 1] = lengths - (pieces - 1) * _LONGEST
    return cut, np.repeat(values, pieces)


def _bits(numbers: NDArray[np.int64], widths: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Write each number in its width, highest bit first: one uint8 of 0 or 1 per bit."""
    which = np.repeat(np.arange(len(numbers)), widths)
    place = np.repeat(np.cumsum(widths), widths) - 1 - np.arange(len(which))
    return ((numbers[which] >> place) & 1).astype(np.uint8)
