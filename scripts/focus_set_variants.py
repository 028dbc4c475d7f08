"""Changes of `focus-set` that scripts/experiments.py tries: each is `FocusSet` with one difference.

None of them is part of the package. docs/training.md says what came of each.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from zoo.networks.focus_set import FocusSet, SetLevel, _Sets
from zoo.networks.layers import convs, mirror
from zoo.networks.shapes import BLOCK, set_stride
from zoo.training.losses import DECISION, Decided, fused, l1

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zoo.networks.architecture import Shape

DARK = 1 / 32
"""Added before the logarithm, so that noise in the dark does not count more than detail in the light."""


class Normalized(FocusSet):
    """Every frame is normalized by itself before the encoder.

    Args:
        config: As of `FocusSet`.
        prepare: From N x 3 x H x W in [0, 1], sides multiples of the stride, to the same shape.
    """

    def __init__(self, config: Shape, prepare: Callable[[Tensor], Tensor]) -> None:
        super().__init__(config)
        self.prepare = prepare

    def encode(self, frame: Tensor) -> list[Tensor]:
        """See `FocusSet.encode`."""
        height, width = frame.shape[-2:]
        side = set_stride(self.config)
        return super().encode(self.prepare(mirror(frame, 0, -height % side, 0, -width % side)))


def normalized(prepare: Callable[[Tensor], Tensor]) -> Callable[[Shape], FocusSet]:
    """What builds a `Normalized`."""
    return partial(Normalized, prepare=prepare)


def by_mean(frame: Tensor) -> Tensor:
    """Each channel over its mean: another exposure changes nothing but what is clipped."""
    return frame / frame.mean((2, 3), keepdim=True).clamp_min(DARK) / 2


def by_contrast(frame: Tensor) -> Tensor:
    """Without the local mean, over the local standard deviation."""
    rest = frame - _local(frame)
    return rest / (_local(rest.square()).sqrt() + DARK)


def logarithm(frame: Tensor) -> Tensor:
    """Another exposure adds a constant, which features of detail do not see."""
    return torch.log(frame + DARK) / 2 + 1


def by_log_mean(frame: Tensor) -> Tensor:
    """The logarithm without its local mean: another exposure changes nothing but what is clipped or dark."""
    values = logarithm(frame)
    return values - _local(values)


def _local(values: Tensor, side: int = 16) -> Tensor:
    """The mean around each pixel: of blocks, interpolated, which costs next to nothing."""
    means = F.avg_pool2d(values, side, ceil_mode=True, count_include_pad=False)
    size = [side * length for length in means.shape[-2:]]
    full = F.interpolate(means, size, mode="bilinear", align_corners=False)
    return full[..., : values.shape[-2], : values.shape[-1]]


def with_kernel_5(config: Shape) -> FocusSet:
    """The first convolution sees 5 x 5 blocks."""
    model = FocusSet(config)
    first = model.down[0][0]
    model.down[0][0] = nn.Conv2d(first.in_channels, first.out_channels, 5, padding=2)
    return model


def depthwise(config: Shape) -> FocusSet:
    """Below the first level, the encoder's convolutions are a depthwise and a pointwise one each."""
    model = FocusSet(config)
    for level in model.down[1:]:
        for place in (0, 2):
            n_in, n_out = level[place].in_channels, level[place].out_channels
            level[place] = nn.Sequential(
                nn.Conv2d(n_in, n_in, 3, padding=1, groups=n_in), nn.Conv2d(n_in, n_out, 1)
            )
    return model


def with_widths(encoder: Sequence[int], decoder: Sequence[int]) -> Callable[[Shape], FocusSet]:
    """What builds a `FocusSet` of other widths, finest first."""
    return partial(_with_widths, encoder=encoder, decoder=decoder)


