"""The losses: Eq. 3 to 5, and L1 and MSE for comparison.

All compute in float32, or in float64 if they are given that, and return one number for a batch. Pictures are
N x C x H x W in [0, 1], the truth first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

ALPHA = 6.0
"""Alpha of NPS6; the paper also has NPS8 and NPS10."""


def cross_entropy(target: Tensor, logit: Tensor) -> Tensor:
    """Eq. 3, corrected: -mean[g log z_1 + (1 - g) log z_0], z_0 being the logit's sigmoid.

    The paper prints the focus map g beside z_0, but by Eq. 1 it is frame 1 that is sharp where g is 1.

    Args:
        target: N x H x W or N x 1 x H x W: the index of the frame to choose there, 0 or 1.
        logit: N x 1 x H x W, of frame 0 against frame 1.
    """
    logit = _wide(logit)
    return F.binary_cross_entropy_with_logits(logit, 1 - target.view_as(logit).to(logit.dtype))


def set_cross_entropy(target: Tensor, scores: Tensor, counts: Sequence[int]) -> Tensor:
    """Cross-entropy of the softmax over each set's frames, the mean over sets and pixels; for two, Eq. 3.

    Args:
        target: P x H x W: the index of the frame to choose there.
        scores: F x 1 x H x W: of the frames of all sets, one set after the other.
        counts: The number of frames of each set.
    """
    parts = torch.split(_wide(scores), list(counts))
    losses = [
        F.cross_entropy(part.transpose(0, 1), right[None].long())
        for part, right in zip(parts, target, strict=True)
    ]
    return torch.stack(losses).mean()


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
