"""`odd`: an hourglass that is commutative by construction, so that one pass is enough."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from zoo.networks.layers import convs, mirror, up_sample
from zoo.networks.shapes import halvings

if TYPE_CHECKING:
    from zoo.networks.architecture import Shape


class Odd(nn.Module):
    """Swapping the frames negates the odd stream and leaves the even one unchanged, bit for bit.

    Both frames go through the same encoder. At each level the decoder gets the difference of their features
    (odd) and their sum (even). The odd stream has no bias anywhere, so that a swap changes only its sign;
    and rounding is symmetric about 0.
    """

    def __init__(self, config: Shape) -> None:
        super().__init__()
        self.config = config
        widths = [config.width << level for level in range(config.depth + 1)]
        self.down = nn.ModuleList(convs(n_in, n_out, 1) for n_in, n_out in pairwise([3, *widths]))
        upward = list(pairwise(reversed(widths)))
        self.up_odd = nn.ModuleList(up_sample(*step, config.upsampling, bias=False) for step in upward)
        self.up_even = nn.ModuleList(up_sample(*step, config.upsampling) for step in upward)
        # a logit needs only the odd stream, so the last level has no even one
        last = config.depth - 1 if config.task == "seg" else config.depth
        self.blocks = nn.ModuleList(
            OddEven(n_out, even=level != last) for level, (_, n_out) in enumerate(upward)
        )
        self.head = nn.Conv2d(config.width, 1, 1, bias=False)
        self.residual = nn.Conv2d(config.width, 3, 1) if config.task == "reg" else None

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """See `zoo.networks.Network.forward`."""
        height, width = a.shape[-2:]
        levels = list(zip(self.encode(a), self.encode(b), strict=True))
        difference, total = _odd_even(*levels.pop())
        for up_odd, up_even, block in zip(self.up_odd, self.up_even, self.blocks, strict=True):
            skip_difference, skip_total = _odd_even(*levels.pop())
            difference, total = block(up_odd(difference) + skip_difference, up_even(total) + skip_total)
        logit = self.head(difference)[..., :height, :width].float()
        if self.residual is None:
            return logit  # type: ignore[no-any-return]
        share = torch.tanh(logit.abs() / 2).copysign(logit)
        return (a + b) / 2 + share * ((a - b) / 2) + self.residual(total)[..., :height, :width].float()  # type: ignore[no-any-return]

    def encode(self, frame: Tensor) -> list[Tensor]:
        """A frame's features at every level, finest first."""
        height, width = frame.shape[-2:]
        stride = halvings(self.config)
        x = mirror(frame.to(self.head.weight.dtype), 0, -height % stride, 0, -width % stride)
        features = [self.down[0](x)]
        for block in self.down[1:]:
            features.append(block(F.max_pool2d(features[-1], 2)))
        return features


class OddEven(nn.Module):
    """One level of both streams: o' = conv(o) * 2 sigmoid(conv(e)), e' = relu(conv(e) + conv1x1|o|).

    With `even=False` the even stream passes through: e' = e.
    """

    def __init__(self, width: int, even: bool = True) -> None:
        super().__init__()
        self.odd = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.gate = nn.Conv2d(width, width, 3, padding=1)
        self.even = nn.Conv2d(width, width, 3, padding=1) if even else None
        self.cross = nn.Conv2d(width, width, 1, bias=False) if even else None

    def forward(self, odd: Tensor, even: Tensor) -> tuple[Tensor, Tensor]:
        """Odd and even stream, N x width x H x W each."""
        gate = 2 * torch.sigmoid(self.gate(even))
        gated = self.odd(odd) * gate
        if self.even is None or self.cross is None:
            return gated, even
        return gated, F.relu(self.even(even) + self.cross(odd.abs()))


def _odd_even(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return a - b, a + b
