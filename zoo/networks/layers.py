"""Layers and arithmetic that several architectures share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from zoo.networks.architecture import Upsampling


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
