"""From scores to pixels: weights, the decision, and the picture that a rule makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from zoo.fusing.runner import Map


TINY = np.finfo(np.float32).tiny
"""What divides where no layer shows anything, so that all weights stay 0."""

LEAST_LOG = np.float32(-100)
"""The logarithm of what counts as nothing."""

ODDS = 0.1
"""The odds of a layer against the likeliest, up to which it has no part in a blend.

Measured on held-out training pictures, by scripts/compare_rules.py: smaller odds mix blurred pixels into
regions, larger ones lose at rims.
"""


def softmax(scores: Map) -> Map:
    """Weights from n x h x w scores; 0 where no layer shows anything."""
    best = scores.max(0)
    odds = scores - np.where(best == -np.inf, 0, best)
    # OpenCV's takes a quarter of the time of numpy's
    weights: Map = np.stack([cv2.exp(np.maximum(each, LEAST_LOG)) for each in odds])
    weights[scores == -np.inf] = 0
    total: Map = np.maximum(weights.sum(0), TINY)
    return weights / total


def blended(weights: Map, odds: float = ODDS) -> Map:
    """Weights, n x h x w, of only those layers whose odds against the likeliest are larger.

    So inside regions a pixel is exactly the likeliest layer's, and only where layers truly mix, as at the rim
    of a thing, it is a mean of them; nothing changes abruptly.
    """
    part: Map = np.maximum(weights / np.maximum(weights.max(0), TINY) - np.float32(odds), 0)
    total: Map = np.maximum(part.sum(0), TINY)
    return part / total


def nearness(scores: Map) -> Map:
    """From two negated distances, 2 x h x w: the other's share of their sum, 1/2 where both are 0.

    A lone layer has all the weight, a hidden one none.
    """
    hidden = scores == -np.inf
    lone = hidden.any(0)
    known = np.where(lone, 0, scores)
    total = known.sum(0)
    shares = np.where(total < 0, known[::-1] / np.where(total < 0, total, 1), np.float32(0.5))
    return np.where(lone, ~hidden, shares).astype(np.float32)


def winner(scores: Map, frames: Sequence[np.ndarray]) -> NDArray[np.uint8]:
    """The frame with the largest score; of equals, the one with the larger RGB value there."""
    best, *others = scores
    decision, shared = np.zeros(best.shape, np.uint8), np.zeros(best.shape, bool)
    for number, score in enumerate(others, 1):  # argmax along so short an axis takes ten times as long
        wins = score > best
        shared &= ~wins
        shared |= score == best
        np.maximum(decision, np.uint8(number) * wins, out=decision)
        best = np.maximum(best, score)
    if shared.any():
        rows, columns = shared.nonzero()
        tied = scores[:, rows, columns] == best[rows, columns]
        pixels = np.stack([frame[rows, columns].reshape(len(rows), -1) for frame in frames])
        for channel in range(pixels.shape[2]):
            values = np.where(tied, pixels[..., channel].astype(np.float64), -np.inf)
            tied &= values == values.max(0)
        decision[rows, columns] = tied.argmax(0)
    return decision


def mixed(
    weights: Map, frames: Sequence[np.ndarray], dtype: np.dtype[Any], limits: tuple[float, float] | None
) -> NDArray[Any]:
    """Eq. 2: the weighted mean of the frames, rounded to a dtype."""
    total: NDArray[np.float32] | None = None
    for weight, frame in zip(weights, frames, strict=True):
        # as many channels as the frame has: broadcasting along so short an axis is slow
        part = frame.astype(np.float32, copy=False) * (weight if frame.ndim == 2 else cv2.merge([weight] * 3))
        total = part if total is None else np.add(total, part, out=total)
    assert total is not None
    return rounded(total, dtype, limits)


def selected(decision: NDArray[np.uint8], frames: Sequence[np.ndarray]) -> NDArray[Any]:
    """Each pixel of the frame that the decision names."""
    out = frames[0].copy()
    for number, frame in enumerate(frames[1:], 1):
        cv2.copyTo(frame, (decision == number).view(np.uint8), out)
    return out


def rounded(
    values: NDArray[np.float32], dtype: np.dtype[Any], limits: tuple[float, float] | None = None
) -> NDArray[Any]:
    """Values in a dtype, cut off at its own limits, or at those given for float32."""
    if dtype.kind == "f":
        return values if limits is None else values.clip(*limits)  # rounding can lift a mean of ones above 1
    # OpenCV rounds halves to even, as numpy does
    depth = cv2.CV_8U if dtype == np.uint8 else cv2.CV_16U
    return np.asarray(cv2.add(values, 0.0, dtype=depth), dtype)  # type: ignore[call-overload]


def halved(values: Map) -> NDArray[np.float16]:
    """Values in float16, in a tenth of the time that numpy takes."""
    return np.asarray(cv2.add(values, 0.0, dtype=cv2.CV_16F), np.float16)  # type: ignore[call-overload]


def unhalved(values: NDArray[np.float16]) -> Map:
    """Values in float32, in a seventh of the time that numpy takes."""
    return np.asarray(cv2.add(values, 0.0, dtype=cv2.CV_32F), np.float32)  # type: ignore[call-overload]
