"""The losses: Eq. 3 to 5, and others to compare with them.

All compute in float32, or in float64 if they are given that, and return one number for a batch. Pictures are
N x C x H x W in [0, 1], the truth first. Losses of decisions take sets of frames; a pair is a set of two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

ALPHA = 6.0
"""Alpha of NPS6; the paper also has NPS8 and NPS10."""
L1_SHARE = 10.0
"""What L1 counts beside cross-entropy; early in a training, the two terms are about as large."""


def cross_entropy(
    target: Tensor, scores: Tensor, counts: Sequence[int], weights: Tensor | None = None
) -> Tensor:
    """Cross-entropy of the softmax over each set's frames, the mean over sets and pixels.

    For pairs, this is Eq. 3, corrected: -mean[g log z_1 + (1 - g) log z_0]. The paper prints the focus map g
    beside z_0, but by Eq. 1 it is frame 1 that is sharp where g is 1.

    Args:
        target: P x H x W: the index of the frame to choose there.
        scores: F x 1 x H x W: of the frames of all sets, one set after the other.
        counts: The number of frames of each set.
        weights: P x H x W: what each pixel counts; all the same if there are none.
    """
    parts = torch.split(_wide(scores)[:, 0], list(counts))
    surprise = torch.cat(
        [F.cross_entropy(part[None], right, reduction="none") for part, right in _each(parts, target)]
    )
    return surprise.mean() if weights is None else (weights * surprise).mean()


def pair_scores(logit: Tensor) -> Tensor:
    """The scores of the frames of pairs, 2N x 1 x H x W, from N x 1 x H x W logits of frame 0 against 1."""
    return _interleaved(logit, torch.zeros_like(logit))


def pair_frames(a: Tensor, b: Tensor) -> Tensor:
    """The frames of pairs, one pair after the other, 2N x 3 x H x W, from all frames 0 and all frames 1."""
    return _interleaved(a, b)


def fused(scores: Tensor, frames: Tensor, counts: Sequence[int]) -> Tensor:
    """The mean of each set's frames, weighted by the softmax of their scores.

    Args:
        scores: F x 1 x H x W.
        frames: F x 3 x H x W.
        counts: The number of frames of each set.

    Returns:
        P x 3 x H x W.
    """
    parts = zip(torch.split(_wide(scores), list(counts)), torch.split(frames, list(counts)), strict=True)
    return torch.stack([(torch.softmax(part, 0) * seen).sum(0) for part, seen in parts])


def stakes(target: Tensor, frames: Tensor, truth: Tensor, counts: Sequence[int]) -> Tensor:
    """How much the choice matters at each pixel: half is 1 everywhere, half is what a wrong choice costs.

    That is how much farther from the truth the best of the other frames is than the target's, relative to
    the mean over the picture.

    Args:
        target: P x H x W: the index of the frame to choose there.
        frames: F x 3 x H x W, in the truth's exposure; see `leveled`.
        truth: P x 3 x H x W.
        counts: The number of frames of each set.

    Returns:
        P x H x W, of mean 1, or less where no choice matters.
    """
    costs = []
    for part, right, true in _each(torch.split(_wide(frames), list(counts)), target, truth):
        distances = (part - true).abs().mean(1)
        chosen = distances.gather(0, right)
        other = distances.scatter(0, right, torch.inf).amin(0, keepdim=True)
        costs.append((other - chosen).clamp_min(0))
    cost = torch.cat(costs)
    mean = cost.mean((1, 2), keepdim=True).clamp_min(1e-6)
    return (1 + cost / mean) / 2


def leveled(frames: Tensor, truth: Tensor, counts: Sequence[int]) -> Tensor:
    """Frames in the truth's exposure and white balance, after training gave each its own.

    Each channel is multiplied by the factor that fits best, by least squares, where it is not clipped.

    Args:
        frames: F x 3 x H x W in [0, 1].
        truth: P x 3 x H x W in [0, 1].
        counts: The number of frames of each set.
    """
    true = torch.repeat_interleave(truth, torch.tensor(counts, device=truth.device), 0)
    open_ = frames * (frames < 1)
    factor = (open_ * true).sum((2, 3), keepdim=True) / open_.square().sum((2, 3), keepdim=True).clamp_min(
        1e-6
    )
    return frames * factor


def nps(truth: Tensor, predicted: Tensor, alpha: float = ALPHA) -> Tensor:
    """Eq. 4: over the channels, the sum of phi's mean and of the differences of minimum and maximum.

    The range term takes each picture of the batch separately; the loss is the mean over the pictures.
    """
    truth, predicted = _wide(truth), _wide(predicted)
    values = phi(truth, predicted, alpha).mean((2, 3)).sum(1)
    low = (truth.amin((2, 3)) - predicted.amin((2, 3))).abs().sum(1)
    high = (truth.amax((2, 3)) - predicted.amax((2, 3))).abs().sum(1)
    return (values + low + high).mean()


def phi(truth: Tensor, predicted: Tensor, alpha: float = ALPHA) -> Tensor:
    """Eq. 5: 2 / (exp(-alpha |y - y'|) + 1) - 1, by value; a tanh neither overflows nor cancels."""
    return ((_wide(truth) - _wide(predicted)).abs() * (alpha / 2)).tanh()


def l1(truth: Tensor, predicted: Tensor) -> Tensor:
    """Mean absolute difference."""
    return F.l1_loss(_wide(predicted), _wide(truth))


def mse(truth: Tensor, predicted: Tensor) -> Tensor:
    """Mean squared difference."""
    return F.mse_loss(_wide(predicted), _wide(truth))


def _each(parts: Sequence[Tensor], target: Tensor, *more: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Each set's frames, its target as 1 x H x W indices, and its rows of further tensors."""
    return zip(parts, torch.split(target.long(), 1), *(torch.split(each, 1) for each in more), strict=True)


def _interleaved(first: Tensor, second: Tensor) -> Tensor:
    return torch.stack([first, second], 1).flatten(0, 1)


def _wide(values: Tensor) -> Tensor:
    """Values in at least float32: autocast's half precision is too coarse for means and ranges."""
    return values if values.dtype == torch.float64 else values.float()


REGRESSION: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "nps6": lambda truth, predicted: nps(truth, predicted, 6.0),
    "nps8": lambda truth, predicted: nps(truth, predicted, 8.0),
    "nps10": lambda truth, predicted: nps(truth, predicted, 10.0),
    "l1": l1,
    "mse": mse,
}
"""The losses of HF-Reg, by name: (truth, predicted) → a number."""


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """What a network for decisions says of P sets with F frames in all, and what is right.

    Attributes:
        target: P x H x W: the index of the frame to choose there.
        scores: F x 1 x H x W.
        frames: F x 3 x H x W, in the truth's exposure.
        truth: P x 3 x H x W.
        counts: The number of frames of each set.
    """

    target: Tensor
    scores: Tensor
    frames: Tensor
    truth: Tensor
    counts: Sequence[int]


def _cross_entropy(what: Decided) -> Tensor:
    return cross_entropy(what.target, what.scores, what.counts)


def _with_l1(what: Decided) -> Tensor:
    picture = fused(what.scores, what.frames, what.counts)
    return _cross_entropy(what) + L1_SHARE * l1(what.truth, picture)


def _by_stakes(what: Decided) -> Tensor:
    weights = stakes(what.target, what.frames, what.truth, what.counts)
    return cross_entropy(what.target, what.scores, what.counts, weights)


DECISION: dict[str, Callable[[Decided], Tensor]] = {
    "cross-entropy": _cross_entropy,
    "cross-entropy+l1": _with_l1,
    "cross-entropy-by-stakes": _by_stakes,
}
"""The losses of networks that decide, by name."""
