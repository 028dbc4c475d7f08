"""Layers and arithmetic that several architectures share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo.networks.architecture import Shape, Upsampling


def mirror(x: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
    """Extend N x C x H x W by mirroring at its border pixels, even by more than its own size."""
    if not (top or bottom or left or right):
        return x
    if max(top, bottom) < x.shape[2] and max(left, right) < x.shape[3]:
        return _extended(_extended(x, 2, top, bottom), 3, left, right)  # the same, much faster
    if top or bottom:
        x = x.index_select(2, _mirrored(x.shape[2], top, bottom, x.device))
    if left or right:
        x = x.index_select(3, _mirrored(x.shape[3], left, right, x.device))
    return x


def convs(n_in: int, n_out: int, padding: int) -> nn.Sequential:
    """Two 3x3 convolutions, a rectifier after each."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, padding=padding),
        nn.ReLU(inplace=True),
        nn.Conv2d(n_out, n_out, 3, padding=padding),
        nn.ReLU(inplace=True),
    )


def pointwise(n_in: int, n_out: int, bias: bool = True) -> nn.Conv2d:
    """A 1x1 convolution.

    A dilation changes nothing about one tap. But on one thread, torch leaves only dilated ones to oneDNN,
    which is faster than torch's own.
    """
    return nn.Conv2d(n_in, n_out, 1, bias=bias, dilation=2)


def up_sample(n_in: int, n_out: int, upsampling: Upsampling, bias: bool = True) -> nn.Module:
    """A layer that doubles the resolution."""
    if upsampling == "transposed":
        return nn.ConvTranspose2d(n_in, n_out, 2, stride=2, bias=bias)
    return nn.Sequential(
        pointwise(n_in, n_out, bias),
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
    )


def halvings(shape: Shape) -> int:
    """The stride of a network that halves the resolution `depth` times, in pixels."""
    return 1 << shape.depth


def hourglass_values(shape: Shape) -> Mapping[str, Sequence[object]]:
    """The values that each field of an hourglass's shape may have, its own first."""
    return {
        "task": ("seg", "reg"),
        "width": range(1, 1025),
        "depth": range(1, 9),
        "out_channels": (3,) if shape.task == "reg" else (1,),
        "padding": ("same",),
        "upsampling": ("transposed", "bilinear"),
        "residual": (False,),
    }


def hourglass_reach(depth: int, joins: int, bilinear: bool, top: int = 0, bottom: int = 0) -> int:
    """The reach of an encoder and decoder, in pixels.

    Follows the interval that one output pixel depends on back through the network, for each position that
    the pixel can have within the stride.

    Args:
        depth: Number of times that the resolution is halved.
        joins: Number of 3x3 convolutions at each level of the decoder.
        bilinear: Whether the decoder interpolates, which adds a pixel at each level.
        top: Number of 3x3 convolutions after the decoder.
        bottom: Number of 3x3 convolutions at the lowest level, besides the encoder's.
    """
    reach = 0
    for place in range(1 << depth):
        low, high = place - top, place + top
        for _ in range(depth):
            low, high = (low - joins - bilinear) // 2, (high + joins + bilinear) // 2
        low, high = low - 2 - bottom, high + 2 + bottom
        for _ in range(depth):
            low, high = 2 * low - 2, 2 * high + 3
        reach = max(reach, place - low, high - place)
    return reach


def _extended(x: Tensor, side: int, before: int, after: int) -> Tensor:
    """One side of x extended by less than its length; channels stay last, which `F.pad` undoes and redoes."""
    parts = [x.narrow(side, 1, before).flip(side)] if before else []
    parts.append(x)
    if after:
        parts.append(x.narrow(side, x.shape[side] - 1 - after, after).flip(side))
    return torch.cat(parts, side) if len(parts) > 1 else x


def _mirrored(length: int, before: int, after: int, device: torch.device) -> Tensor:
    """For each pixel of the extended side, the index of the pixel that it mirrors."""
    places = torch.arange(-before, length + after, device=device)
    period = max(2 * (length - 1), 1)
    places = places % period
    return torch.where(places < length, places, period - places)
