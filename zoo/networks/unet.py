"""`unet`: the network of the paper (section IV-B), a U-Net on both frames as six channels."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from zoo.networks.layers import convs, mirror, up_sample
from zoo.networks.shapes import halvings, valid_margins

if TYPE_CHECKING:
    from zoo.networks.architecture import Shape


class UNet(nn.Module):
    """Encoder, decoder and skip connections on both frames as six channels, without normalization layers."""

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
            stride = halvings(self.config)
            x = mirror(x, 0, -height % stride, 0, -width % stride)
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


def _center(skip: Tensor, like: Tensor) -> Tensor:
    """The part of a skip connection that an upsampled tensor covers; all of it with `same` padding."""
    height, width = like.shape[-2:]
    top, left = (skip.shape[-2] - height) // 2, (skip.shape[-1] - width) // 2
    return skip[..., top : top + height, left : left + width]
