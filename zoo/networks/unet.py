"""The paper's network (section IV-B): a U-Net on both frames as six channels, not normalized."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from zoo.networks.layers import convs, hourglass_reach, mirror, up_sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo.networks.architecture import Shape


class UNet(nn.Module):
    """Encoder, decoder, skips (section IV-B), on both frames as six channels; no normalisation layers."""

    def __init__(self, config: Shape) -> None:
        super().__init__()
        self.config = config
        widths = [config.width << level for level in range(config.depth + 1)]
        padding = 1 if config.padding == "same" else 0
        self.down = nn.ModuleList(convs(n_in, n_out, padding) for n_in, n_out in pairwise([6, *widths]))
        upward = list(pairwise(reversed(widths)))
        self.up = nn.ModuleList(up_sample(n_in, n_out, config.upsampling) for n_in, n_out in upward)
        self.join = nn.ModuleList(convs(2 * n_out, n_out, padding) for _, n_out in upward)
        self.head = nn.Conv2d(config.width, config.out_channels, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """See `zoo.networks.Network.forward`."""
        out = self.trunk(torch.cat([a, b], 1).to(self.head.weight.dtype)).float()
        if self.config.out_channels == 2:
            return out[:, :1] - out[:, 1:]  # the logit of softmax's z_0
        return (a + b) / 2 + out if self.config.residual else out

    def trunk(self, x: Tensor) -> Tensor:
        """Six channels in, `out_channels` out, of the same size."""
        height, width = x.shape[-2:]
        depth = self.config.depth
        if self.config.padding == "valid":
            x = mirror(x, *valid_margins(height, depth), *valid_margins(width, depth))
        else:
            x = mirror(x, 0, -height % (1 << depth), 0, -width % (1 << depth))
        skips = []
        for block in self.down[:-1]:
            x = block(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.down[-1](x)
        for up, join in zip(self.up, self.join, strict=True):
            x = up(x)
            x = join(torch.cat([_center(skips.pop(), x), x], 1))
        return self.head(x)[..., :height, :width]  # type: ignore[no-any-return]


def reach(shape: Shape) -> int:
    """How far an output depends on the input, in pixels."""
    return hourglass_reach(shape.depth, 2, shape.upsampling == "bilinear")


def allowed(shape: Shape) -> Mapping[str, Sequence[object]]:
    """The values that a U-Net's shape may have."""
    return {
        "task": ("seg", "reg"),
        "width": range(1, 1025),
        "depth": range(1, 9),
        "out_channels": (3,) if shape.task == "reg" else (1, 2),
        "padding": ("same", "valid"),
        "upsampling": ("transposed", "bilinear"),
        "residual": (False, True) if shape.task == "reg" else (False,),
    }


def valid_margins(length: int, depth: int) -> tuple[int, int]:
    """Pixels to add before and after a length, so that valid convolutions return at least that length.

    >>> valid_margins(388, 4)  # the U-Net paper's own 572
    (92, 92)
    """
    before, size = 2, length
    for _ in range(depth):
        size = -(-(size + 4) // 2)
    size += 4
    for _ in range(depth):
        before, size = 2 * before + 4, 2 * size + 4
    return before, size - before - length


def _center(skip: Tensor, like: Tensor) -> Tensor:
    """The part of a skip that an up-sampled tensor covers; all of it with `same` padding."""
    height, width = like.shape[-2:]
    top, left = (skip.shape[-2] - height) // 2, (skip.shape[-1] - width) // 2
    return skip[..., top : top + height, left : left + width]
