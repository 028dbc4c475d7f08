"""JPEG without its bytes: what libjpeg-turbo makes of pictures at 4:2:0, in whole numbers and exactly.

Coding the coefficients loses nothing, so it is left out. What is left are the conversion of colors, the
halving of the two color planes, the transform of blocks of 8 x 8 pixels (libjpeg's `islow`) and its rounding,
the division by the table of the quality, and the way back, with colors interpolated. Blocks of all pictures
are transformed together. Tests compare the pixels with OpenCV's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

_SIDE = 8
_HALF = (
    (8192, 8192, 8192, 8192), (11363, 9633, 6437, 2260), (10703, 4433, -4433, -10703),
    (9633, -2259, -11362, -6436), (8192, -8192, -8192, 8192), (6437, -11362, 2261, 9633),
    (4433, -10704, 10704, -4433), (2260, -6436, 9633, -11363),
)  # fmt: skip
"""The left half of the transform, in steps of 1/8192; even rows are symmetric, odd ones antisymmetric.

Each entry is the sum of those rounded constants of libjpeg that a value passes on its way.
"""
_LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_COLOR = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99, *(99,) * 32,
)  # fmt: skip
"""Tables K.1 and K.2 of the JPEG standard."""


def compressed(
    pictures: Sequence[Tensor], qualities: Sequence[int], offsets: Sequence[tuple[int, int]]
) -> list[Tensor]:
    """Pictures after JPEG compression.

    Args:
        pictures: 3 x H x W each, RGB, uint8, of any sizes, on one device.
        qualities: Of each, from 1 to 100.
        offsets: Of each, how many pixels left of it and above it units of 16 x 16 pixels begin.
    """
    if not pictures:
        return []
    grown = [_padded(each, top, left) for each, (left, top) in zip(pictures, offsets, strict=True)]
    planes = [plane for each in grown for plane in _split(each)]
    blocks = [_blocks(plane) for plane in planes]
    counts = [len(each) for each in blocks]
    steps = _steps(qualities, counts, grown[0].device)
    coded = torch.split(_transformed(torch.cat(blocks), steps), counts)
    back = [_plane(own, plane.shape) for own, plane in zip(coded, planes, strict=True)]
    return [
        _joined(back[3 * number : 3 * number + 3], each.shape[1:])[:, top:, left:]
        for number, (each, (left, top)) in enumerate(zip(grown, offsets, strict=True))
    ]


def _steps(qualities: Sequence[int], counts: Sequence[int], device: torch.device) -> Tensor:
    """The steps of all blocks' coefficients: N x 8 x 8, int32; each picture has three counts of blocks."""
    tables = torch.tensor([_tables(quality) for quality in qualities], dtype=torch.int32, device=device)
    every = torch.tensor(counts, device=device)
    return tables.view(-1, _SIDE, _SIDE).repeat_interleave(every, 0, output_size=sum(counts))


