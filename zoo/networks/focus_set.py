"""`focus-set`: one network for any number of frames, `odd` generalized from two frames to n.

Each frame is seen by the same encoder, at half resolution with the pixels of each 2 x 2 block as channels.
At each level, the decoder gets one odd stream per frame, the deviation of its features from their mean over
the frames, and one even stream for all: the mean, and the mean absolute deviation. The odd stream has no bias
anywhere, so a frame's score is linear in how it differs from the others, and cost is linear in n.

Sums over the frames run in the order given. In an order that depends only on the frames, scores do not
depend on the order in which a caller has them, bit for bit; two frames have any order.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from zoo.networks.layers import convs, mirror, pointwise, up_sample
from zoo.networks.shapes import BLOCK, set_stride

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from zoo.networks.architecture import Shape

    Window = tuple[slice, slice]
    """Rows and columns."""

MARGIN = 4
"""Pixels of each level that are kept around what is wanted.

Of those, one is spoiled by the interpolation and one by the convolution at the region's border; the other two
are four of the next level.
"""
_GROWTH = (1, 2, 3, 4)
"""Widths of the encoder's levels, in those of the first; further levels are as wide as the last."""


class FocusSet(nn.Module):
    """Scores for a set of frames.

    Args:
        config: Its `width` counts the encoder's channels at half resolution; `depth` the halvings after that.
    """

    def __init__(self, config: Shape) -> None:
        super().__init__()
        self.config = config
        widths = _widths(config)
        inner = [config.width, *widths[:-1]]
        self.down = nn.ModuleList(
            convs(n_in, n_out, 1) for n_in, n_out in pairwise([3 * BLOCK * BLOCK, *widths])
        )
        self.up = nn.ModuleList(
            SetLevel(width, n_out, n_below, even=level > 0)
            for level, (width, n_out, n_below) in enumerate(zip(widths, inner, [*inner[1:], 0], strict=True))
        )
        self.head = nn.Conv2d(inner[0], BLOCK * BLOCK, 3, padding=1, bias=False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """See `zoo.networks.Network.forward`: the difference of the two scores."""
        one, other = self.scores([a, b])
        return one - other

    def scores(self, frames: Iterable[Tensor], wanted: Window | None = None) -> list[Tensor]:
        """How likely each frame is the sharp one, as logits of a softmax over the frames.

        Frames are seen one after the other. What stays in memory is the features of all, around what is
        wanted.

        Args:
            frames: N x 3 x H x W each, float in [0, 1]; each is taken when its turn comes.
            wanted: The rows and columns to score, from multiples of the stride on; None is all.

        Returns:
            For each frame N x 1 x H x W, float32, or what is wanted of it.
        """
        levels: list[list[Tensor]] = [[] for _ in self.down]
        regions: list[Window] = []
        height = width = 0
        for frame in frames:
            height, width = frame.shape[-2:]
            wanted = wanted or (slice(0, height), slice(0, width))
            regions = [_region(self.config, level, wanted, (height, width)) for level in range(len(levels))]
            for level, seen, region in zip(levels, self.encode(frame), regions, strict=True):
                level.append(_part(seen, region))
        odd: list[Tensor] = []
        even: Tensor | None = None
        count = len(levels[0])
        for step in self.steps():
            if even is not None:
                inner = _halved(regions[len(levels) - 1], regions[len(levels)])
                odd, even = [each[(..., *inner)] for each in odd], even[(..., *inner)]
            mean, features = _apart(levels.pop())
            even = step.even(mean, _mean(features, magnitude=True), even)
            del mean
            gate = step.gated(even)
            for place, each in enumerate(features):  # in place, as each is needed only once
                features[place] = step.odd(each, odd[place] if odd else None) * gate
            odd = features
            even = step.joined(even, _mean(odd, magnitude=True))
        rows, columns = (
            slice(part.start - BLOCK * region.start, part.stop - BLOCK * region.start)
            for part, region in zip(wanted or (), regions[0], strict=True)
        )
        scores = [
            F.pixel_shuffle(self.head(each).contiguous(), BLOCK)[..., rows, columns].float() for each in odd
        ]
        return [scores[0], -scores[0]] if count == 2 else scores

    def set_scores(self, frames: Tensor, counts: Sequence[int]) -> Tensor:
        """Scores of several sets at once, as training needs them; the same as `scores`, up to rounding.

        Args:
            frames: F x 3 x H x W, float in [0, 1]: the frames of all sets, one set after the other.
            counts: The number of frames of each set.

        Returns:
            F x 1 x H x W, float32.
        """
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
        return F.pixel_shuffle(self.head(odd), BLOCK)[..., :height, :width].float()

    def steps(self) -> Iterator[SetLevel]:
        """The decoder's levels, coarsest first."""
        return reversed(cast("Sequence[SetLevel]", self.up))

    def encode(self, frame: Tensor) -> list[Tensor]:
        """Features of N x 3 x H x W frames at every level, finest first."""
        height, width = frame.shape[-2:]
        side = set_stride(self.config)
        x = mirror(frame.to(self.head.weight.dtype), 0, -height % side, 0, -width % side)
        first, *others = cast("Sequence[nn.Conv2d]", self.down[0])
        # the convolution of `F.pixel_unshuffle(x, BLOCK)`, without that intermediate
        kernel = F.pixel_shuffle(first.weight, BLOCK)
        x = F.conv2d(x, kernel, first.bias, stride=BLOCK, padding=first.kernel_size[0] // 2 * BLOCK)
        for layer in others:
            x = layer(x)
        features = [x]
        for block in self.down[1:]:
            features.append(block(F.max_pool2d(features[-1], 2)))
        return features


class SetLevel(nn.Module):
    """One level of both streams of the decoder.

    o' = conv(o) * 2 sigmoid(conv(e)) and e' = relu(conv(e) + conv1x1(mean |o'|)), where o and e are what
    comes from the level below, upsampled, plus what the encoder saw at this level.

    Args:
        n_in: Channels of the encoder.
        width: Channels of both streams.
        n_below: Channels of both streams at the level below; 0 if there is none.
        even: Whether there is an e'; the last level needs none.
    """

    def __init__(self, n_in: int, width: int, n_below: int, even: bool) -> None:
        super().__init__()
        self.odd_skip = pointwise(n_in, width, bias=False)
        self.even_skip = pointwise(2 * n_in, width)
        self.odd_up = up_sample(n_below, width, "bilinear", bias=False) if n_below else None
        self.even_up = up_sample(n_below, width, "bilinear") if n_below else None
        self.odd_conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.gate_conv = nn.Conv2d(width, width, 3, padding=1)
        self.even_conv = nn.Conv2d(width, width, 3, padding=1) if even else None
        self.cross = pointwise(width, width, bias=False) if even else None

    def odd(self, deviation: Tensor, below: Tensor | None) -> Tensor:
        """A frame's odd stream before the gate, from the deviation of its features from their mean."""
        stream = self.odd_skip(deviation)
        if self.odd_up is not None:
            stream += self.odd_up(below)
        return F.conv2d(stream, 2 * self.odd_conv.weight, padding=1)  # the gate's 2, where it costs nothing

    def even(self, mean: Tensor, spread: Tensor, below: Tensor | None) -> Tensor:
        """The even stream, from the mean of the features and the mean magnitude of the deviations."""
        skip, n_in = self.even_skip, mean.shape[1]
        # two convolutions, so that nothing is concatenated
        stream = F.conv2d(mean, skip.weight[:, :n_in], skip.bias, dilation=skip.dilation)
        stream += F.conv2d(spread, skip.weight[:, n_in:], dilation=skip.dilation)
        if self.even_up is not None:
            stream += self.even_up(below)
        return stream

    def gated(self, even: Tensor) -> Tensor:
        """What the odd stream of every frame is multiplied by, apart from the 2."""
        return torch.sigmoid_(self.gate_conv(even))

    def joined(self, even: Tensor, magnitude: Tensor) -> Tensor:
        """The even stream after this level, from the mean magnitude of the odd streams."""
        if self.even_conv is None or self.cross is None:
            return even
        return F.relu_(self.even_conv(even).add_(self.cross(magnitude)))


def _widths(shape: Shape) -> list[int]:
    """Channels of the encoder's levels."""
    growth = [*_GROWTH, *[_GROWTH[-1]] * shape.depth][: shape.depth + 1]
    return [shape.width * part for part in growth]


def _region(shape: Shape, level: int, wanted: Window, size: tuple[int, int]) -> Window:
    """The rows and columns of a level that the scores of what is wanted depend on, without the encoder."""
    side, scale = set_stride(shape), BLOCK << level
    rows, columns = (
        slice(
            max(part.start // side * (side // scale) - MARGIN, 0),
            min(-(-part.stop // side) * (side // scale) + MARGIN, -(-length // side) * (side // scale)),
        )
        for part, length in zip(wanted, size, strict=True)
    )
    return rows, columns


def _halved(region: Window, below: Window) -> Window:
    """Where a region of one level lies in a region of the level below."""
    rows, columns = (
        slice(part.start // 2 - outer.start, part.stop // 2 - outer.start)
        for part, outer in zip(region, below, strict=True)
    )
    return rows, columns


def _part(features: Tensor, region: Window) -> Tensor:
    """A region of features, without the rest of them in memory."""
    part = features[(..., *region)]
    return part if part.shape == features.shape else part.clone()


def _apart(features: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """The mean of the frames' features, and the deviations from it.

    Of a pair, only one frame's: the other's is its negative, and so is everything that the odd stream makes
    of it.
    """
    if len(features) == 2:
        one, other = features
        return (one + other).mul_(0.5), [(one - other).mul_(0.5)]
    mean = _mean(features)
    for place, each in enumerate(features):  # in place, as each is needed only once
        features[place] = each - mean
    return mean, features


def _mean(features: Sequence[Tensor], magnitude: bool = False) -> Tensor:
    """The mean of tensors, or of their magnitudes, added in their order."""
    if len(features) == 1:
        return features[0].abs() if magnitude else features[0]
    total = features[0].abs() + features[1].abs() if magnitude else features[0] + features[1]
    for each in features[2:]:
        total += each.abs() if magnitude else each
    return total.div_(len(features))


class _Sets:
    """Which frames of a batch form a set.

    Args:
        counts: The number of frames of each set.
        frames: F x 3 x H x W: the frames of all sets, one set after the other.
    """

    def __init__(self, counts: Sequence[int], frames: Tensor) -> None:
        numbers = torch.tensor(counts, device=frames.device)
        places = torch.repeat_interleave(torch.arange(len(counts), device=frames.device), numbers)
        self.members = F.one_hot(places, len(counts)).to(frames.dtype)  # F x P
        self.counts = numbers.view(-1, 1, 1, 1).to(frames.dtype)

    def mean(self, values: Tensor) -> Tensor:
        """Of F x C x H x W, the mean over each set: P x C x H x W."""
        return _combined(self.members.T, values) / self.counts.to(values.dtype)

    def of_each_frame(self, values: Tensor) -> Tensor:
        """Of P x C x H x W, for each frame what belongs to its set: F x C x H x W."""
        return _combined(self.members, values)


def _combined(weights: Tensor, values: Tensor) -> Tensor:
    """Weighted sums of N x C x H x W values over N, M x C x H x W, from M x N weights.

    A product of matrices takes a third of the time of adding at indices, and leaves channels last.
    """
    last = values.movedim(1, -1)
    rows = weights.to(values.dtype) @ last.reshape(len(values), -1)
    return rows.view(len(weights), *last.shape[1:]).movedim(-1, 1)