def _with_widths(config: Shape, encoder: Sequence[int], decoder: Sequence[int]) -> FocusSet:
    model = FocusSet(config)
    model.down = nn.ModuleList(convs(a, b, 1) for a, b in pairwise([3 * BLOCK * BLOCK, *encoder]))
    model.up = nn.ModuleList(
        SetLevel(n_in, width, below, even=number > 0)
        for number, (n_in, (width, below)) in enumerate(zip(encoder, pairwise([*decoder, 0]), strict=True))
    )
    model.head = nn.Conv2d(decoder[0], BLOCK * BLOCK, 3, padding=1, bias=False)
    return model


class Restoring(FocusSet):
    """Also predicts what no frame holds: a residual to the blend of the frames, and a gate for it.

    Attributes:
        restoration: P x 3 x H x W after `set_scores`: the residual times its gate.
    """

    latest: Tensor
    """The same, of the network that was asked last, for the loss."""

    def __init__(self, config: Shape) -> None:
        super().__init__(config)
        top = self.up[0]
        n_in, width = top.odd_skip.in_channels, top.odd_skip.out_channels
        n_below = top.even_up[0].in_channels
        self.up[0] = _Top(n_in, width, n_below, even=False)
        self.restore = nn.Sequential(
            convs(width, 2 * width, 1), nn.Conv2d(2 * width, 4 * BLOCK * BLOCK, 3, padding=1)
        )

    def set_scores(self, frames: Tensor, counts: Sequence[int]) -> Tensor:
        """See `FocusSet.set_scores`."""
        scores = super().set_scores(frames, counts)
        height, width = frames.shape[-2:]
        seen = F.pixel_shuffle(self.restore(self.up[0].seen), BLOCK)[..., :height, :width].float()
        Restoring.latest = torch.sigmoid(seen[:, 3:] - 2) * seen[:, :3]
        return scores


class _Top(SetLevel):
    """The finest level, which keeps its even stream."""

    seen: Tensor

    def even(self, mean: Tensor, spread: Tensor, below: Tensor | None) -> Tensor:
        self.seen = super().even(mean, spread, below)
        return self.seen


def restored(scores: Tensor, frames: Tensor, counts: Sequence[int]) -> Tensor:
    """The blend of each set plus what `Restoring` has just predicted, P x 3 x H x W."""
    return fused(scores, frames, counts) + Restoring.latest


def restoring(what: Decided) -> Tensor:
    """Cross-entropy, and L1 of the restored picture, which leaves the scores as they are."""
    picture = restored(what.scores.detach(), what.frames, what.counts)
    return DECISION["cross-entropy"](what) + 10 * l1(what.truth, picture)


class Twice(FocusSet):
    """The finest level joins its streams twice.

    Args:
        config: As of `FocusSet`.
    """

    def __init__(self, config: Shape) -> None:
        super().__init__(config)
        top = self.up[0]
        n_in, width = top.odd_skip.in_channels, top.odd_skip.out_channels
        self.up[0] = SetLevel(n_in, width, top.even_up[0].in_channels, even=True)
        self.odd_conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.gate_conv = nn.Conv2d(width, width, 3, padding=1)

    def set_scores(self, frames: Tensor, counts: Sequence[int]) -> Tensor:
        """See `FocusSet.set_scores`."""
        height, width = frames.shape[-2:]
        sets = _Sets(counts, frames)
        levels = self.encode(frames)
        odd: Tensor | None = None
        even: Tensor | None = None
        for step in self.steps():
            features = levels.pop()
            mean = sets.mean(features)
            features = features - sets.of_each_frame(mean)
            even = step.even(mean, sets.mean(features.abs()), even)
            odd = step.odd(features, odd) * sets.of_each_frame(step.gated(even))
            even = step.joined(even, sets.mean(odd.abs()))
        odd = 2 * self.odd_conv(odd) * sets.of_each_frame(torch.sigmoid(self.gate_conv(even)))
        return F.pixel_shuffle(self.head(odd), BLOCK)[..., :height, :width].float()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """See `FocusSet.forward`."""
        scores = self.set_scores(torch.cat([a, b]), (2,) * len(a))
        return scores[:1] - scores[1:]