def _tables(quality: int) -> tuple[tuple[int, ...], ...]:
    """What the coefficients of brightness, and of each color, are divided by."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    brightness, color = (
        tuple(min(max((value * scale + 50) // 100, 1), 255) for value in table)
        for table in (_LUMINANCE, _COLOR)
    )
    return brightness, color, color


def _padded(picture: Tensor, top: int = 0, left: int = 0, bottom: int = 0, right: int = 0) -> Tensor:
    """... x H x W, with the pixels at its edges repeated."""
    for dim, before, after in ((-2, top, bottom), (-1, left, right)):
        if before or after:
            length = picture.shape[dim]
            places = torch.arange(-before, length + after, device=picture.device).clamp(0, length - 1)
            picture = picture.index_select(dim, places)
    return picture


def _up(length: int, unit: int) -> int:
    """How much a length lacks of a multiple."""
    return -length % unit


def _split(picture: Tensor) -> list[Tensor]:
    """Brightness and two colors of half the size, int32, minus 128, each of whole blocks."""
    height, width = picture.shape[1:]
    red, green, blue = picture.int()
    half = 1 << 15
    brightness = (19595 * red + 38470 * green + 7471 * blue + half) >> 16
    colors = torch.stack([
        (-11059 * red - 21709 * green + 32768 * blue + (128 << 16) + half - 1) >> 16,
        (32768 * red - 27439 * green - 5329 * blue + (128 << 16) + half - 1) >> 16,
    ])  # fmt: skip
    wide = _padded(colors, bottom=_up(height, 2), right=_up(width, 2 * _SIDE))
    sums = wide[:, ::2, ::2] + wide[:, ::2, 1::2] + wide[:, 1::2, ::2] + wide[:, 1::2, 1::2]
    bias = torch.arange(sums.shape[2], device=sums.device, dtype=torch.int32) % 2 + 1
    halved = (sums + bias) >> 2
    whole = _padded(brightness, bottom=_up(height, _SIDE), right=_up(width, _SIDE))
    return [whole - 128, *(_padded(halved, bottom=_up(halved.shape[1], _SIDE)) - 128)]


def _joined(planes: Sequence[Tensor], size: Sequence[int]) -> Tensor:
    """RGB, uint8, of that height and width."""
    height, width = size
    brightness = planes[0][:height, :width]
    high, wide = (height + 1) // 2, (width + 1) // 2
    double = _triangles if wide > 2 else _repeated  # as libjpeg does it
    blue, red = double(torch.stack([each[:high, :wide] for each in planes[1:]]))[:, :height, :width] - 128
    half = 1 << 15
    rgb = torch.stack([
        brightness + ((91881 * red + half) >> 16),
        brightness + ((-22554 * blue - 46802 * red + half) >> 16),
        brightness + ((116130 * blue + half) >> 16),
    ])  # fmt: skip
    return rgb.clamp(0, 255).byte()


def _repeated(planes: Tensor) -> Tensor:
    """Planes of twice the size, each value four times."""
    return planes.repeat_interleave(2, -1).repeat_interleave(2, -2)


def _triangles(planes: Tensor) -> Tensor:
    """Planes of twice the size: three parts of the nearest value and one of the next, along each side."""
    count, height, width = planes.shape
    around = _padded(planes, 1, 1, 1, 1)
    middle = 3 * around[:, 1:-1]
    lines = torch.stack([middle + around[:, :-2], middle + around[:, 2:]], 2).flatten(1, 2)
    near = 3 * lines[..., 1:-1]
    pairs = torch.stack([(near + lines[..., :-2] + 8) >> 4, (near + lines[..., 2:] + 7) >> 4], -1)
    return pairs.view(count, 2 * height, 2 * width)


def _blocks(plane: Tensor) -> Tensor:
    height, width = plane.shape
    rows = plane.reshape(height // _SIDE, _SIDE, width // _SIDE, _SIDE)
    return rows.permute(0, 2, 1, 3).reshape(-1, _SIDE, _SIDE)


def _plane(blocks: Tensor, size: Sequence[int]) -> Tensor:
    rows = blocks.view(size[0] // _SIDE, size[1] // _SIDE, _SIDE, _SIDE)
    return rows.permute(0, 2, 1, 3).reshape(*size)


def _transformed(blocks: Tensor, steps: Tensor) -> Tensor:
    """N x 8 x 8, int32: blocks there and back again, with the coefficients in steps between."""
    signs = (1, -1) * (_SIDE // 2)
    rows = [[*half, *(sign * value for value in half[::-1])] for half, sign in zip(_HALF, signs, strict=True)]
    there = torch.tensor(rows, dtype=torch.int32, device=blocks.device)
    coefficients = _times(there, _times(there, blocks.mT, 11).mT, 15)  # in eighths
    divisors = 8 * steps
    counted = torch.div(coefficients.abs() + divisors // 2, divisors, rounding_mode="floor")
    coded = counted * coefficients.sign() * steps
    back = _times(there.mT, _times(there.mT, coded, 11).mT, 18).mT
    return (back + 128).clamp(0, 255)


def _times(matrix: Tensor, blocks: Tensor, bits: int) -> Tensor:
    """The matrix times each block, divided by a power of two and rounded, halves upwards."""
    products = (matrix[:, :, None] * blocks[:, None]).sum(2, dtype=torch.int32)
    return (products + (1 << bits - 1)) >> bits
